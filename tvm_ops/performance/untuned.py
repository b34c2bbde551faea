"""What shapes get that are not tuned: each layer as if nothing of its shape were in the logs."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.performance.layers import BOARD, LayerRow, Ours
from tvm_ops.performance.lines import append_line, read_lines
from tvm_ops.performance.side_by_side import side_by_side
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.tuning.log import Record, append, best, log_path, read_log
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.nearest import untuned_knobs
from tvm_ops.tuning.space import knobs_id

GOAL = 2.0  # times the tuned one, at most, for the median of the layers


@dataclass(frozen=True)
class Untuned:
    """A task with the knobs of ``source``, its nearest tuned workload; None: the default's."""

    task: str
    target: str
    knobs: Knobs
    source: str | None
    cycles: int | None
    error: str | None
    time: str


@dataclass(frozen=True)
class Summary:
    """``ratios``: untuned over tuned cycles by task key, infinite for a kernel that fails."""

    layers: int
    ratios: dict[str, float]

    @property
    def median(self) -> float | None:
        return statistics.median(self.ratios.values()) if self.ratios else None

    @property
    def worst(self) -> str | None:
        """The task of the largest ratio."""
        return max(self.ratios, key=lambda key: self.ratios[key], default=None)

    def to_json(self) -> dict[str, Any]:
        """A kernel that fails has no number in JSON."""
        finite = {key: r if math.isfinite(r) else None for key, r in self.ratios.items()}
        median = self.median if self.median and math.isfinite(self.median) else None
        return {"tuned": self.layers, "median": median, "worst": self.worst, "ratios": finite}


def untuned_path(folder: Path, target: str) -> Path:
    """``FOLDER/TARGET-untuned.jsonl``."""
    return folder / f"{target}-untuned.jsonl"


def read_untuned(folder: Path, target: str) -> list[Untuned]:
    """All in order. Raises ``InputError`` with file and line."""
    return read_lines(untuned_path(folder, target), Untuned)


def summarise(rows: Sequence[LayerRow], entries: Iterable[Untuned]) -> Summary:
    """Of the tuned layers and the last run of each task."""
    last = {entry.task: entry for entry in entries}
    tuned = [row.blocked for row in rows if row.blocked]
    ratios = {}
    for ours in tuned:
        if entry := last.get(ours.task.key):
            ratios[ours.task.key] = (entry.cycles or math.inf) / ours.cycles
    return Summary(len(tuned), ratios)


def measure_untuned(
    rows: Sequence[LayerRow],
    target: Target,
    logs: Path,
    path: Path,
    *,
    jobs: int = 2,
    report: Callable[[str], None] = lambda _line: None,
) -> None:
    """Measure what each tuned layer would get, and append to ``path`` what that does not have.

    It can be stopped at any time. Raises ``InputError`` for a log that cannot be read.
    """
    tuned = [row.blocked for row in rows if row.blocked]
    bests = {name: _bests(name, target, logs) for name in {ours.task.operator for ours in tuned}}
    known = {(entry.task, knobs_id(entry.knobs)) for entry in read_lines(path, Untuned)}
    todo = []
    for ours in tuned:
        knobs, source = fallback(ours.task, bests[ours.task.operator])
        if (ours.task.key, knobs_id(knobs)) not in known:
            todo.append((ours, knobs, source))
    for number, (ours, _, source), entry in side_by_side(lambda e: _measure(*e), todo, jobs):
        append_line(path, entry)
        ratio = f"{entry.cycles / ours.cycles:.2f} times" if entry.cycles else entry.error
        where = f"{number}/{len(todo)} {target.name} {ours.task.key}"
        report(f"{where}: {ratio} with {source or 'the default'}")


def _bests(operator: str, target: Target, logs: Path) -> list[tuple[Task, Record]]:
    """The best record of each task of an operator: all that a fallback looks at."""
    by_task: dict[str, list[Record]] = {}
    for record in read_log(log_path(logs, target.name, operator)):
        by_task.setdefault(record.task, []).append(record)
    found = []
    for key, records in by_task.items():
        if chosen := best(records):
            try:
                found.append((parse_task(operator, key, target), chosen))
            except InputError:  # a key of another version
                continue
    return found


def fallback(task: Task, bests: Sequence[tuple[Task, Record]]) -> tuple[Knobs, str | None]:
    """The knobs that the task would get, and from which task, if its shape were not tuned.

    Hidden is every task of its shape, with whatever activation: that would not be an unknown shape.
    """
    shape = _shape(task)
    others = [record for other, record in bests if _shape(other) != shape]
    with tempfile.TemporaryDirectory(prefix="tvm_ops-untuned-") as folder:
        append(log_path(Path(folder), task.target.name, task.operator), others)
        knobs, record = untuned_knobs(task, Path(folder))
    return knobs, record.task if record else None


def _shape(task: Task) -> Any:
    return replace(task.workload, activation="none", residual=False)


def _measure(ours: Ours, knobs: Knobs, source: str | None) -> Untuned:
    cycles, error = ours.record.cycles, None
    if knobs_id(knobs) != knobs_id(ours.record.knobs):  # the board is deterministic
        with tempfile.TemporaryDirectory(prefix="tvm_ops-untuned-") as folder:
            outcome = Measurer(ours.task, BOARD, Path(folder), repeats=1).measure(knobs)
        cycles, error = outcome.cycles, outcome.error
    return Untuned(
        task=ours.task.key,
        target=ours.task.target.name,
        knobs=knobs,
        source=source,
        cycles=cycles,
        error=error,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
