"""``python -m tvm_ops.cli_performance``: the tables of docs/performance.md, from the logs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tvm_ops.cli_script import TARGETS, check_targets, end, run_script, say
from tvm_ops.networks import all_layers
from tvm_ops.performance.documents import Facts, write_documents
from tvm_ops.performance.host import host_path, measure_host, read_host
from tvm_ops.performance.layers import LayerRow, read_rows
from tvm_ops.performance.rerun import read_reruns, rerun_all, reruns_path
from tvm_ops.performance.tables import goals_table
from tvm_ops.performance.untuned import (
    measure_untuned,
    read_untuned,
    summarise,
    untuned_path,
)
from tvm_ops.targets import Target, get_target
from tvm_ops.tuning import log

NAME = "performance"
_ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """0 when done, 1 if a run is not what the log says, 2 for bad input, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    return run_script(NAME, lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET", help="of --check and --untuned: rpi3, rpi4, rpi5")
    add("--check", action="store_true", help="first run the best kernel of each layer again")
    add("--untuned", action="store_true", help="first measure what untuned layers would get")
    add("--host", action="store_true", help="first time our kernels and peers on this machine")
    add("--again", action="store_true", help="for --check and --host: what is known too")
    add("--jobs", type=int, default=os.cpu_count(), metavar="N", help="runs side by side")
    add("--logs", type=Path, default=log.ROOT, metavar="DIR", help="tuning_logs")
    add("--root", type=Path, default=_ROOT, metavar="DIR", help="has README.md and docs/")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    check_targets(arguments.targets)
    problems = _measure(arguments)
    folder = _folder(arguments)
    # The documents have all targets, whichever were run.
    rows = {name: _rows(get_target(name), arguments) for name in TARGETS}
    untuned = {name: summarise(own, read_untuned(folder, name)) for name, own in rows.items()}
    write_documents(arguments.root, Facts(rows, untuned, read_host(folder)))
    print("\n".join(goals_table(rows)))
    return end(NAME, problems)


def _measure(arguments: argparse.Namespace) -> list[str]:
    """The runs that are asked for; what is wrong with them."""
    problems, folder = [], _folder(arguments)
    for target in map(get_target, arguments.targets or TARGETS):
        rows = _rows(target, arguments) if arguments.check or arguments.untuned else []
        if arguments.check:
            problems += _check(target, rows, arguments)
        if arguments.untuned:
            path = untuned_path(folder, target.name)
            jobs = arguments.jobs
            measure_untuned(rows, target, arguments.logs, path, jobs=jobs, report=say)
    if arguments.host:
        measure_host(
            all_layers(), arguments.logs, host_path(folder), again=arguments.again, report=say
        )
    return problems


def _rows(target: Target, arguments: argparse.Namespace) -> list[LayerRow]:
    reruns = read_reruns(_folder(arguments), target.name)
    return read_rows(all_layers(), target, arguments.logs, reruns)


def _folder(arguments: argparse.Namespace) -> Path:
    return Path(arguments.root) / "docs" / "performance"


def _check(target: Target, rows: Sequence[LayerRow], arguments: argparse.Namespace) -> list[str]:
    """In both layouts; those of the main figure first."""
    kernels = [row.blocked for row in rows] + [row.plain for row in rows]
    entries = {ours.task.key: (ours.task, ours.record) for ours in kernels if ours}
    return rerun_all(
        list(entries.values()),
        reruns_path(_folder(arguments), target.name),
        again=arguments.again,
        jobs=arguments.jobs,
        report=say,
    )


if __name__ == "__main__":
    sys.exit(main())
