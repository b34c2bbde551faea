"""Direct convolution, any groups: vectors along the width read the packed input where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import Packed, store_vector
from tvm_ops.operators._epilogue import Epilogue


@dataclass(frozen=True)
class Direct:
    """Sizes under the knobs of ``direct`` and ``grouped``, rounded up to whole tiles and blocks.

    A register tile is ``tile`` = (rows, columns, co of one group); ``ci`` and ``co`` are of one
    group, ``co`` rounded up to whole tiles, ``h`` to whole blocks of rows, ``width`` to tiles.
    """

    w: ConvWorkload
    lanes: int
    tile: tuple[int, int, int]
    ci: int
    co: int
    h: int
    width: int

    @classmethod
    def of(cls, w: ConvWorkload, knobs: dict[str, Any]) -> Direct:
        rows, cols, tile_co = knobs["tile"]
        row_step = rows * knobs["blocks_rows"]
        return cls(
            w, knobs["lanes"], (rows, cols, tile_co), w.ci // w.groups,
            -(-w.co // w.groups // tile_co) * tile_co,
            -(-w.out_h // row_step) * row_step, -(-w.out_w // cols) * cols,
        )  # fmt: skip

    @property
    def weights_shape(self) -> tuple[int, ...]:
        tile_co = self.tile[2]
        return self.w.groups, self.co // tile_co, self.ci, *self.w.kernel, tile_co


def compute_direct(g: Direct) -> Any:
    """The PrimFunc with blocks ``pack_input``, ``conv``, ``epilogue``."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    w = g.w
    layout = Packed.of(w, g.h, g.width)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.input_shape))
        weights = T.arg("weights", T.buffer(g.weights_shape))
        epilogue = Epilogue.arguments(w, (w.groups * g.co,), w.output_shape)
        y = T.arg("y", T.buffer(w.output_shape))
        packed = T.sblock_alloc_buffer(layout.shape)
        product = T.sblock_alloc_buffer((w.n, w.groups, g.co, g.h, g.width))
        layout.pack_input(x, packed, g.lanes)
        _conv(g, layout, packed, weights, product)
        _epilogue(g, product, epilogue, y)
    return builder.get()


def _conv(g: Direct, layout: Packed, packed: Any, weights: Any, product: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    w, tile_co = g.w, g.tile[2]
    spatial, reduced = (w.n, w.groups, g.co, g.h, g.width), (g.ci, *w.kernel)
    with T.grid(*spatial, *reduced) as indices, T.sblock("conv"):
        vn, vg, vo, vh, vw = map(T.axis.spatial, spatial, indices[:5])
        vc, vi, vj = map(T.axis.reduce, reduced, indices[5:])
        a = packed[tuple(layout.at(vn, vg * g.ci + vc, (vi, vj), vh, vw))]
        b = weights[vg, vo // tile_co, vc, vi, vj, vo % tile_co]
        index = [vn, vg, vo, vh, vw]
        T.reads(a, b)
        T.writes(product[tuple(index)])
        with T.init():
            T.buffer_store(product, T.float32(0), index)
        T.buffer_store(product, product[tuple(index)] + a * b, index)


def _epilogue(g: Direct, product: Any, epilogue: Epilogue, y: Any) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, lanes, per_group = g.w, g.lanes, g.w.co // g.w.groups
    loops = (w.n, w.groups, g.co, g.h, g.width // lanes)
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        vn, vg, vo, vh, vu = map(T.axis.spatial, loops, indices)
        start = vu * lanes
        channel, row = vg * g.co + vo, (vn, vg * per_group + vo, vh)
        vector = *row, slice(start, start + lanes)
        T.reads(product[(vn, vg, vo, vh, vector[-1])], *epilogue.reads(channel, vector))
        T.writes(y[vector])

        def store(lane: Any) -> None:
            index = [*row, start + lane]
            total = product[vn, vg, vo, vh, start + lane]
            T.buffer_store(y, epilogue.value(total, channel, index), index)

        inside = [vo < per_group] if g.co > per_group else []
        inside += [vh < w.out_h] if g.h > w.out_h else []
        if inside:
            with T.If(tirx.all(*inside)), T.Then():
                store_vector(start, w.out_w, lanes, store)
        else:
            store_vector(start, w.out_w, lanes, store)
