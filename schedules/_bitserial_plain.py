"""The sketch ``plain`` of the few-bit operators: loops that LLVM makes the best of."""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options: vectors along output channels, and the core's popcount or shifts."""
    whole = w.groups == 1 or w.co // w.groups % 8 == 0
    return {"vectorize": [True, False] if whole else [False], "popcount": ["cnt", "swar"]}


def default(w: Any, target: Any) -> Knobs:
    options = space(w, target)
    return {"sketch": "plain", **{name: values[0] for name, values in options.items()}}


def legal(_w: Any, _target: Any, _knobs: Knobs) -> bool:
    """All of them."""
    return True


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``pack_input``, ``sums``, ``finish`` in place; threads take words of y."""
    finish, sums = sch.get_sblock("finish"), sch.get_sblock("sums")
    n, row, col, word = sch.get_loops(finish)
    sch.reorder(word, n, row, col)
    sch.parallel(word)
    sch.compute_at(sums, col, preserve_unit_loops=True)
    sch.set_scope(sums, 0, "local")
    *_, tile, lane, a, b, i, j, k = sch.get_loops(sums)
    sch.reorder(tile, a, b, i, j, k, lane)
    if knobs["vectorize"]:
        sch.vectorize(lane)
    sch.decompose_reduction(sums, a)
