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
            "isa": [target.isa],
        }
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether whole steps make a block, and the code stays short."""
    channels = min(knobs["group"], w.c)
    short = channels * knobs["at_once"] <= 256
    return bool(knobs["block"] % knobs["at_once"] == 0 and short)


def default(w: Any, target: Any) -> Knobs:
    """Groups of a word, or all channels; several pixels side by side where they are few."""
    options = space(w, target)["vectors"]
    group = next((g for g in options["group"] if g <= 64), 8)
    block = next(b for b in options["block"] if b <= 16)
    at_once = next(a for a in (4, 2, 1) if a * group <= 64 and block % a == 0) if group < 64 else 1
    return {
        "sketch": "vectors", "group": group, "block": block, "at_once": at_once,
        "isa": target.isa,
    }  # fmt: skip


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``quantize`` in place."""
    quantize = sch.get_sblock("quantize")
    size = sch.get(quantize).annotations["bytes"]
    sch.unannotate(quantize, "bytes")
    if size >= _PARALLEL:
        sch.parallel(*sch.get_loops(quantize))
