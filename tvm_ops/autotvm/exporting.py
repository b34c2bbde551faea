"""From our logs to AutoTVM's lines, version 0.2."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tvm_ops.autotvm.boards import target_text
from tvm_ops.autotvm.lines import ERRORS, Line
from tvm_ops.autotvm.templates import to_autotvm
from tvm_ops.errors import InputError
from tvm_ops.operators import operator_names
from tvm_ops.targets import Target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import get_schedule
from tvm_ops.tuning.log import Record, best, log_path, read_lines
from tvm_ops.tuning.space import Space, check_knobs

Trial = tuple[Task, Record]

_KINDS = {"build": 2, "run": 4, "wrong result": 5, "hang": 7, "cut off": 7}
_PREFIX = "autotvm: "


def to_line(task: Task, record: Record) -> Line:
    """The record as AutoTVM has it; see ``to_autotvm`` for what its templates cannot express."""
    template, args, entity, index = to_autotvm(task, record.knobs)
    return Line(
        target_text(task.target, record.board), template, "", args, entity,
        [] if record.error else record.seconds, _error(record),
        datetime.fromisoformat(record.time).timestamp(), record.tvm, index,
    )  # fmt: skip


def _error(record: Record) -> str | None:
    if record.error and record.error.startswith(_PREFIX):
        return record.error.removeprefix(_PREFIX)
    kind = (record.error or "").split(":")[0]
    return ERRORS[_KINDS.get(kind, 8)] if kind else None


def read_records(
    logs: Path, target: Target, operators: Sequence[str], keys: Sequence[str]
) -> list[Trial]:
    """Each whole trial in the logs of a target, of some operators and workloads or (empty) of all.

    Raises ``InputError``: an unknown workload, one without records, a log that cannot be read.
    """
    found: list[Trial] = []
    for name in operators or operator_names():
        tasks: dict[str, tuple[Task, Space]] = {}
        for record, where in read_lines(log_path(logs, target.name, name)):
            if record.slice is not None or record.target != target.name:
                continue
            if keys and record.task not in keys:
                continue
            if record.task not in tasks:
                task = parse_task(name, record.task, target)
                tasks[record.task] = task, get_schedule(name).space(task.workload, target)
            task, space = tasks[record.task]
            check_knobs(space, record.knobs, where)
            found.append((task, record))
    for key in keys:
        if key not in {record.task for _task, record in found}:
            raise InputError(f"workload '{key}' has no record of {target.name}")
    return found


def fastest(trials: Sequence[Trial]) -> list[Trial]:
    """Of each workload on each board the record with the lowest median; failed ones are none."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for task, record in trials:
        if record.cost or (record.imported and record.seconds and not record.error):
            groups.setdefault((task.key, record.board), []).append((task, record))
    return [min(group, key=lambda t: statistics.median(t[1].seconds)) for group in groups.values()]


def best_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Of each workload the best record that was checked here, as ``build`` takes it."""
    groups: dict[str, list[Trial]] = {}
    for task, record in trials:
        groups.setdefault(task.key, []).append((task, record))
    bests = [(group[0][0], best([record for _task, record in group])) for group in groups.values()]
    return [(task, record) for task, record in bests if record]


def export_lines(trials: Sequence[Trial], path: Path) -> None:
    """Write the file."""
    path.write_text("".join(to_line(*trial).to_text() for trial in trials), encoding="utf-8")
