"""Knobs, workloads and targets as rows of numbers, for the cost model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task
from tvm_ops.template import get_schedule
from tvm_ops.tuning.space import Space

GUESS = "cycles"  # the feature that is the template's own guess, as a logarithm to the base of 2


class RowMaker:
    """Makes rows of candidates: the template's guess, knobs, the template's features, the task.

    The columns are for ``space``, which may be that of another workload of the operator than the
    candidates'. A template without ``features`` has no such columns, and its guesses
    are 0.
    """

    def __init__(self, space: Space, task: Task | None = None) -> None:
        self._task, self._knobs = task, KnobColumns(space)
        self._features = task and getattr(get_schedule(task.operator), "features", None)
        self._ending = task_row(task.workload, task.target) if task else []
        self._start = 1 + len(self._knobs.names)

    def row(self, knobs: Knobs) -> list[float] | None:
        """As many numbers as all rows for this space have; None for knobs of other names.

        The guess is a natural logarithm, larger for what is faster, as scores are.
        """
        own = self._knobs.row(knobs)
        if own is None:
            return None
        found: dict[str, float] = {}
        if self._task and self._features:
            found = self._features(self._task.workload, self._task.target, knobs)
        guess = -math.log(2) * found.get(GUESS, 0.0)
        return [guess, *own, *found.values(), *self._ending]

    def rows(self, candidates: Sequence[Knobs]) -> NDArray[np.float32]:
        """Of candidates of the space itself: [n, columns]."""
        found: NDArray[np.float32] = np.array([self.row(k) for k in candidates], np.float32)
        return found

    def tile(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The columns of the template's features."""
        return rows[:, self._start : rows.shape[1] - len(self._ending)]


class KnobColumns:
    """A column for each sketch, whether it is this one, and for each number of its knobs.

    ``names`` are the columns' knobs, or ``sketch``.
    """

    def __init__(self, space: Space) -> None:
        self.names: list[str] = []
        self._of_sketch: dict[str, tuple[int, list[tuple[str, list[Any], int]]]] = {}
        self._other: list[float] = []
        for sketch in sorted(space):
            knobs = [(name, options, _width(options)) for name, options in space[sketch].items()]
            self._of_sketch[sketch] = len(self.names), knobs
            own = ["sketch", *(name for name, _, width in knobs for _ in range(width))]
            self.names += own
            self._other += [0.0, *[-1.0] * (len(own) - 1)]

    def row(self, knobs: Knobs) -> list[float] | None:
        """Knobs as numbers; -1 in the columns of other sketches.

        Knobs of another workload have a row where they have the same names, else None.
        """
        if knobs.get("sketch") not in self._of_sketch:
            return None
        start, own = self._of_sketch[knobs["sketch"]]
        found = [1.0]
        for name, options, width in own:
            numbers = _as_numbers(knobs[name], options) if name in knobs else []
            if len(numbers) != width:
                return None
            found += numbers
        return self._other[:start] + found + self._other[start + len(found) :]


def task_row(workload: Any, target: Target) -> list[float]:
    """The sizes of a workload and what the target can do, as logarithms."""
    row: list[float] = []
    for field in fields(workload):
        value = getattr(workload, field.name)
        row += [_log(v) for v in (value if isinstance(value, tuple) else [value]) if _is_size(v)]
    row += [_log(target.macs_per_cycle), float(target.core == "cortex-a53")]  # the one in order
    return row + [_log(kib) for kib in (target.l1d_kib, target.l2_kib, target.l3_kib)]


def _is_size(value: Any) -> bool:
    return type(value) is int  # a flag is no size


def _log(value: float) -> float:
    return math.log2(1 + value)


def _width(options: list[Any]) -> int:
    """How many numbers an option is."""
    first = options[0]
    if isinstance(first, list):
        return len(first) + 1
    return len(_words(first, options)) if isinstance(first, str) else 1


def _as_numbers(value: Any, options: list[Any]) -> list[float]:
    if isinstance(value, str):
        return _words(value, options)
    if isinstance(value, list):
        return [_log(v) for v in value] + [_log(math.prod(value))]
    return [_log(float(value))]


def _words(value: str, options: list[str]) -> list[float]:
    """Of each word which of those in its place it is; of options of one word which option."""
    numbers = _numbered(tuple(options))
    return numbers.get(value) or [-1.0] * len(numbers[options[0]])


@cache
def _numbered(options: tuple[str, ...]) -> dict[str, list[float]]:
    words = [option.split() for option in options]
    if len({len(w) for w in words}) != 1 or len(words[0]) == 1:
        return {option: [float(number)] for number, option in enumerate(options)}
    places = [sorted(set(place)) for place in zip(*words, strict=True)]
    return {
        option: [float(place.index(word)) for place, word in zip(places, own, strict=True)]
        for option, own in zip(options, words, strict=True)
    }
