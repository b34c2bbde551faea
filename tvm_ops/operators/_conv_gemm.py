"""Convolution as one matrix product: pixels gathered into [k][p] panels, k = (ci, kh, kw)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import Packed, store_vector, whole
from tvm_ops.operators._epilogue import Epilogue


@dataclass(frozen=True)
class Gemm:
    """Sizes of a workload with one group under the knobs of ``pixels`` or ``channels``.

    Pixels are numbered p = row * width + column, ``width`` being out_w, or out_w rounded up to
    whole vectors (knob ``rows``); ``p`` and ``co`` are rounded up to whole blocks. ``unit``
    neighbouring pixels are gathered and stored at once.
    """

    w: ConvWorkload
    vectors_along: str
    lanes: int
    tile_p: int
    tile_co: int
    unit: int
    width: int
    p: int
    co: int

    @classmethod
    def of(cls, w: ConvWorkload, knobs: dict[str, Any]) -> Gemm:
        lanes, (tile_p, tile_co) = knobs["lanes"], knobs["tile"]
        unit = math.gcd(tile_p, lanes)
        width = -(-w.out_w // unit) * unit if knobs["rows"] == "padded" else w.out_w
        p_step, co_step = tile_p * knobs["blocks_p"], tile_co * knobs["blocks_co"]
        p = -(-w.out_h * width // p_step) * p_step
        co = -(-w.co // co_step) * co_step
        return cls(w, knobs["sketch"], lanes, tile_p, tile_co, unit, width, p, co)

    @property
    def k(self) -> int:
        return self.w.ci * self.w.kernel[0] * self.w.kernel[1]

    @property
    def is_pointwise(self) -> bool:
        """Whether a panel's row is contiguous in the input itself."""
        w = self.w
        return w.kernel == w.stride == (1, 1) and w.pad == (0, 0) and self.width == w.out_w

    @property
    def weights_shape(self) -> tuple[int, ...]:
        return self.co // self.tile_co, self.k, self.tile_co

    def product_index(self, n: Any, p: Any, co: Any) -> list[Any]:
        return [n, co, p] if self.vectors_along == "pixels" else [n, p, co]

    def v_index(self, n: Any, p: Any, k: Any) -> list[Any]:
        return [n, p // self.tile_p, k, p % self.tile_p // self.unit, p % self.unit]

    @property
    def v_shape(self) -> tuple[int, ...]:
        return self.w.n, self.p // self.tile_p, self.k, self.tile_p // self.unit, self.unit


def compute_gemm(g: Gemm) -> Any:
    """The PrimFunc with blocks [``pack_input``,] ``gather``, ``gemm``, ``epilogue``."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    w = g.w
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.input_shape))
        weights = T.arg("weights", T.buffer(g.weights_shape))
        epilogue = Epilogue.arguments(w, (g.co,), w.output_shape)
        y = T.arg("y", T.buffer(w.output_shape))
        v = T.sblock_alloc_buffer(g.v_shape)
        product = T.sblock_alloc_buffer(g.product_index(w.n, g.p, g.co))
        if g.is_pointwise:
            _gather_pointwise(g, x, v)
        else:
            layout = Packed.of(w, -(-g.p // g.width), g.width)
            packed = T.sblock_alloc_buffer(layout.shape)
            layout.pack_input(x, packed, g.lanes)
            _gather(g, layout, packed, v)
        _gemm(g, v, weights, product)
        _epilogue(g, product, epilogue, y)
    return builder.get()


def _gather_pointwise(g: Gemm, x: Any, v: Any) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, unit = g.w, g.unit
    loops = (1, *g.v_shape[:4])
    with T.grid(*loops) as indices, T.sblock("gather"):
        vz, vn, vt, vk, vu = map(T.axis.spatial, loops, indices)
        first = vt * g.tile_p + vu * unit
        T.reads(x[vn, vk, 0 : w.h, 0 : w.w])
        T.writes(v[vn, vt, vk, vu, whole(vz, unit)])

        def load(lane: Any) -> Any:
            return x[vn, vk, (first + lane) // w.w, (first + lane) % w.w]

        with T.If(first // unit < w.h * w.w // unit):
            with T.Then(), T.vectorized(0, unit) as lane:
                T.buffer_store(v, load(lane), [vn, vt, vk, vu, lane])
            with T.Else(), T.serial(0, unit) as lane:
                value = tirx.if_then_else(first + lane < w.h * w.w, load(lane), T.float32(0))
                T.buffer_store(v, value, [vn, vt, vk, vu, lane])


def _gather(g: Gemm, layout: Packed, packed: Any, v: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    unit, (kh, kw) = g.unit, g.w.kernel
    loops = (1, *g.v_shape[:4])
    with T.grid(*loops) as indices, T.sblock("gather"):
        vz, vn, vt, vk, vu = map(T.axis.spatial, loops, indices)
        T.sblock_attr({"kernel": [kh, kw]})  # for the schedule, which splits k by it
        ci, tap = vk // (kh * kw), (vk // kw % kh, vk % kw)
        first = vt * g.tile_p + vu * unit
        oh, ow = first // g.width, first % g.width

        _n, _ci, row_phase, row, column_phase, _ow = layout.at(vn, ci, tap, oh, ow)
        end = layout.rows.index((first + unit - 1) // g.width, tap[0]) + 1
        T.reads(packed[vn, ci, row_phase, row:end, column_phase, 0 : layout.cols.length])
        T.writes(v[vn, vt, vk, vu, whole(vz, unit)])

        def store(lane: Any, oh: Any, ow: Any) -> None:
            value = packed[tuple(layout.at(vn, ci, tap, oh, ow))]
            T.buffer_store(v, value, [vn, vt, vk, vu, lane])

        if g.width % unit == 0:
            with T.vectorized(0, unit) as lane:
                store(lane, oh, ow + lane)
            return
        with T.If(ow + unit <= g.width):
            with T.Then(), T.vectorized(0, unit) as lane:
                store(lane, oh, ow + lane)
            with T.Else(), T.unroll(0, unit) as lane:
                p = first + lane
                store(lane, p // g.width, p % g.width)


def _gemm(g: Gemm, v: Any, weights: Any, product: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    with T.grid(g.w.n, g.p, g.co, g.k) as (n, p, co, k), T.sblock("gemm"):
        vn, vp = T.axis.spatial(g.w.n, n), T.axis.spatial(g.p, p)
        vo, vk = T.axis.spatial(g.co, co), T.axis.reduce(g.k, k)
        a, b = v[tuple(g.v_index(vn, vp, vk))], weights[vo // g.tile_co, vk, vo % g.tile_co]
        index = g.product_index(vn, vp, vo)
        T.reads(a, b)
        T.writes(product[tuple(index)])
        with T.init():
            T.buffer_store(product, T.float32(0), index)
        T.buffer_store(product, product[tuple(index)] + a * b, index)


def _epilogue(g: Gemm, product: Any, epilogue: Epilogue, y: Any) -> None:
    """Units of pixels for one channel (``pixels``) or for a vector of channels (``channels``)."""
    from tvm.script.ir_builder import tirx as T

    w, unit = g.w, g.unit
    group = 1 if g.vectors_along == "pixels" else g.lanes
    loops = (w.n, g.p // unit, g.co // group)
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        vn, vu, vo = map(T.axis.spatial, loops, indices)
        start, first = vu * unit, vo * group
        channels = slice(first, first + group)
        plane = vn, channels, slice(0, w.out_h), slice(0, w.out_w)
        T.reads(
            product[tuple(g.product_index(vn, slice(start, start + unit), channels))],
            *epilogue.reads(channels, plane),
        )
        T.writes(y[plane])
        for c in range(group):
            if g.co > w.co:
                with T.If(first + c < w.co), T.Then():
                    _store_pixels(g, product, epilogue, y, (vn, start, first + c))
            else:
                _store_pixels(g, product, epilogue, y, (vn, start, first + c))


def _store_pixels(
    g: Gemm, product: Any, epilogue: Epilogue, y: Any, at: tuple[Any, Any, Any]
) -> None:
    from tvm.script.ir_builder import tirx as T

    w, (n, start, co) = g.w, at
    if g.width == w.out_w:

        def store_flat(lane: Any) -> None:
            p = start + lane
            index = [n, co, p // w.out_w, p % w.out_w]
            total = product[tuple(g.product_index(n, p, co))]
            T.buffer_store(y, epilogue.value(total, co, index), index)

        store_vector(start, w.out_h * w.out_w, g.unit, store_flat)
        return
    row, column = start // g.width, start % g.width

    def store(lane: Any) -> None:
        index = [n, co, row, column + lane]
        total = product[tuple(g.product_index(n, start + lane, co))]
        T.buffer_store(y, epilogue.value(total, co, index), index)

    with T.If(row < w.out_h), T.Then():
        store_vector(column, w.out_w, g.unit, store)
