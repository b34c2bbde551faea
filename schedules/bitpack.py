"""Schedules of ``bitpack``: for block of pixels: for group of channels: for pixel: a vector kernel.

The kernel is LLVM IR (``_bitpack_tile``), so knobs say how it is made, and only threads are left.
"""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

STRUCTURAL = {"group": None}  # how channels are cut; None: any of the space

_PARALLEL = 1 << 17  # bytes of x: about 20 us from memory on every board, as starting threads takes


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """The one sketch: channels of a ``group``, pixels of a ``block`` and side by side."""
    pixels = w.n * w.h * w.w
    return {
        "vectors": {
            "group": [g for g in (128, 64, 32, 16, 8) if g < 2 * w.c or g == 8],
            "block": [b for b in (64, 32, 16, 8, 4, 2, 1) if b <= pixels],
            "at_once": [1, 2, 4],
            "ahead": [True, False],
            "isa": [target.isa],
        }
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether whole steps make a block, and the code stays short."""
    channels = min(knobs["group"], w.c)
    short = channels * knobs["at_once"] <= 256
    return bool(knobs["block"] % knobs["at_once"] == 0 and short)


def default(w: Any, target: Any) -> Knobs:
    """Groups whose thresholds stay in registers, in order; out of order as much as there is to do.

    The next pixels are asked for (64 at 56x56, float, on A53: 670 modelled kcycles, 1329 without).
    2 bits take 32 channels in order (128 at 28x28, s16, on A53: 153, with 64 198), or of 4 bytes
    (256 at 14x14, float, on A72: 88, with 128 93). The 7 thresholds of 3 bits fit no registers:
    they are read for each pixel (512 at 7x7, s8: 49 instead of 60 on A53, 20.5 instead of 25.8 on
    A72). Of one bit two pixels side by side take up to 6 % longer than one (64 at 56x56, float, on
    A72), or 19 % less time (128 at 28x28, float, on A76: 36 instead of 45).
    """
    options = space(w, target)["vectors"]
    in_order, wide = target.core == "cortex-a53", w.x in ("f32", "s32")
    few = w.a_bits == 2 and (in_order or wide)
    most = 32 if few else 64 if in_order or w.a_bits == 3 else 128
    group = next(g for g in options["group"] if g <= most)
    block = next(b for b in options["block"] if b <= (1 if w.a_bits == 3 else 16))
    side = 4 if group <= 16 else 1 if wide and w.a_bits == 2 else 2
    at_once = next(a for a in (4, 2, 1) if a <= side and block % a == 0)
    return {
        "sketch": "vectors", "group": group, "block": block, "at_once": at_once,
        "ahead": block > at_once, "isa": target.isa,
    }  # fmt: skip


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``quantize`` in place."""
    quantize = sch.get_sblock("quantize")
    size = sch.get(quantize).annotations["bytes"]
    sch.unannotate(quantize, "bytes")
    if size >= _PARALLEL:
        sch.parallel(*sch.get_loops(quantize))
