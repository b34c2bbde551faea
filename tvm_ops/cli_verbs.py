"""One function per verb: calls the library, prints what it gives back, returns the exit code.

Each imports what it needs itself, so that a verb without TVM does not wait for TVM.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_ops.cli_output import check_output, print_table, write_json
from tvm_ops.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from tvm_ops.task import Task
    from tvm_ops.tuning.session import Progress


def doctor(arguments: Namespace) -> int:
    """``tvm-ops doctor``: 0 if everything is there, 1 if something is missing."""
    check_output(arguments.json)
    from tvm_ops.doctor import examine

    findings = examine()
    rows = [[f.area, f.name, f.state, f.found, f.hint] for f in findings]
    print_table(["area", "what", "state", "found", "how to get it"], rows)
    missing = [f.name for f in findings if f.state == "missing"]
    print(f"\nmissing: {', '.join(missing)}" if missing else "\nall there")
    write_json(arguments.json, {"findings": [asdict(f) for f in findings], "missing": missing})
    return 1 if missing else 0


def list_names(arguments: Namespace) -> int:
    """``tvm-ops list WHAT``."""
    check_output(arguments.json)
    from tvm_ops import cli_lists

    columns, rows = getattr(cli_lists, arguments.what)()
    print_table(columns, rows)
    keys = [name.replace(" ", "_") for name in columns]
    write_json(arguments.json, [dict(zip(keys, row, strict=True)) for row in rows])
    return 0


def tune(arguments: Namespace) -> int:
    """``tvm-ops tune``: 0 if every task has a candidate that works, else 1."""
    check_output(arguments.json)
    from tvm_ops.boards import get_board
    from tvm_ops.cli_progress import TuneDisplay
    from tvm_ops.tuning import log
    from tvm_ops.tuning.session import tune as tune_task

    tasks = _tasks(arguments)
    board = get_board(arguments.board, tasks[0].target)
    print(f"board: {board.label}", flush=True)
    sessions = []
    for task in tasks:
        print(task.key, flush=True)
        with TuneDisplay(board.name) as display:
            sessions.append(
                tune_task(
                    task,
                    trials=arguments.trials,
                    board=arguments.board,
                    seed=arguments.seed,
                    logs=arguments.logs or log.ROOT,
                    workers=arguments.workers,
                    bound=arguments.bound,
                    observer=display,
                )
            )
    rows = [_tuned(session) for session in sessions]
    columns = ["workload", "trials", "new", "failed", "best ms", "Mcycles", "% of peak"]
    print_table(columns, [[_text(v) for v in row.values()] for row in rows], right=columns[1:])
    write_json(arguments.json, {"target": arguments.target, "board": board.name, "rows": rows})
    return 0 if all(session.best for session in sessions) else 1


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


def build(arguments: Namespace) -> int:
    """``tvm-ops build``."""
    check_output(arguments.json)
    from tvm_ops.build import build_library
    from tvm_ops.targets import get_target

    entries, rows = _entries(arguments)
    (name,) = arguments.operators
    library = build_library(entries, get_target(arguments.target), arguments.output, name)
    print_table(["workload", "knobs from"], [[str(v) for v in row.values()] for row in rows])
    for path in library.paths:
        print(path)
    files = [str(path) for path in library.paths]
    write_json(arguments.json, {"target": arguments.target, "tasks": rows, "files": files})
    return 0


def bundle(arguments: Namespace) -> int:
    """``tvm-ops bundle``."""
    check_output(arguments.json)
    check_output(arguments.output)
    from tvm_ops.bundle import load_weights, write_bundle
    from tvm_ops.targets import get_target

    weights = load_weights(arguments.weights) if arguments.weights else None
    entries, rows = _entries(arguments)
    path = write_bundle(entries, get_target(arguments.target), arguments.output, weights)
    print_table(["workload", "knobs from"], [[str(v) for v in row.values()] for row in rows])
    print(f"{path} ({path.stat().st_size / 1e3:.1f} kB)")
    write_json(arguments.json, {"target": arguments.target, "tasks": rows, "files": [str(path)]})
    return 0


def run(arguments: Namespace) -> int:
    """``tvm-ops run``: 0 if every task ran and none computed a wrong result, else 1."""
    check_output(arguments.json)
    from tvm_ops.run import run_bundle

    rows = run_bundle(
        arguments.bundle,
        board=arguments.board,
        check=arguments.check,
        threads=arguments.threads,
        repeat=arguments.repeat,
    )
    print(f"board: {rows[0].board}")
    columns = ["task", "ms", "Mcycles", "MAC/cycle", "max error", "allowed", "state"]
    print_table(
        columns,
        [
            [
                row.task,
                _text(row.ms),
                _text(row.cycles and row.cycles / 1e6),
                _text(row.mac_per_cycle),
                "" if row.max_abs_error is None else f"{row.max_abs_error:.1e}",
                "" if row.bound is None else f"{row.bound:.1e}",
                row.error or ("ok" if arguments.check else "ran, not checked"),
            ]
            for row in rows
        ],
        right=columns[1:-1],
    )
    write_json(arguments.json, {"rows": [asdict(row) for row in rows]})
    return 1 if any(row.error for row in rows) else 0


def board_exec(arguments: Namespace) -> int:
    """``tvm-ops board exec``: 0 if the program ended with 0, else 1."""
    check_output(arguments.json)
    from tvm_ops.board_model import execute
    from tvm_ops.board_model.sysroot import sysroot
    from tvm_ops.targets import get_target

    if not arguments.program:
        raise InputError("no program given; write it after --, as in: exec rpi4 -- ./program")
    target = get_target(arguments.target)
    if not target.modelled:
        raise InputError(f"target {target.name} has no timing model")
    root = sysroot(target, progress=lambda line: print(line, file=sys.stderr, flush=True))
    done = execute(target, arguments.program, sysroot=root)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    columns = ["id", "cycles", "ms", "instructions", "l1_misses", "l2_misses"]
    regions = [{name: getattr(region, name) for name in columns} for region in done.regions]
    rows = [[_text(value) for value in region.values()] for region in regions]
    clock = f"{target.core} at {target.clock_ghz:g} GHz"
    print_table(columns, rows, title=f"modelled {clock}, one thread", right=columns)
    facts = {
        "target": target.name,
        "board": "modelled",
        "regions": regions,
        "exit_code": done.exit_code,
    }
    write_json(arguments.json, facts)
    if done.exit_code:
        raise CheckFailed(f"the program ended with exit code {done.exit_code}")
    return 0


def _text(value: object) -> str:
    """A table's cell: three decimals for a measured number, nothing for what is not known."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"


