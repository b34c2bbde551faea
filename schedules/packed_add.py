"""Schedules of ``packed_add``: how many pixels one call takes, and the order of pieces."""

from __future__ import annotations

from typing import Any

from schedules._calls import annotate_call

Knobs = dict[str, Any]

STRUCTURAL = {"order": None}

_PARALLEL = 1 << 15  # bytes of y, 20 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """One sketch: pieces of planes, whose bounds stay in registers if pixels are inside."""
    pixels = [p for p in (1, 2, 4, 8) if 16 * p <= max(16, w.n * w.h * w.w)]
    return {"pieces": {"pixels": pixels, "order": ["pixels_inner", "pieces_inner"]}}


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """All are."""
    return True


def default(w: Any, target: Any) -> Knobs:
    """A line of 64 bytes of x at once, or what of more planes leaves registers for their bounds.

    x, residual and y can lie 16 KB apart or a multiple, a way of the A72's L1, which has two: then
    what a call reads of a line is all that is there of it. Bounds of several levels are loaded for
    each call. Modelled sums a cycle on A72: 64 channels of one bit at 56x56 with 8 pixels 19.1, 2
    pixels 2.9; two bits, 128 channels at 28x28, 4 pixels 4.2, 2 pixels 1.8, pieces outside 2.2.
    For sums as bytes 8 pixels take registers that are not there (A53: 1.0, with 2 pixels 1.3).
    """
    wanted = {1: 8, 2: 4, 3: 2}[w.a_bits] if w.out_bits else 2
    pixels = max(p for p in space(w, target)["pieces"]["pixels"] if p <= wanted)
    return {"sketch": "pieces", "pixels": pixels, "order": "pieces_inner"}


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the pieces in place."""
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        piece, tile = sch.get_loops(block)
        if knobs["order"] == "pieces_inner":
            sch.reorder(tile, piece)
        annotate_call(sch, block, tile, _PARALLEL)
