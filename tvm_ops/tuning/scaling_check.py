"""Trials a second with 1, 2... workers, here or on a cluster; what else a trial costs.

``python -m tvm_ops.tuning.scaling_check [--workers N]... [--cluster ADDRESS] [--trials N] KEY...``
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_ops.boards import get_timing_board
from tvm_ops.cli_output import print_table
from tvm_ops.cli_script import run_script
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.tuning.pool import open_pool
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.session import tune

DEFAULT = "conv2d-n1_ci64_h14_w14_co64_k1_s1_p0-f32"
WARM = 9  # trials before the clock starts: workers import TVM, the search is set up


@dataclass(frozen=True)
class Rate:
    """``session`` is the share of the time in which this process itself computed."""

    trials: float  # a second
    session: float


def rate(task: Task, trials: int, workers: int | None, cluster: str | None) -> Rate:
    """Of a session with the default tuner and logs of its own, after the first trials."""
    starts: list[tuple[int, float, float]] = []

    def observe(progress: Progress) -> None:
        if progress.done >= WARM:
            starts.append((progress.done, time.monotonic(), time.process_time()))

    with tempfile.TemporaryDirectory() as logs, open_pool(workers, cluster) as pool:
        tune(task, trials=trials, logs=Path(logs), pool=pool, observer=observe)
    (first, began, busy), (last, ended, idle) = starts[0], starts[-1]
    return Rate((last - first) / (ended - began), (idle - busy) / (ended - began))


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line a workload and number of workers."""
    parser = argparse.ArgumentParser(prog="scaling", description=__doc__)
    parser.add_argument("keys", nargs="*", metavar="KEY", default=[DEFAULT])
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--workers", type=int, action="append", default=[])
    parser.add_argument("--cluster", metavar="ADDRESS")
    parser.add_argument("--trials", type=int, default=48)
    arguments = parser.parse_args(argv)
    return run_script("scaling", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    counts = [None] if arguments.cluster else arguments.workers or [1, 2]
    table = []
    for key in arguments.keys:
        task = parse_task(key.split("-")[0], key, get_target(arguments.target))
        get_timing_board(None, task.target).prepare()
        for workers in counts:
            found = rate(task, arguments.trials, workers, arguments.cluster)
            row = [key, str(workers or arguments.cluster), f"{found.trials:.2f}"]
            table.append([*row, f"{100 * found.session:.0f}", f"{os.getloadavg()[0]:.1f}"])
    columns = ["workload", "workers", "trials/s", "session's own %", "load"]
    print_table(columns, table, right=columns[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
