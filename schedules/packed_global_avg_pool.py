"""Schedules of ``packed_global_avg_pool``: how many pixels the loop takes at once."""

from __future__ import annotations

from typing import Any

from schedules._calls import annotate_call

Knobs = dict[str, Any]

STRUCTURAL = {"unroll": None}

_PARALLEL = 1 << 14  # bytes of x, 20 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """One sketch."""
    return {"counters": {"unroll": [u for u in (1, 2, 4, 7) if u <= w.h * w.w]}}


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """All are."""
    return True


def default(w: Any, target: Any) -> Knobs:
    """As many as there are up to 4."""
    unroll = max(u for u in space(w, target)["counters"]["unroll"] if u <= 4)
    return {"sketch": "counters", "unroll": unroll}


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the pieces in place."""
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        _image, piece = sch.get_loops(block)
        annotate_call(sch, block, piece, _PARALLEL)
