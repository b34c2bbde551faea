"""What the kernels take on the modelled board: from the tuning logs, or one checked run each.

``docs/performance/TARGET-few-bit.jsonl`` has the runs of what is not tuned: the templates' default
knobs, and what stands in for them without an optimisation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tvm_ops.few_bit.tasks import Kernel, knobs_of
from tvm_ops.performance.layers import BOARD
from tvm_ops.performance.lines import append_line, read_lines
from tvm_ops.performance.side_by_side import side_by_side
from tvm_ops.targets import Target
from tvm_ops.task import Knobs
from tvm_ops.tuning.log import Record, best, log_path, read_log
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.space import knobs_id

OPERATORS = ("bitserial_conv2d", "bitserial_dense", "bitpack", "fused_glue")


@dataclass(frozen=True)
class Run:
    """One run whose output was the reference's, bit for bit."""

    task: str
    target: str
    knobs: Knobs
    cycles: int
    time: str


def runs_path(folder: Path, target: str) -> Path:
    """``FOLDER/TARGET-few-bit.jsonl``."""
    return folder / f"{target}-few-bit.jsonl"


class Known:
    """Cycles of kernels on one target. Raises ``InputError`` for a file that cannot be read."""

    def __init__(self, target: Target, logs: Path, folder: Path) -> None:
        records: dict[str, list[Record]] = {}
        for operator in OPERATORS:
            for record in read_log(log_path(logs, target.name, operator)):
                if record.board == BOARD and record.cycles:
                    records.setdefault(record.task, []).append(record)
        self._tuned = {key: chosen for key, found in records.items() if (chosen := best(found))}
        self._runs = {
            (record.task, knobs_id(record.knobs)): record.cycles
            for found in records.values()
            for record in found
            if record.cost and record.slice is None
        }
        for run in read_lines(runs_path(folder, target.name), Run):
            self._runs[run.task, knobs_id(run.knobs)] = run.cycles

    def cycles(self, kernel: Kernel) -> int | None:
        """With the kernel's knobs; where it has none, the fewer of tuned and default knobs."""
        run = self._runs.get((kernel.task.key, knobs_id(knobs_of(kernel))))
        tuned = self._tuned.get(kernel.task.key) if kernel.knobs is None else None
        return min([c for c in (run, tuned and tuned.cycles) if c], default=None)


def measure(
    kernels: Iterable[Kernel],
    target: Target,
    logs: Path,
    folder: Path,
    *,
    again: bool = False,
    jobs: int = 1,
    report: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Run the target's kernels of which nothing is known, or with ``again`` all, and keep the runs.

    It can be stopped at any time. Returns those that fail, in a line each; these are not kept.
    """
    known, problems = Known(target, logs, folder), []
    todo = {
        (kernel.task.key, knobs_id(knobs_of(kernel))): kernel
        for kernel in kernels
        if again or known.cycles(kernel) is None
    }
    for number, kernel, done in side_by_side(_run, list(todo.values()), jobs):
        said = done if isinstance(done, str) else f"{done.cycles / 1e6:.3f} Mcycles"
        line = f"{target.name} {kernel.task.key}: {said}"
        report(f"{number}/{len(todo)} {line}")
        if isinstance(done, str):
            problems.append(line)
        else:
            append_line(runs_path(folder, target.name), done)
    return problems


def _run(kernel: Kernel) -> Run | str:
    """The run, or what is wrong."""
    knobs = knobs_of(kernel)
    with tempfile.TemporaryDirectory(prefix="tvm_ops-few-bit-") as folder:
        outcome = Measurer(kernel.task, BOARD, Path(folder), repeats=1).measure(knobs)
    if outcome.error or not outcome.cycles:
        return outcome.error or "the board counted no cycles"
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Run(kernel.task.key, kernel.task.target.name, knobs, outcome.cycles, now)
