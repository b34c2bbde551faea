"""Schedules of ``packed_concat``: how many pixels one call takes."""

from __future__ import annotations

from typing import Any

from schedules._calls import annotate_call

Knobs = dict[str, Any]

STRUCTURAL = {"pixels": None}

_PARALLEL = 1 << 15  # bytes of y, 20 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """One sketch."""
    return {"pixels": {"pixels": [p for p in (1, 2, 4) if p <= w.n * w.h * w.w]}}


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether a call is of a size that stays in the I-cache."""
    return bool(knobs["pixels"] == 1 or knobs["pixels"] * w.a_bits * w.c <= 4096)


def default(w: Any, target: Any) -> Knobs:
    """As many pixels as may be, but one on A72 where they have more than a line each.

    256 and 256 channels of two bits at 12x12 there: 17.6 modelled codes a cycle, with 4 pixels
    15.5; 64 and 64 of one bit at 54x54: 30.8 with 4.
    """
    choices = [{"sketch": "pixels", "pixels": p} for p in space(w, target)["pixels"]["pixels"]]
    if target.core == "cortex-a72" and w.a_bits * w.c > 512:
        return choices[0]
    return max((k for k in choices if legal(w, target, k)), key=lambda k: k["pixels"])


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``concat`` in place."""
    concat = sch.get_sblock("concat")
    (tile,) = sch.get_loops(concat)
    annotate_call(sch, concat, tile, _PARALLEL)
