"""The PrimFunc of a few-bit convolution by register tiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_ops.operators._bits import WORDS
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._bitserial_borders import edges, is_corrected
from tvm_ops.operators._bitserial_chained import Chained
from tvm_ops.operators._bitserial_pack import Order
from tvm_ops.operators._bitserial_panels import chain_panels
from tvm_ops.operators._bitserial_tile import module
from tvm_ops.operators._bitserial_tiled import Tiled
from tvm_ops.operators._bitserial_words import padded_word
from tvm_ops.operators._conv_pack import whole


def arguments(w: FewBitWorkload, order: Order) -> dict[str, Any]:
    """The PrimFunc's buffers by name, in the order of the C function."""
    from tvm.script.ir_builder import tirx as T

    weights = order.weights_shape
    groups, tiles, lanes = weights[0], weights[1], weights[-1]
    kind = f"uint{order.sum_bits}"
    buffers = {
        "x": T.arg("x", T.buffer(w.kernel_input_shape, str(np.dtype(WORDS[w.word])))),
        "weights": T.arg("weights", T.buffer(weights, f"uint{512 // lanes}")),
    }
    levels = 2**w.out_bits - 1
    if order.starts:
        levels -= 1
        buffers["starts"] = T.arg("starts", T.buffer((groups, tiles, order.starts), "int32"))
    elif w.glue == "acc":
        offsets = T.buffer((groups, tiles, lanes), w.output_dtype)
        buffers["offsets"] = T.arg("offsets", offsets)
    if levels > 0:
        buffers["bounds"] = T.arg("bounds", T.buffer((groups, tiles, levels, lanes), kind))
    if not order.starts and w.glue != "acc":
        buffers["flips"] = T.arg("flips", T.buffer((groups, tiles), f"uint{lanes}"))
    if is_corrected(w):
        rows, cols = edges(w)
        shape = (rows.classes * cols.classes, groups, tiles, lanes)
        buffers["corrections"] = T.arg("corrections", T.buffer(shape, kind))
    buffers["y"] = T.arg("y", T.buffer(w.kernel_output_shape, w.output_dtype))
    return buffers


