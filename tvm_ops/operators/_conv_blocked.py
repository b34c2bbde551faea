"""Convolution of channels in blocks (NCHWc): the blocks ``pack_input``, ``gemm``, ``epilogue``.

Vectors lie along the output's channels; the input's channels are their scalar factors, read as
vectors of neighbours in a block, so that nothing is transposed and, without padding, nothing is
copied. A tile at the end of an axis is moved back to end with it: it computes some outputs again
instead of asking which of its outputs exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._conv_tiles import Tiling
from tvm_ops.operators._conv_tiles_pack import source
from tvm_ops.operators._epilogue import Epilogue


@dataclass(frozen=True)
class Blocked(Tiling):
    """Sizes of a workload under the knobs of ``blocked``.

    The blocks go over slots: of rows, columns, and vectors of all groups.
    """

    def group(self, slot: Any) -> Any:
        """Of a vector's slot."""
        return slot // self.vectors.slots

    def vector(self, slot: Any) -> Any:
        """The vector of all the output's channels in a slot."""
        inside = self.vectors.position(slot % self.vectors.slots if self.w.groups > 1 else slot)
        return self.group(slot) * self.vectors.size + inside if self.w.groups > 1 else inside

    def pixel(self, row: Any, col: Any) -> tuple[Any, Any]:
        """Row and column of the output in these slots."""
        return self.rows.position(row), self.cols.position(col)


def compute_blocked(b: Blocked) -> Any:
    """The PrimFunc with blocks [``pack_input``,] ``gemm``, ``epilogue``."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    w = b.w
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(b.x_shape))
        weights = T.arg("weights", T.buffer(b.weights_shape))
        after = Epilogue.arguments(w, (b.channels,), b.y_shape)
        y = T.arg("y", T.buffer(b.y_shape))
        shape = (w.n, b.rows.slots, b.cols.slots, w.groups * b.vectors.slots, b.lanes)
        product = T.sblock_alloc_buffer(shape)
        _gemm(b, source(b, x), weights, product)
        _epilogue(b, product, after, y)
    return builder.get()


def _gemm(b: Blocked, packed: Any, weights: Any, product: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    w = b.w
    (kh, kw), (sh, sw), (dh, dw), c = w.kernel, w.stride, w.dilation, w.block[0]
    spatial = tuple(int(s) for s in product.shape)
    reduced = (b.ci_blocks, kh, kw, c)
    with T.grid(*spatial, *reduced) as indices, T.sblock("gemm"):
        vn, vh, vw, vv, vl = map(T.axis.spatial, spatial, indices[:5])
        vb, vi, vj, vc = map(T.axis.reduce, reduced, indices[5:])
        block = vb if w.groups == 1 else b.group(vv) * b.ci_blocks + vb
        row, col = b.pixel(vh, vw)
        if b.x == "panels":
            a = packed[vn, vw // b.cols.tile, block, vw % b.cols.tile, vc]
        elif b.x == "padded":
            step = b.rows.tile * b.rows.block
            inside = vh % step * sh + vi * dh
            a = packed[vn, vh // step, block, inside, col * sw + vj * dw, vc]
        else:
            a = packed[vn, block, row * sh + vi * dh, col * sw + vj * dw, vc]
        tile = vv // b.vectors.tile
        factor = weights[
            tile // b.vectors.tiles,
            tile % b.vectors.tiles,
            vb,
            vi,
            vj,
            vc,
            vv % b.vectors.tile * b.lanes + vl,
        ]
        at = [vn, vh, vw, vv, vl]
        T.sblock_attr({"pointwise": int(w.is_pointwise)})
        T.reads(a, factor)
        T.writes(product[tuple(at)])
        with T.init():
            T.buffer_store(product, T.float32(0), at)
        T.buffer_store(product, product[tuple(at)] + a * factor, at)


def _epilogue(b: Blocked, product: Any, after: Epilogue, y: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    c = b.w.block[1]
    loops = tuple(int(s) for s in product.shape)
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        vn, vh, vw, vv, vl = map(T.axis.spatial, loops, indices)
        row, col = b.pixel(vh, vw)
        vector = b.vector(vv)
        co = vector * b.lanes + vl
        if c == 1:
            at = [vn, co, row, col]
        elif c == b.lanes:
            at = [vn, vector, row, col, vl]
        else:
            per_block = c // b.lanes
            at = [vn, vector // per_block, row, col, vector % per_block * b.lanes + vl]
        total = product[vn, vh, vw, vv, vl]
        T.reads(total, *after.reads(co, at))
        T.writes(y[tuple(at)])
        T.buffer_store(y, after.value(total, co, at), at)