def _tasks(arguments: Namespace) -> list[Task]:
    """The tasks that OPERATOR..., --target and --workload name."""
    from tvm_ops.targets import get_target
    from tvm_ops.task import listed_tasks, parse_task

    target, operators = get_target(arguments.target), arguments.operators
    if not arguments.workloads:
        return [task for operator in operators for task in listed_tasks(operator, target)]
    tasks = []
    for key in arguments.workloads:
        operator = key.split("-")[0]
        tasks.append(parse_task(operator if operator in operators else operators[0], key, target))
    return tasks


def _entries(
    arguments: Namespace,
) -> tuple[list[tuple[Task, dict[str, object]]], list[dict[str, str]]]:
    """Each task with its best known knobs, and for each a row that says where they are from."""
    from tvm_ops.tuning import log

    root: Path = arguments.logs or log.ROOT
    if arguments.logs and not root.is_dir():
        raise InputError(f"--logs {root}: no such folder")
    entries, rows = [], []
    for task in _tasks(arguments):
        knobs, record = log.best_knobs(task, root)
        entries.append((task, knobs))
        origin = "default, not tuned"
        if record and record.cost:
            origin = f"tuned, {record.cost * 1e3:.3f} ms {record.board}"
        rows.append({"task": task.key, "knobs_from": origin})
    return entries, rows