def compute_tiled(t: Tiled) -> Any:
    """The PrimFunc."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = arguments(t.w, t)
        packed = buffers["x"]
        if isinstance(t, Chained):
            packed = T.sblock_alloc_buffer(t.packed_shape, "uint64")
            chain_panels(t, buffers["x"], packed)
        elif t.x != "direct":
            packed = T.sblock_alloc_buffer(t.packed_shape, "uint64")
            (_pack_panels if t.x == "im2col" else _pack_rows)(t, buffers["x"], packed)
        table = None
        if t.has_table:
            table = T.sblock_alloc_buffer((t.pixels.size, 2 if t.is_corrected else 1), "int32")
            _table(t, table)
        _tile(t, packed, table, buffers)
    return builder.get()


def _pack_rows(t: Tiled, x: Any, packed: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    w = t.w
    loops = (*t.packed_shape[:6], t.words)
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        vn, vg, vr, vp, vb, vc, vk = map(T.axis.spatial, loops, indices)
        T.reads(x[vn, 0 : w.h, 0 : w.w, vp, 0 : x.shape[4]])
        at = [vn, vg, vr, vp, vb, vc]
        T.writes(packed[(*at, slice(vk * t.times, vk * t.times + t.times))])
        value = padded_word(w, x, [vn, vr, vc], vp, vg, vb * t.words + vk, t.blocks * t.words)
        for i in range(t.times):
            T.buffer_store(packed, value, [*at, vk * t.times + i])


def _pack_panels(t: Tiled, x: Any, packed: Any) -> None:
    """A panel is [row and column of the chunk's taps, word, pixel of the tile]."""
    from tvm.script.ir_builder import tirx as T

    w, kw, p = t.w, t.w.kernel[1], t.pixels.tile
    loops = (*t.packed_shape[:4], t.row_parts, t.blocks, t.cut[0], kw, t.words, p)
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        vn, vg, vt, va, vr, vb, vi, vj, vk, vp = map(T.axis.spatial, loops, indices)
        first = (((vi * kw + vj) * t.words + vk) * p + vp) * t.times
        at = [vn, vg, vt, va, vr * t.blocks + vb]
        T.reads(x[vn, 0 : w.h, 0 : w.w, va, 0 : x.shape[4]])
        T.writes(packed[(*at, slice(first, first + t.times))])
        pixel = t.pixels.start(vt) + vp
        row = pixel // w.out_w * w.stride[0] + vr * t.cut[0] + vi
        col = pixel % w.out_w * w.stride[1] + vj
        value = padded_word(w, x, [vn, row, col], va, vg, vb * t.words + vk, t.blocks * t.words)
        for i in range(t.times):
            T.buffer_store(packed, value, [*at, first + i])


def _table(t: Tiled, table: Any) -> None:
    """Of each output pixel, where its window begins and, in bytes, its class of corrections."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, (rows, cols) = t.w, edges(t.w)
    classes = t.weights_shape[0] * t.tiles * t.lanes * t.sum_bits // 8
    with T.grid(w.out_h, w.out_w) as indices, T.sblock("table"):
        vr, vc = map(T.axis.spatial, (w.out_h, w.out_w), indices)
        pixel = vr * w.out_w + vc
        T.reads()
        T.writes(table[pixel, 0 : table.shape[1]])
        start = vr * w.stride[0] * t.row + vc * w.stride[1] * t.column
        if t.x == "im2col":  # the tile's panel, wherever the pixel is
            start = tirx.IntImm("int32", 0)
        T.buffer_store(table, start, [pixel, 0])
        if t.is_corrected:
            number = rows.of(vr) * cols.classes + cols.of(vc)
            T.buffer_store(table, number * classes, [pixel, 1])


def _tile(t: Tiled, packed: Any, table: Any, buffers: dict[str, Any]) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, y = t.w, buffers["y"]
    body, last = t.tile(False), t.tile(True)
    kinds = (1, w.n, w.groups, t.tiles, t.pixels.tiles)
    with T.grid(*kinds) as indices, T.sblock("tile"):
        vz, vn, vg, vt, vp = map(T.axis.spatial, kinds, indices)
        pixel = t.pixels.start(vp)
        read = [vn, vg, vp] if t.x == "im2col" else [vn]
        T.reads(
            packed[(*read, *(slice(0, s) for s in packed.shape[len(read) :]))],
            *([table[whole(vz, t.pixels.size), 0 : table.shape[1]]] if table is not None else []),
            *(
                buffers[name][tuple(slice(0, s) for s in buffers[name].shape)]
                for name in ("weights", *body.glue.arguments)
            ),
        )
        T.writes(y[(vn, *(slice(0, s) for s in y.shape[1:]))])
        T.sblock_attr({"pragma_import_llvm": module([body, last])})
        pointers = {
            "x": _x(t, packed, table, vn, vg, vp, pixel),
            "weights": buffers["weights"][vg, vt, 0, 0, 0, 0],
            "y": y[(vn, *(0 for _ in y.shape[1:]))],
        }
        if table is not None:
            pointers["table"] = table[pixel, 0]
        for name in body.glue.arguments:
            rest = [0] * (len(buffers[name].shape) - 2)
            at = [0, vg, vt, 0] if name == "corrections" else [vg, vt, *rest]
            pointers[name] = buffers[name][at]
        per_tile = t.lanes * (body.glue.y_bits if w.glue == "acc" else 1) // 8
        channels = vg * t.channels // t.lanes * per_tile if w.groups > 1 else 0
        byte = pixel * body.glue.y_step + channels + vt * per_tile

        def call(tile: Any) -> None:
            addresses = [tirx.address_of(pointers[name]) for name in tile.arguments]
            T.evaluate(tirx.call_extern("int32", tile.name, *addresses, byte))

        if body == last:
            call(body)
        else:
            ends = tirx.all(vt == t.tiles - 1, vg == w.groups - 1)
            with T.If(ends):
                with T.Then():
                    call(last)
                with T.Else():
                    call(body)


def _x(t: Tiled, packed: Any, table: Any, n: Any, group: Any, tile: Any, pixel: Any) -> Any:
    """The first word of the tile's first pixel; of the image, where the table has the rest."""
    if t.x == "im2col":
        return packed[n, group, tile, 0, 0, 0]
    row = pixel // t.w.out_w * t.w.stride[0] if table is None else 0
    col = pixel % t.w.out_w * t.w.stride[1] if table is None else 0
    if t.x == "direct":
        return packed[n, row, col, 0, group * t.w.group_words]
    return packed[n, group, row, 0, 0, col, 0]
