"""Whether slices rank candidates as the whole workload does: random ones are measured both ways.

``python -m tvm_ops.tuning.slice_check --target rpi4 [--candidates N] [--rows R] KEY...``
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from tvm_ops.boards import get_timing_board
from tvm_ops.cli_output import print_table
from tvm_ops.cli_script import run_script
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.measure import Outcome
from tvm_ops.tuning.session import FINALISTS
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.slices import legality, slice_rows
from tvm_ops.tuning.space import knobs_id
from tvm_ops.tuning.workers import WorkerPool

_DRAWS = 100_000


@dataclass(frozen=True)
class Agreement:
    """Of the cycles of slices and of wholes, of the same candidates.

    ``loss``: by how much the best whole among the ``FINALISTS`` best slices is slower than the best
    of all, as a fraction. ``good_kendall``: of the faster half only, among which a search chooses.
    """

    candidates: int
    spearman: float
    kendall: float
    good_kendall: float
    loss: float


def agreement(slices: Sequence[float], wholes: Sequence[float]) -> Agreement:
    """Raises ``InputError`` for fewer than four candidates."""
    if len(slices) < 4:
        raise InputError(f"{len(slices)} candidates worked; 4 are needed to compare rankings")
    short, long = np.asarray(slices), np.asarray(wholes)
    good = long <= np.median(long)
    chosen = np.argsort(short, kind="stable")[:FINALISTS]
    return Agreement(
        candidates=len(short),
        spearman=float(np.corrcoef(_ranks(short), _ranks(long))[0, 1]),
        kendall=_kendall(short, long),
        good_kendall=_kendall(short[good], long[good]),
        loss=float(long[chosen].min() / long.min() - 1),
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Equal values share their mean rank."""
    less = (values[:, None] > values[None, :]).sum(1)
    same = (values[:, None] == values[None, :]).sum(1)
    return np.asarray(less + (same - 1) / 2)


def _kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Tau a: pairs in the same order less those in the other, of all pairs."""
    order = np.sign(a[:, None] - a[None, :]) * np.sign(b[:, None] - b[None, :])
    return float(order.sum() / (len(a) * (len(a) - 1)))


def draw(task: Task, rows: int, count: int, seed: int = 0) -> list[Knobs]:
    """The default and random candidates, all different, legal for the task and its slice."""
    space = get_schedule(task.operator).space(task.workload, task.target)
    legal, rng = legality(task, rows), random.Random(f"{task.key}-{seed}")
    found: dict[str, Knobs] = {}
    for attempt in range(_DRAWS):
        if len(found) == count:
            break
        sketch = rng.choice(sorted(space))
        drawn = {n: rng.choice(options) for n, options in space[sketch].items()}
        knobs = {"sketch": sketch, **drawn} if attempt else default_knobs(task)
        if legal(knobs):
            found.setdefault(knobs_id(knobs), knobs)
    return list(found.values())


def check(task: Task, rows: int, candidates: Sequence[Knobs], pool: WorkerPool) -> Agreement:
    """Measure them on the modelled board; those that fail either way do not count."""
    board = get_timing_board(None, task.target)
    board.prepare()
    runs: list[list[Future[Outcome]]] = [
        [pool.submit(Setting(task, board.name, rows=r), knobs, None) for r in (rows, None)]
        for knobs in candidates
    ]
    both = [[run.result() for run in pair] for pair in runs]
    good = [(s.cycles or 0, w.cycles or 0) for s, w in both if not s.error and not w.error]
    return agreement([s for s, _ in good], [w for _, w in good])


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line a workload."""
    parser = argparse.ArgumentParser(prog="check_slices", description=__doc__)
    parser.add_argument("keys", nargs="+", metavar="KEY")
    parser.add_argument("--target", required=True)
    parser.add_argument("--candidates", type=int, default=32, metavar="N")
    parser.add_argument("--rows", type=int, help="of a slice, also where none would be taken")
    arguments = parser.parse_args(argv)
    return run_script("check_slices", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    table = []
    with WorkerPool(os.cpu_count() or 1) as pool:
        for key in arguments.keys:
            task = parse_task(key.split("-")[0], key, get_target(arguments.target))
            rows = arguments.rows or slice_rows(task)
            if rows is None:
                table.append([key, "whole", *[""] * 5])
                continue
            found = check(task, rows, draw(task, rows, arguments.candidates), pool)
            figures = [found.spearman, found.kendall, found.good_kendall]
            row = [key, f"{rows} of {task.workload.out_h}", str(found.candidates)]
            table.append([*row, *(f"{x:.2f}" for x in figures), f"{100 * found.loss:.1f}"])
    columns = ["workload", "rows", "candidates", "Spearman", "Kendall", "faster half", "loss %"]
    print_table(columns, table, arguments.target, right=columns[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
