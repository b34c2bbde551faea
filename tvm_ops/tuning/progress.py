"""How far a tuning session is."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from tvm_ops.task import Task
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.slices import sliced


@dataclass
class Progress:
    """State of a session; times in seconds.

    ``best`` is that of slices while these are ranked, at the end that of whole ones.
    """

    task: Task
    trials: int
    done: int = 0
    measured: int = 0  # of ``done``, what was not in the log before
    best: Record | None = None
    default: Record | None = None  # the first trial, of slices or of wholes as the best
    failures: Counter[str] = field(default_factory=Counter)  # by kind: build, run, wrong result...
    best_at: int = 0  # of ``done``, when the last gain was
    batches: int = 0
    stopped: str | None = None  # why it has no more trials than this
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Measured trials a second."""
        return self.measured / max(time.monotonic() - self.started, 1e-9)

    @property
    def time_left(self) -> float | None:
        return (self.trials - self.done) / self.rate if self.measured else None

    @property
    def gain(self) -> float | None:
        """The default's time over the best one's; None where either is not known."""
        first = self.default.cost if self.default else None
        best = self.best.cost if self.best else None
        return first / best if first and best else None

    @property
    def percent_of_peak(self) -> float | None:
        """Of one core's peak, the plain algorithm's multiply-adds counted."""
        seconds = self.best.cost if self.best else None
        if not seconds:
            return None
        target = self.task.target
        peak = target.peak(self.task.workload) * target.clock_ghz * 1e9
        measured = sliced(self.task, self.best.slice if self.best else None)
        return 100 * float(measured.workload.macs) / seconds / peak

    def add(self, record: Record, measured: bool) -> None:
        self.done += 1
        self.measured += measured
        if record.error:
            self.failures[record.error.split(":")[0]] += 1
