"""Convolution as AutoTVM's spatial pack for ARM computes it: input and weights in tiles' order.

What a tile of the output reads lies together, for all channels: packed[n, tile row, tile column,
ci, row, column], or with dilation [..., ci, tap, tap, row, column], a tap's factors being
neighbours. The data flow is that of TVM's former template ``conv2d_nchw_spatial_pack.arm_cpu``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import zero_outside
from tvm_ops.operators._epilogue import Epilogue


@dataclass(frozen=True)
class SpatialPack:
    """Tiles of ``tile`` = (co, rows, columns); each divides its extent."""

    w: ConvWorkload
    tile: tuple[int, int, int]

    @classmethod
    def of(cls, w: ConvWorkload, knobs: dict[str, Any]) -> SpatialPack:
        return cls(w, (knobs["tile_co"], knobs["tile_oh"], knobs["tile_ow"]))

    @property
    def co(self) -> int:
        return self.w.co

    @property
    def weights_shape(self) -> tuple[int, ...]:
        vc = self.tile[0]
        return 1, self.w.co // vc, self.w.ci, *self.w.kernel, vc

    @property
    def packed_shape(self) -> tuple[int, ...]:
        w, (_, vh, vw) = self.w, self.tile
        outer = w.n, w.out_h // vh, w.out_w // vw, w.ci
        if w.dilation != (1, 1):
            return *outer, *w.kernel, vh, vw
        rows, cols = ((v - 1) * s + k for v, s, k in zip((vh, vw), w.stride, w.kernel, strict=True))
        return *outer, rows, cols

    def packed_at(self, tile: list[Any], tap: tuple[Any, Any], row: Any, col: Any) -> list[Any]:
        """Where the factor of an output lies; ``tile`` is n, the tile's row and column, ci."""
        if self.w.dilation != (1, 1):
            return [*tile, *tap, row, col]
        (sh, sw), (i, j) = self.w.stride, tap
        return [*tile, row * sh + i, col * sw + j]

    def source(self, at: list[Any]) -> tuple[Any, Any]:
        """Row and column of x that lie at ``at``; in the padding outside of it."""
        w, (_, vh, vw), (_n, h, column, _ci, *inner) = self.w, self.tile, at
        (sh, sw), (dh, dw), (top, left) = w.stride, w.dilation, w.pad
        if w.dilation != (1, 1):
            i, j, row, col = inner
            return (h * vh + row) * sh + i * dh - top, (column * vw + col) * sw + j * dw - left
        row, col = inner
        return h * vh * sh + row - top, column * vw * sw + col - left


def compute_spatial_pack(s: SpatialPack) -> Any:
    """The PrimFunc with blocks ``pack_input``, ``conv``, ``epilogue``."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    w = s.w
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.input_shape))
        weights = T.arg("weights", T.buffer(s.weights_shape))
        after = Epilogue.arguments(w, (w.co,), w.output_shape)
        y = T.arg("y", T.buffer(w.output_shape))
        packed = T.sblock_alloc_buffer(s.packed_shape)
        vc, vh, vw = s.tile
        tiles = (w.n, w.co // vc, w.out_h // vh, w.out_w // vw)
        product = T.sblock_alloc_buffer((*tiles, vh, vw, vc))
        _pack_input(s, x, packed)
        _conv(s, packed, weights, product)
        _epilogue(s, product, after, y)
    return builder.get()


def _pack_input(s: SpatialPack, x: Any, packed: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    w = s.w
    with T.grid(*s.packed_shape) as indices, T.sblock("pack_input"):
        at = list(map(T.axis.spatial, s.packed_shape, indices))
        row, col = s.source(at)
        value = x[at[0], at[3], row, col]
        T.reads(value)
        T.writes(packed[tuple(at)])
        T.buffer_store(packed, zero_outside(w, value, row, col), at)


def _conv(s: SpatialPack, packed: Any, weights: Any, product: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    spatial, reduced = tuple(map(int, product.shape)), (s.w.ci, *s.w.kernel)
    loops = *spatial, *reduced
    with T.grid(*loops) as indices, T.sblock("conv"):
        vn, vo, vh, vw, vr, vx, vl = map(T.axis.spatial, spatial, indices[:7])
        vc, vi, vj = map(T.axis.reduce, reduced, indices[7:])
        index = [vn, vo, vh, vw, vr, vx, vl]
        a = packed[tuple(s.packed_at([vn, vh, vw, vc], (vi, vj), vr, vx))]
        b = weights[0, vo, vc, vi, vj, vl]
        T.reads(a, b)
        T.writes(product[tuple(index)])
        with T.init():
            T.buffer_store(product, T.float32(0), index)
        T.buffer_store(product, product[tuple(index)] + a * b, index)


def _epilogue(s: SpatialPack, product: Any, after: Epilogue, y: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    loops, (c, h, w) = s.w.output_shape, s.tile
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        at = list(map(T.axis.spatial, loops, indices))
        vn, vo, vh, vw = at
        total = product[vn, vo // c, vh // h, vw // w, vh % h, vw % w, vo % c]
        T.reads(total, *after.reads(vo, at))
        T.writes(y[tuple(at)])
        T.buffer_store(y, after.value(total, vo, at), at)
