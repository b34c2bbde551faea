"""The verb ``tune``: an operator's workloads, or the layers of networks; see ``cli_verbs``."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from typing import TYPE_CHECKING, Any

from tvm_ops.cli_output import cell, check_output, print_table, write_json
from tvm_ops.cli_tasks import tasks_of
from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from tvm_ops.task import Task
    from tvm_ops.tuning.job import Job
    from tvm_ops.tuning.progress import Progress

_COLUMNS = ["workload", "trials", "new", "failed", "best ms", "Mcycles", "% of peak"]


def tune(arguments: Namespace) -> int:
    """``tvm-ops tune``: 0 if every task has a candidate that works, else 1."""
    check_output(arguments.json)
    if bool(arguments.networks) == bool(arguments.operator):
        raise InputError("either an OPERATOR or --network NAME is needed; see tvm-ops tune --help")
    return _tune_networks(arguments) if arguments.networks else _tune_operator(arguments)


def _tune_operator(arguments: Namespace) -> int:
    from tvm_ops.boards import get_timing_board
    from tvm_ops.cli_progress import TuneDisplay
    from tvm_ops.tuning.session import tune as tune_task
    from tvm_ops.tuning.workers import WorkerPool

    arguments.operators = [arguments.operator]
    tasks, options = tasks_of(arguments), _options(arguments)
    board = get_timing_board(arguments.board, tasks[0].target)
    board.prepare()
    print(f"board: {board.label}", flush=True)
    sessions = []
    with WorkerPool(options.pop("workers") or os.cpu_count() or 1) as pool:
        for task in tasks:
            print(task.key, flush=True)
            with TuneDisplay(board.name) as display:
                sessions.append(tune_task(task, **options, observer=display, pool=pool))
    _print_and_write(arguments, board.name, sessions, {})
    return 0 if all(session.best for session in sessions) else 1


def _tune_networks(arguments: Namespace) -> int:
    from tvm_ops.boards import get_timing_board
    from tvm_ops.cli_progress import JobDisplay
    from tvm_ops.tuning.job import run_job

    if arguments.workloads:
        raise InputError("--workload goes with an OPERATOR, not with --network")
    tasks = _network_tasks(arguments)
    board = get_timing_board(arguments.board, tasks[0].target)
    board.prepare()
    print(f"board: {board.label}", flush=True)
    with JobDisplay(board.name) as display:
        job = run_job(tasks, **_options(arguments), observer=display)
    if job.skipped:
        print(f"{len(job.skipped)} of {len(job.tasks)} tasks had {job.trials} trials in the log")
    _print_and_write(arguments, board.name, job.sessions, job.errors)
    _print_failures(job)
    return 1 if job.errors or not all(session.best for session in job.sessions) else 0


def _network_tasks(arguments: Namespace) -> list[Task]:
    """The tasks of all layers, each once."""
    from tvm_ops.chooser import layer_tasks
    from tvm_ops.networks import FLOAT, layers
    from tvm_ops.targets import get_target

    target = get_target(arguments.target)
    names = FLOAT if "all" in arguments.networks else arguments.networks
    tasks: dict[str, Task] = {}
    without = Counter[str]()
    for name in names:
        for layer in layers(name):
            found = layer_tasks(layer, target, arguments.layout)
            tasks |= {task.key: task for task in found}
            without[layer.operator] += not found
    if not tasks:
        raise InputError(f"no layer has a schedule for layout {arguments.layout}")
    for operator, count in sorted((+without).items()):
        print(f"left out: {count} layers of {operator}, which has no schedule for this layout")
    return list(tasks.values())


def _options(arguments: Namespace) -> dict[str, Any]:
    from tvm_ops.tuning import log

    names = ("trials", "board", "seed", "workers", "bound")
    given = {name: getattr(arguments, name) for name in names}
    return given | {"logs": arguments.logs or log.ROOT}


def _print_and_write(
    arguments: Namespace, board: str, sessions: list[Progress], errors: dict[str, str]
) -> None:
    rows = [_tuned(session) for session in sessions]
    if rows:
        lines = [[cell(value) for value in row.values()] for row in rows]
        print_table(_COLUMNS, lines, right=_COLUMNS[1:])
    facts = {"target": arguments.target, "board": board, "rows": rows}
    write_json(arguments.json, facts | ({"errors": errors} if errors else {}))


def _tuned(session: Progress) -> dict[str, object]:
    best = session.best
    return {
        "task": session.task.key,
        "trials": session.done,
        "new": session.measured,
        "failed": sum(session.failures.values()),
        "ms": best.cost * 1e3 if best and best.cost else None,
        "mcycles": best.cycles / 1e6 if best and best.cycles else None,
        "percent_of_peak": session.percent_of_peak,
    }


def _print_failures(job: Job) -> None:
    kinds = sum((session.failures for session in job.sessions), Counter[str]())
    if kinds:
        counts = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()))
        print(f"failed trials: {counts}")
    for session in job.sessions:
        if session.best is None:
            print(f"nothing that works: {session.task.key}")
    for key, error in job.errors.items():
        print(f"stopped: {key}: {error}")
