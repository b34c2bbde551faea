"""Schedules of ``packed_max_pool2d``: how many pixels of a row are made together."""

from __future__ import annotations

from typing import Any

from schedules._calls import annotate_call

Knobs = dict[str, Any]

STRUCTURAL = {"pixels": None}

_PARALLEL = 1 << 15  # bytes of y, 20 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """One sketch: the rows of windows, ``pixels`` at a time."""
    return {"rows": {"pixels": [p for p in (1, 2, 4, 7) if p <= w.out_w]}}


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether a call is of a size that stays in the I-cache."""
    vectors = -(-w.c // 128) * w.a_bits * w.kernel[0] * w.kernel[1]
    return bool(knobs["pixels"] == 1 or vectors * knobs["pixels"] <= 256)


def default(w: Any, target: Any) -> Knobs:
    """Up to 4 pixels of one plane, 2 of more, which need more registers.

    256 channels of two bits at 28x28, 3x3 with stride 2, on A72: 15.0 kcycles, with 4 pixels 20.3;
    64 channels of one bit at 55x55: 5.4 kcycles, with 1 pixel 6.6.
    """
    most = 4 if w.a_bits == 1 else 2
    choices = [{"sketch": "rows", "pixels": p} for p in (1, 2, 4) if p <= min(most, w.out_w)]
    return max((k for k in choices if legal(w, target, k)), key=lambda k: k["pixels"])


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``inside`` and the edges in place."""
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        _n, row, _tile = sch.get_loops(block)
        annotate_call(sch, block, row, _PARALLEL)
