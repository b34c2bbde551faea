"""From OPERATOR..., --target, --workload and --logs to tasks and their knobs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from tvm_ops.task import Knobs, Task


def tasks_of(arguments: Namespace) -> list[Task]:
    """The tasks that OPERATOR..., --target and --workload name."""
    from tvm_ops.targets import get_target
    from tvm_ops.task import listed_tasks, parse_task

    target, operators = get_target(arguments.target), arguments.operators
    if not arguments.workloads:
        return [task for operator in operators for task in listed_tasks(operator, target)]
    tasks = []
    for key in arguments.workloads:
        if arguments.workloads.count(key) > 1:
            raise InputError(f"--workload {key} is given twice")
        operator = key.split("-")[0]
        tasks.append(parse_task(operator if operator in operators else operators[0], key, target))
    return tasks


def logs_of(arguments: Namespace) -> Path:
    """The folder of logs to read; one that is named has to exist."""
    from tvm_ops.tuning import log

    if arguments.logs is None:
        return log.ROOT
    folder: Path = arguments.logs
    if not folder.is_dir():
        raise InputError(f"--logs {folder}: no such folder")
    return folder


def entries_of(
    arguments: Namespace,
) -> tuple[list[tuple[Task, Knobs]], list[dict[str, str]]]:
    """Each task with its best known knobs, and for each a row that says where they are from."""
    from tvm_ops.tuning.nearest import best_knobs

    root = logs_of(arguments)
    entries, rows = [], []
    for task in tasks_of(arguments):
        knobs, record = best_knobs(task, root)
        entries.append((task, knobs))
        origin = f"nearest, {record.task}" if record else "default, not tuned"
        if record and record.task == task.key and record.cost:
            origin = f"tuned, {record.cost * 1e3:.3f} ms {record.board}"
        rows.append({"task": task.key, "knobs_from": origin})
    return entries, rows
