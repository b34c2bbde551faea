"""What is known of tuned workloads that resemble a task: first candidates, and a fallback."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import takewhile
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError, UntunedWarning
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.log import Record, before_own, best, log_path, read_log, read_task
from tvm_ops.tuning.space import knobs_id

# Other loops, and often other sketches; between such workloads there is nothing to learn.
_DECISIVE = ("kernel", "stride", "dilation", "block")
_TILED_ALIKE = ("kernel", "stride")  # other loops around the same register tiles
_OTHER_LOOPS = 4.0  # as far as a workload of 16 times the size
_OTHER = 0.1  # for each other difference (padding, activation): decides between equal sizes
_AFTER_THE_SUM = ("activation", "residual")


def distance(a: Any, b: Any, *, to_teach: bool = False) -> float:
    """Between workloads of one operator: the sum over their sizes of how often one doubles.

    Infinite where kernel, stride, dilation or layout differ, or only one is grouped. ``to_teach``:
    for a cost model, which sees what differs, another kernel or stride is only far.
    """
    if (getattr(a, "groups", 1) == 1) != (getattr(b, "groups", 1) == 1):
        return math.inf
    total = 0.0
    for field in fields(a):
        mine, theirs = getattr(a, field.name), getattr(b, field.name)
        if mine == theirs:
            continue
        if to_teach and field.name in _TILED_ALIKE:
            total += _OTHER_LOOPS
            continue
        if field.name in _DECISIVE:
            return math.inf
        sizes = type(mine) is int and type(theirs) is int and min(mine, theirs) > 0
        total += abs(math.log2(mine / theirs)) if sizes else _OTHER
    return total


def neighbours(task: Task, logs: Path, *, at_start: bool = False) -> list[Record]:
    """The best records of the tuned workloads that resemble the task, the nearest first.

    ``at_start``: as they were when the task's own tuning began. Raises ``InputError`` for a log
    that cannot be read.
    """
    of_task: dict[tuple[str, str], list[Record]] = {}
    records = _records(task, logs)
    for record in before_own(records, task.key) if at_start else records:
        if record.task != task.key:
            of_task.setdefault((record.task, ""), []).append(record)
    return _by_distance(task, {key: best(records) for key, records in of_task.items()})


def imported(task: Task, logs: Path) -> list[Record]:
    """The fastest record of each of AutoTVM's boards for each workload, the nearest first.

    Also of the task itself, first of all. Raises ``InputError`` for a log that cannot be read.
    """
    of_board: dict[tuple[str, str], list[Record]] = {}
    for record in _records(task, logs):
        if record.imported and record.seconds and not record.error:
            of_board.setdefault((record.task, record.board), []).append(record)
    fastest = {key: min(records, key=_median) for key, records in of_board.items()}
    return _by_distance(task, fastest)


def _median(record: Record) -> float:
    return statistics.median(record.seconds)


def _records(task: Task, logs: Path) -> list[Record]:
    """Of all workloads of the task's operator and target."""
    name = task.target.name
    return [r for r in read_log(log_path(logs, name, task.operator)) if r.target == name]


def _by_distance(task: Task, chosen: Mapping[tuple[str, str], Record | None]) -> list[Record]:
    """Of workloads (the first of the keys) that resemble the task, the nearest first."""
    found = []
    for key, record in chosen.items():
        with suppress(InputError):  # a key that is read no more is no reason to refuse this task
            far = distance(task.workload, parse_task(task.operator, key[0], task.target).workload)
            if record and far < math.inf:
                found.append((far, key, record))
    return [record for _far, _key, record in sorted(found, key=lambda entry: entry[:2])]


def _same_sum(task: Task, record: Record) -> bool:
    """Whether the record's workload differs at most in what follows the sum."""
    mine, theirs = task.workload, parse_task(task.operator, record.task, task.target).workload
    names = [field.name for field in fields(mine) if field.name not in _AFTER_THE_SUM]
    return all(getattr(mine, name) == getattr(theirs, name) for name in names)


def nearest_knobs(task: Task, logs: Path, n: int) -> list[Knobs]:
    """The knobs of the up to ``n`` nearest workloads whose knobs the task can have.

    Those that were tuned before it, so that a session which goes on begins as it began. All
    different; raises ``InputError`` for a log that cannot be read.
    """
    found = neighbours(task, logs, at_start=True)
    return [knobs for knobs, _record in _adapted(task, found, n)]


