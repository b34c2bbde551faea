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
    """Groups as long as thresholds stay in registers in order, else as there is to do at a time.

    The next pixels are asked for (64 at 56x56, float, on A53: 671 modelled kcycles, 1329 without).
    In order 2 bits take 32 channels (128 at 28x28, s16, on A53: 157, with 64 198). The 7 thresholds
    of 3 bits fit no registers: they are read for each pixel (512 at 7x7, s8: 49 instead of 61 on
    A53, 20.5 instead of 26.8 on A72). Two pixels side by side are at most 6 % slower than one, and
    up to 27 % faster (128 at 28x28, float, on A76: 32 instead of 44).
    """
    options = space(w, target)["vectors"]
    most = 64 if w.a_bits == 3 else 128
    if target.core == "cortex-a53":
        most = 32 if w.a_bits == 2 else 64
    group = next(g for g in options["group"] if g <= most)
    block = next(b for b in options["block"] if b <= (1 if w.a_bits == 3 else 16))
    at_once = next(a for a in (4, 2, 1) if (a < 4 or group <= 16) and block % a == 0)
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
