"""Knobs, workloads and targets as rows of numbers, for the cost model."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import cache
from typing import Any

from tvm_ops.targets import Target
from tvm_ops.task import Knobs
from tvm_ops.tuning.space import Space


def knob_row(space: Space, knobs: Knobs) -> list[float] | None:
    """For each sketch whether it is this one, and its knobs as numbers; -1 where it is another.

    The columns are the space's own. Knobs of another workload have a row where they have the same
    names, else None.
    """
    if knobs.get("sketch") not in space:
        return None
    row: list[float] = []
    for sketch in sorted(space):
        mine = sketch == knobs["sketch"]
        row.append(float(mine))
        for name, options in space[sketch].items():
            width = _width(options)
            numbers = [-1.0] * width
            if mine:
                numbers = _as_numbers(knobs[name], options) if name in knobs else []
            if len(numbers) != width:
                return None
            row += numbers
    return row


def knob_columns(space: Space) -> list[str]:
    """For each column of ``knob_row`` the name of its knob, or ``sketch``."""
    names = []
    for sketch in sorted(space):
        names.append("sketch")
        for name, options in space[sketch].items():
            names += [name] * _width(options)
    return names


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