def imported_knobs(task: Task, logs: Path, n: int) -> list[Knobs]:
    """Up to ``n`` different ones of imported records, as ``nearest_knobs``.

    They are only candidates: a search measures them anew and learns from its own board's times.
    """
    return [knobs for knobs, _record in _adapted(task, imported(task, logs), n)]


def other_boards_knobs(task: Task, logs: Path, boards: Sequence[str], n: int) -> list[Knobs]:
    """Up to ``n`` different ones, the best first, of the task's own records from other boards.

    As they were before the first trial on these ``boards``.
    """
    records = read_task(log_path(logs, task.target.name, task.operator), task)
    before = takewhile(lambda record: record.board not in boards, records)
    usable = [record for record in before if record.cost and record.slice is None]
    different: dict[str, Knobs] = {}
    for record in sorted(usable, key=lambda record: record.cost or 0.0):
        different.setdefault(knobs_id(record.knobs), record.knobs)
    return list(different.values())[:n]


def best_knobs(task: Task, logs: Path) -> tuple[Knobs, Record | None]:
    """What to build the task with, and the record that it is from.

    The best of its log; else, with an ``UntunedWarning``, that of the nearest tuned workload (whose
    record names it), or the template's default and None. Imported records are for searches only:
    their seconds are those of AutoTVM's code on another board, and the modelled default was faster
    than the best of them in 15 of 16 cases (docs/from-autotvm.md).
    Raises ``InputError`` for a log that cannot be read or has other knobs than the template.
    """
    record = best(read_task(log_path(logs, task.target.name, task.operator), task))
    if record:
        return record.knobs, record
    knobs, record = untuned_knobs(task, logs)
    source = f"knobs of the nearest one, {record.task}" if record else "default knobs"
    same = [record for record in imported(task, logs) if _same_sum(task, record)]
    if same:
        source += f"; tune tries those of {same[0].board}, which were not measured here"
    message = f"{task.key} is not tuned for {task.target.name}: {source}"
    warnings.warn(UntunedWarning(message), stacklevel=2)
    return knobs, record


def untuned_knobs(task: Task, logs: Path) -> tuple[Knobs, Record | None]:
    """What ``best_knobs`` gives where the task's own records are not there."""
    for knobs, record in _adapted(task, neighbours(task, logs), 1):
        return knobs, record
    return default_knobs(task), None


def _adapted(task: Task, records: Sequence[Record], n: int) -> Iterator[tuple[Knobs, Record]]:
    seen: set[str] = set()
    for record in records:
        if len(seen) == n:
            return
        knobs = adapt(record.knobs, task)
        if knobs and knobs_id(knobs) not in seen:
            seen.add(knobs_id(knobs))
            yield knobs, record


def adapt(knobs: Knobs, task: Task) -> Knobs | None:
    """The task's own options nearest to another workload's knobs; None where none is legal.

    Where all nearest ones together are not legal, one knob may take another option.
    """
    template = get_schedule(task.operator)
    space = template.space(task.workload, task.target)
    if knobs.get("sketch") not in space:
        return None
    ranked = {
        name: sorted(options, key=lambda option: _apart(knobs.get(name), option))
        for name, options in space[knobs["sketch"]].items()
    }
    nearest = {"sketch": knobs["sketch"]} | {name: first for name, (first, *_) in ranked.items()}
    changes = [
        (_apart(knobs.get(name), option), nearest | {name: option})
        for name, options in ranked.items()
        for option in options[1:]
    ]
    for choice in [nearest, *(choice for _, choice in sorted(changes, key=lambda c: c[0]))]:
        if template.legal(task.workload, task.target, choice):
            return choice
    return None


def _apart(wanted: Any, option: Any) -> float:
    """How far an option is from a wanted one: doublings of its numbers; a word is 1 apart."""
    if wanted == option:
        return 0.0
    if isinstance(wanted, list) and isinstance(option, list) and len(wanted) == len(option):
        return sum(_apart(a, b) for a, b in zip(wanted, option, strict=True))
    if type(wanted) is type(option) is int:
        return abs(math.log2((1 + wanted) / (1 + option)))
    return 1.0 if type(wanted) is type(option) else 100.0
