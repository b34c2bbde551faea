"""Winograd as AutoTVM's template for ARM computes it: one product of matrices for each element.

The products of a group of output channels are computed for all tiles, then its tiles one by one.
The data flow is that of TVM's former template ``conv2d_nchw_winograd.arm_cpu``, which has F(4, 3).
"""

from __future__ import annotations

from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._epilogue import Epilogue
from tvm_ops.operators._winograd import apply_2d, matrices
from tvm_ops.operators._winograd_blocks import Geometry


def batch_gemm_geometry(w: ConvWorkload, knobs: dict[str, Any]) -> Geometry:
    """Nothing is rounded up: ``tile_p`` divides the tiles, ``tile_k`` the output's channels."""
    m = tuple(knobs["m"])
    tiles_h, tiles_w = -(-w.out_h // m[0]), -(-w.out_w // m[1])
    return Geometry(
        m=m, lanes=1, tile_p=knobs["tile_p"], tile_co=knobs["tile_k"], tiles_h=tiles_h,
        tiles_w=tiles_w, tiles=tiles_h * tiles_w, ci=w.ci, co=w.co, channels=1,
    )  # fmt: skip


def compute_batch_gemm(w: ConvWorkload, g: Geometry) -> Any:
    """Blocks ``pack_input``, ``transform``, ``gemm``, ``inverse``, ``epilogue``; n has to be 1."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    size = g.m[0] + 2, g.m[1] + 2
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.input_shape))
        u = T.arg("weights", T.buffer((g.elements, g.co // g.tile_co, g.ci, g.tile_co)))
        after = Epilogue.arguments(w, (w.co,), w.output_shape)
        y = T.arg("y", T.buffer(w.output_shape))
        groups = g.tiles // g.tile_p
        d = T.sblock_alloc_buffer((groups, g.ci, *size, g.tile_p))
        v = T.sblock_alloc_buffer((g.elements, groups, g.ci, g.tile_p))
        product = T.sblock_alloc_buffer((g.elements, g.co, g.tiles))
        sums = T.sblock_alloc_buffer((g.co, g.tiles, *g.m))
        _pack_input(w, g, x, d)
        _transform(g, d, v)
        _gemm(g, v, u, product)
        _inverse(g, product, sums)
        _epilogue(w, g, sums, after, y)
    return builder.get()


def _pack_input(w: ConvWorkload, g: Geometry, x: Any, d: Any) -> None:
    """d[tiles of a group, ci, row, column, tile]."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    loops = tuple(map(int, d.shape))
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        vb, vc, vi, vj, vt = map(T.axis.spatial, loops, indices)
        tile = vb * g.tile_p + vt
        row = tile // g.tiles_w * g.m[0] + vi - w.pad[0]
        col = tile % g.tiles_w * g.m[1] + vj - w.pad[1]
        value = x[0, vc, row, col]
        T.reads(value)
        T.writes(d[vb, vc, vi, vj, vt])
        inside = tirx.all(row >= 0, row < w.h, col >= 0, col < w.w)
        T.buffer_store(d, tirx.if_then_else(inside, value, T.float32(0)), [vb, vc, vi, vj, vt])


def _transform(g: Geometry, d: Any, v: Any) -> None:
    """v[element, tiles of a group, ci, tile]; all elements of a tile in straight-line code."""
    from tvm.script.ir_builder import tirx as T

    rows, cols = matrices(g.m[0]).input, matrices(g.m[1]).input
    loops = (1, g.tiles // g.tile_p, g.ci, g.tile_p)
    with T.grid(*loops) as indices, T.sblock("transform"):
        vz, vb, vc, vt = map(T.axis.spatial, loops, indices)
        T.reads(d[vb, vc, 0 : len(rows), 0 : len(cols), vt])
        T.writes(v[vz * g.elements : vz * g.elements + g.elements, vb, vc, vt])
        values = apply_2d(rows, cols, lambda r, c: d[vb, vc, r, c, vt], T.bind)
        for element, value in enumerate(value for row in values for value in row):
            T.buffer_store(v, value, [vz * g.elements + element, vb, vc, vt])


def _gemm(g: Geometry, v: Any, u: Any, product: Any) -> None:
    """product[element, co, tile] = sum over ci of u * v."""
    from tvm.script.ir_builder import tirx as T

    spatial = tuple(map(int, product.shape))
    with T.grid(*spatial, g.ci) as indices, T.sblock("gemm"):
        ve, vk, vp = map(T.axis.spatial, spatial, indices[:3])
        vc = T.axis.reduce(g.ci, indices[3])
        a = u[ve, vk // g.tile_co, vc, vk % g.tile_co]
        b = v[ve, vp // g.tile_p, vc, vp % g.tile_p]
        T.reads(a, b)
        T.writes(product[ve, vk, vp])
        with T.init():
            T.buffer_store(product, T.float32(0), [ve, vk, vp])
        T.buffer_store(product, product[ve, vk, vp] + a * b, [ve, vk, vp])


def _inverse(g: Geometry, product: Any, sums: Any) -> None:
    """sums[co, tile, row, column]."""
    from tvm.script.ir_builder import tirx as T

    rows, cols = matrices(g.m[0]).inverse, matrices(g.m[1]).inverse
    loops, (height, width) = (1, 1, g.co, g.tiles), g.m
    with T.grid(*loops) as indices, T.sblock("inverse"):
        vz, vy, vk, vp = map(T.axis.spatial, loops, indices)
        T.reads(product[0 : g.elements, vk, vp])
        top, left = vz * height, vy * width
        T.writes(sums[vk, vp, top : top + height, left : left + width])
        values = apply_2d(rows, cols, lambda r, c: product[r * cols.shape[1] + c, vk, vp], T.bind)
        for r, row in enumerate(values):
            for c, value in enumerate(row):
                T.buffer_store(sums, value, [vk, vp, top + r, left + c])


def _epilogue(w: ConvWorkload, g: Geometry, sums: Any, after: Epilogue, y: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    (mh, mw), loops = g.m, w.output_shape
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        at = list(map(T.axis.spatial, loops, indices))
        _vn, vk, vh, vw = at
        total = sums[vk, vh // mh * g.tiles_w + vw // mw, vh % mh, vw % mw]
        T.reads(total, *after.reads(vk, at))
        T.writes(y[tuple(at)])
        T.buffer_store(y, after.value(total, vk, at), at)
