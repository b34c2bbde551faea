"""What other workloads and targets of an operator teach a task's cost model before its first trial.

Costs of one task say nothing of another's, but which knobs are good is alike: the model learns from
each task the ratio of its best cost to each candidate's, with the task's sizes in the row. So
cycles of several cores stand side by side, but never two kinds of boards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tvm_ops.boards.address import board_names
from tvm_ops.errors import InputError
from tvm_ops.targets import NAMES, get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import get_schedule
from tvm_ops.tuning.features import RowMaker
from tvm_ops.tuning.log import Record, before_own, log_path, read_log
from tvm_ops.tuning.nearest import distance
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.slices import sliced
from tvm_ops.tuning.space import Space, check_knobs

TASKS = 12  # the nearest; with more, training takes longer than a batch of trials
TRIALS = 64  # of each: the first, before a search only refines
_FAILED = 1e10  # seconds: what MetaSchedule's model takes for a candidate without a time
_OTHER_TARGET = 1.0  # as far as a workload of twice the size


@dataclass(frozen=True)
class Group:
    """Candidates of one task: rows [n, columns], costs [n] in seconds."""

    name: str
    rows: NDArray[np.float32]
    costs: NDArray[np.float32]


def transfer(setting: Setting, space: Space, logs: Path) -> list[Group]:
    """The groups of the nearest tasks in the logs of all targets, for the columns of ``space``.

    From the task's own log only lines before its own first one: a session that goes on starts from
    what it started from. Raises ``InputError`` for a log that cannot be read.
    """
    near = []
    for (target, key, rows), records in _tasks(setting, logs).items():
        with suppress(InputError):  # a key that is read no more is no reason to refuse this task
            other = parse_task(setting.task.operator, key, get_target(target))
            far = distance(setting.task.workload, other.workload, to_teach=True)
            far += _OTHER_TARGET * (target != setting.task.target.name)
            if far < math.inf:
                near.append((far, f"{target}/{key}", other, rows, records))
    groups: list[Group] = []
    for _far, name, other, rows, records in sorted(near, key=lambda entry: entry[:2]):
        group = _group(RowMaker(space, sliced(other, rows)), _legible(other, records))
        if group:
            groups.append(Group(name, *group))
        if len(groups) == TASKS:
            break
    return groups


def _tasks(setting: Setting, logs: Path) -> dict[tuple[str, str, int | None], list[Record]]:
    """Records by target, key and rows: of each task those that were ranked, whole or slices."""
    of_task: dict[tuple[str, str, int | None], list[Record]] = {}
    boards = board_names(setting.board)
    for target in NAMES:
        for record in _before(setting, target, logs):
            if record.board in boards:
                of_task.setdefault((target, record.task, record.slice), []).append(record)
    ranked: dict[tuple[str, str], tuple[str, str, int | None]] = {}
    for name, records in of_task.items():
        old = ranked.get(name[:2])
        if old is None or len(records) > len(of_task[old]):
            ranked[name[:2]] = name
    return {name: of_task[name] for name in ranked.values()}


def _before(setting: Setting, target: str, logs: Path) -> Iterator[Record]:
    records = read_log(log_path(logs, target, setting.task.operator))
    if target != setting.task.target.name:
        return iter(records)
    return before_own(records, setting.task.key)


def _legible(task: Task, records: list[Record]) -> list[Record]:
    """Those whose knobs the task has: only of these the template can tell features."""
    space = get_schedule(task.operator).space(task.workload, task.target)
    found = []
    for record in records[:TRIALS]:
        with suppress(InputError):  # of a template that had other options
            check_knobs(space, record.knobs, task.key)
            found.append(record)
    return found


def _group(
    make: RowMaker, records: list[Record]
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """None where no candidate worked, or no knobs are those of this space."""
    rows, costs = [], []
    for record in records:
        found = make.row(record.knobs)
        if found is not None:
            rows.append(found)
            costs.append(record.cost or _FAILED)
    if not rows or min(costs) == _FAILED:
        return None
    return np.array(rows, np.float32), np.array(costs, np.float32)
