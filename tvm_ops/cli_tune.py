"""The verb ``tune``: an operator's workloads, networks' layers, or a job file."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from typing import TYPE_CHECKING, Any

from tvm_ops.cli_output import cell, check_output, print_table, write_json
from tvm_ops.cli_tasks import tasks_of
from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from tvm_ops.tuning.job import Job
    from tvm_ops.tuning.plan import Plan
    from tvm_ops.tuning.progress import Progress

_COLUMNS = ["workload", "trials", "new", "failed", "best ms", "Mcycles", "% of peak"]
_OF_JOB_FILE = {
    "workloads": "--workload",
    "target": "--target",
    "board": "--board",
    "trials": "--trials",
    "seed": "--seed",
    "bound": "--bound",
    "tuner": "--tuner",
    "transfer": "--no-transfer",
    "early_stop": "--early-stop",
    "time_limit": "--time-limit",
    "target_ms": "--target-ms",
    "timeout": "--timeout",
}
"""Options that a job file says instead, by their name there, but for the first."""


def tune(arguments: Namespace) -> int:
    """``tvm-ops tune``: 0 if every task has a candidate that works, else 1."""
    check_output(arguments.json)
    given = [bool(arguments.job), bool(arguments.networks), bool(arguments.operator)]
    if sum(given) != 1:
        raise InputError(
            "either an OPERATOR, --network NAME or --job FILE is needed; see tvm-ops tune --help"
        )
    plan = _plan_of_file(arguments) if arguments.job else _plan(arguments)
    for operator, count in sorted((+plan.left_out).items()):
        print(f"left out: {count} layers of {operator}, which has no schedule for this layout")
    return _tune(arguments, plan)


def _plan(arguments: Namespace) -> Plan:
    """Of an operator's tasks, or of networks' layers, each once."""
    from tvm_ops.targets import get_target
    from tvm_ops.tuning.plan import Plan

    if arguments.target is None:
        raise InputError("--target T is needed; see tvm-ops list targets")
    names = [name for name in _OF_JOB_FILE if name not in ("workloads", "target", "trials")]
    options = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    plan = Plan(options=options | {"trials": arguments.trials or 64})
    if arguments.operator:
        arguments.operators = [arguments.operator]
        plan.options["skip_tuned"] = False
        for task in tasks_of(arguments):
            plan.add(task)
        return plan
    if arguments.workloads:
        raise InputError("--workload goes with an OPERATOR, not with --network")
    for name in arguments.networks:
        plan.add_network(name, get_target(arguments.target), arguments.layout)
    if not plan.tasks:
        raise InputError(f"no layer has a schedule for layout {arguments.layout}")
    return plan


def _plan_of_file(arguments: Namespace) -> Plan:
    from tvm_ops.tuning.job_file import read_plan

    for name, option in _OF_JOB_FILE.items():
        if getattr(arguments, name) not in (None, []):
            raise InputError(f"{option} goes without --job: the file says it, as {name}")
    return read_plan(arguments.job)


def _tune(arguments: Namespace, plan: Plan) -> int:
    from tvm_ops.boards import get_timing_board
    from tvm_ops.cli_progress import JobDisplay
    from tvm_ops.tuning import log
    from tvm_ops.tuning.duration import seconds
    from tvm_ops.tuning.pool import prepare_board
    from tvm_ops.tuning.run_job import run_job

    options = {"logs": log.ROOT} | plan.options
    options |= {"logs": arguments.logs} if arguments.logs else {}
    if limit := options.pop("time_limit", None):
        options["deadline"] = time.monotonic() + seconds(limit)
    targets = {task.target.name: task.target for task in plan.tasks}
    boards = [get_timing_board(options.get("board"), target) for target in targets.values()]
    for board in boards:
        print(f"board: {prepare_board(board, arguments.cluster)}", flush=True)
    if len(plan.tasks) == 1:
        print(plan.tasks[0].key, flush=True)
    options |= {"workers": arguments.workers, "cluster": arguments.cluster}
    with JobDisplay(boards[0].name) as display:
        job = run_job(plan.tasks, weights=plan.weights, **options, observer=display)
    if job.skipped:
        print(f"{len(job.skipped)} of {len(job.tasks)} tasks had {job.trials} trials in the log")
    _print_and_write(arguments, sorted(targets), boards[0].name, job)
    _print_failures(job)
    return 1 if job.errors or not all(session.best for session in job.sessions) else 0


def _print_and_write(arguments: Namespace, targets: list[str], board: str, job: Job) -> None:
    rows = [_tuned(session) for session in job.sessions]
    if rows:
        lines = [[cell(value) for value in row.values()] for row in rows]
        print_table(_COLUMNS, lines, right=_COLUMNS[1:])
    facts: dict[str, Any] = {"target": ", ".join(targets), "board": board, "rows": rows}
    if job.errors:
        facts["errors"] = {_joined(name): error for name, error in job.errors.items()}
    write_json(arguments.json, facts)


def _joined(name: tuple[str, str]) -> str:
    return " ".join(name)


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
    for name, error in job.errors.items():
        print(f"stopped: {_joined(name)}: {error}")
    for task in job.waiting:
        print(f"not begun, {job.stopped}: {task.target.name} {task.key}")
