"""Reads what ``tvm-ops compare --json`` wrote, for the report."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_ops.comparison import OURS, UNTUNED
from tvm_ops.errors import InputError
from tvm_ops.report_history import board_label
from tvm_ops.targets import get_target


@dataclass(frozen=True)
class Kernel:
    """One kernel for one task; ``ratio`` is its time over ours, None where either has no time.

    ``max_abs_error``: of our own kernels to the float64 reference, of others to our output.
    """

    name: str
    version: str | None
    ms: float | None
    cycles: float | None
    mac_per_cycle: float | None
    percent_of_peak: float | None
    max_abs_error: float | None
    why_not: str | None
    ratio: float | None
    is_ours: bool  # tuned or not


@dataclass(frozen=True)
class ComparedTask:
    """Ours, ours untuned, and the peers, in the file's order."""

    task: str
    kernels: list[Kernel]

    @property
    def largest_ratio(self) -> float:
        """What the bars are scaled to; at least 1, which is ours."""
        return max([1.0, *(k.ratio for k in self.kernels if k.ratio)])


@dataclass(frozen=True)
class ComparisonFile:
    """The comparison of one target on one kind of board."""

    path: Path
    target: str
    board: str
    label: str
    tasks: list[ComparedTask]
    geomean: dict[str, float]  # of each peer's ratios; above 1 we are faster

    @property
    def largest_geomean(self) -> float:
        return max([1.0, *self.geomean.values()])

    def count(self, peer: str) -> int:
        """Of how many tasks the peer has a ratio."""
        return sum(k.name == peer and bool(k.ratio) for t in self.tasks for k in t.kernels)


def read_comparison(path: Path) -> ComparisonFile:
    """Raises ``InputError`` that names the file and, inside it, what is missing or wrong."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; a file of tvm-ops compare --json is needed") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text ({error.reason})") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: no JSON ({error.msg})") from None
    try:
        return _comparison(path, facts)
    except InputError as error:
        raise InputError(f"{path}: no file of tvm-ops compare --json: {error}") from None


def _comparison(path: Path, facts: Any) -> ComparisonFile:
    target, board = _text(facts, "target", "the file"), _text(facts, "board", "the file")
    label = board_label(get_target(target), board)
    rows = _value(facts, "rows", list, "a list", "the file")
    geomean = _value(facts, "geomean", dict, "an object", "the file")
    ratios = {name: _number(geomean, name, "geomean") for name in geomean}
    return ComparisonFile(
        path,
        target,
        board,
        label,
        [_row(row, f"rows[{i}]") for i, row in enumerate(rows)],
        {name: ratio for name, ratio in ratios.items() if ratio},
    )


def _row(row: Any, where: str) -> ComparedTask:
    ours = _kernel(_value(row, "ours", dict, "an object", where), f"{where}.ours", OURS)
    untuned = _value(row, "untuned", dict, "an object", where)
    kernels = [ours, _kernel(untuned, f"{where}.untuned", UNTUNED, ours.ms)]
    for i, peer in enumerate(_value(row, "peers", list, "a list", where)):
        kernels.append(_kernel(peer, f"{where}.peers[{i}]"))
    return ComparedTask(_text(row, "task", where), kernels)


def _kernel(facts: Any, where: str, name: str = "", our_ms: float | None = None) -> Kernel:
    """A peer's entry names itself and has its ratio; of ours, ``name`` says which one it is."""
    ms = _number(facts, "ms", where)
    if name == OURS:
        ratio = 1.0 if ms else None
    elif name == UNTUNED:
        ratio = ms / our_ms if ms and our_ms else None
    else:
        ratio = _number(facts, "ratio", where)
    return Kernel(
        name or _text(facts, "name", where),
        _optional_text(facts, "version", where),
        ms,
        _number(facts, "cycles", where),
        _number(facts, "mac_per_cycle", where),
        _number(facts, "percent_of_peak", where),
        _number(facts, "max_abs_error", where),
        _optional_text(facts, "why_not", where),
        ratio,
        is_ours=bool(name),
    )


def _value(facts: Any, name: str, kind: type, words: str, where: str) -> Any:
    if not isinstance(facts, dict):
        raise InputError(f"{where} must be an object")
    if not isinstance(facts.get(name), kind):
        raise InputError(f"'{name}' of {where} must be {words}")
    return facts[name]


def _text(facts: Any, name: str, where: str) -> str:
    return str(_value(facts, name, str, "a string", where))


def _optional_text(facts: Any, name: str, where: str) -> str | None:
    """Absent and null are the same."""
    return None if facts.get(name) is None else _text(facts, name, where)


def _number(facts: Any, name: str, where: str) -> float | None:
    """A number from 0 on; absent and null are the same."""
    if not isinstance(facts, dict):
        raise InputError(f"{where} must be an object")
    value = facts.get(name)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise InputError(f"'{name}' of {where} must be a number from 0 on, or null")
    return float(value)
