"""The block ``pack_input`` of convolutions of channels in blocks: padded rows, or panels."""

from __future__ import annotations

from typing import Any

from tvm_ops.operators._conv_pack import whole
from tvm_ops.operators._conv_tiles import Tiling


def source(t: Tiling, x: Any) -> Any:
    """What the tiles read: x itself, or a buffer that ``pack_input`` fills."""
    from tvm.script.ir_builder import tirx as T

    if t.x == "direct":
        return x
    packed = T.sblock_alloc_buffer(t.packed_shape)
    forms = {"panels": _pack_panels, "padded": _pack_rows, "interleaved": _pack_interleaved}
    forms[t.x](t, x, packed)
    return packed


def _pack_panels(t: Tiling, x: Any, panels: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    w, (n, tiles, blocks, pixels, c) = t.w, t.packed_shape
    loops = (n, tiles, pixels, blocks, c)  # a pixel's row and column are found once
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        vn, vt, vp, vb, vl = map(T.axis.spatial, loops, indices)
        pixel = t.cols.start(vt) + vp
        row, col = pixel // w.out_w * w.stride[0], pixel % w.out_w * w.stride[1]
        value = x[vn, vb, 0, pixel, vl] if w.stride == (1, 1) else x[vn, vb, row, col, vl]
        T.reads(value)
        T.writes(panels[vn, vt, vb, vp, vl])
        T.buffer_store(panels, value, [vn, vt, vb, vp, vl])


def _pack_rows(t: Tiling, x: Any, padded: Any) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, (ph, pw), c = t.w, t.w.pad, t.w.block[0]
    width = t.packed_shape[4]
    loops = (1, 1, *t.packed_shape[:4])
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        vz, vy, vn, vk, vb, vr = map(T.axis.spatial, loops, indices)
        row = t.rows.start(vk * t.rows.block) * w.stride[0] + vr - ph
        T.reads(x[vn, vb, row, 0 : w.w, 0:c])
        T.writes(padded[vn, vk, vb, vr, whole(vz, width), whole(vy, c)])

        def fill(first: int, end: int, value: Any) -> None:
            if end > first:
                with T.serial(0, end - first) as i, T.vectorized(0, c) as lane:
                    at = [vn, vk, vb, vr, first + i, lane]
                    T.buffer_store(padded, value(first + i - pw, lane), at)

        def zero(_col: Any, _lane: Any) -> Any:
            return T.float32(0)

        with T.If(tirx.all(row >= 0, row < w.h)):
            with T.Then():
                fill(0, pw, zero)
                fill(pw, pw + w.w, lambda col, lane: x[vn, vb, row, col, lane])
                fill(pw + w.w, width, zero)
            with T.Else():
                fill(0, width, zero)


def _pack_interleaved(t: Tiling, x: Any, packed: Any) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, (ph, pw) = t.w, t.w.pad
    floats = t.packed_shape[3]
    loops = (1, 1, *t.packed_shape[:3])
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        vz, vy, vn, vk, vr = map(T.axis.spatial, loops, indices)
        row = t.rows.start(vk * t.rows.block) * w.stride[0] + vr - ph
        T.reads(x[vn, whole(vy, w.ci), row, 0 : w.w, 0:1])
        T.writes(packed[vn, vk, vr, whole(vz, floats)])

        def zeros(first: int, end: int) -> None:
            with T.serial(0, end - first) as i:
                T.buffer_store(packed, T.float32(0), [vn, vk, vr, first + i])

        with T.If(tirx.all(row >= 0, row < w.h)):
            with T.Then():
                zeros(0, pw * w.ci)
                with T.serial(0, w.w) as col, T.unroll(0, w.ci) as channel:
                    at = [vn, vk, vr, (pw + col) * w.ci + channel]
                    T.buffer_store(packed, x[vn, channel, row, col, 0], at)
                zeros((pw + w.w) * w.ci, floats)
            with T.Else():
                zeros(0, floats)
