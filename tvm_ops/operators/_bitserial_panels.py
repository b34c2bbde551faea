"""The input of chains, as TIR: padded rows of x, then running xors of each pixel's window."""

from __future__ import annotations

from itertools import product
from typing import Any

from tvm_ops.operators._bitserial_chained import Chained
from tvm_ops.operators._bitserial_words import padded_word


def chain_panels(t: Chained, x: Any, panels: Any) -> None:
    """Blocks ``pack_input`` and ``panels``."""
    from tvm.script.ir_builder import tirx as T

    rows = T.sblock_alloc_buffer(t.rows_shape, "uint64")
    with T.grid(*t.rows_shape) as indices, T.sblock("pack_input"):
        vn, vg, vp, vr, vc, vk = map(T.axis.spatial, t.rows_shape, indices)
        T.reads(x[vn, 0 : t.w.h, 0 : t.w.w, vp, 0 : x.shape[4]])
        T.writes(rows[vn, vg, vp, vr, vc, vk])
        value = padded_word(t.w, x, [vn, vr, vc], vp, vg, vk, t.blocks * t.words)
        T.buffer_store(rows, value, [vn, vg, vp, vr, vc, vk])
    _panels(t, rows, panels)


def _panels(t: Chained, rows: Any, panels: Any) -> None:
    """A tile's pixels of a plane and a part of the window: [run, word, pixel, 2]."""
    from tvm.script.ir_builder import tirx as T

    w, pixels = t.w, t.chain.pixels
    loops = (*panels.shape[:5], 1)
    taps = [(i, j, k) for i in range(t.cut[0]) for j in range(w.kernel[1]) for k in range(t.words)]
    with T.grid(*loops) as indices, T.sblock("panels"):
        *at, whole = map(T.axis.spatial, loops, indices)
        vn, vg, vt, va, part = at
        T.reads(rows[(vn, vg, va, *(slice(0, s) for s in rows.shape[3:]))])
        words = panels.shape[5]
        T.writes(panels[(*at, slice(whole * words, whole * words + words))])
        for run, p in product(range(t.runs), range(pixels)):
            pixel = t.pixels.start(vt) + run * pixels + p
            row = pixel // w.out_w * w.stride[0] + part // t.blocks * t.cut[0]
            col = pixel % w.out_w * w.stride[1]
            for s, (i, j, k) in enumerate(taps):
                value = rows[vn, vg, va, row + i, col + j, part % t.blocks * t.words + k]
                place = ((run * t.steps + s) * pixels + p) * 2
                if s:
                    value = value ^ panels[(*at, place - 2 * pixels)]
                for twice in range(2):
                    T.buffer_store(panels, value, [*at, place + twice])
