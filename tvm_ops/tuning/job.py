"""The state of a job: many tasks that are tuned with one pool of workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tvm_ops.task import Task
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.slices import float_macs, slice_rows, sliced

_TRIAL_MACS = 40e6  # multiply-adds that take as long as the rest of a trial, about 0.4 s of a core
Name = tuple[str, str]
"""Of a task in a job: its target and its key."""


@dataclass
class Job:
    """State of a job; ``observer`` sees it after each trial and after each task.

    ``budget``: trials of all tasks together, which then go where they gain most; None: each task
    has its ``trials``, one task after the other.
    """

    tasks: list[Task]
    trials: int
    budget: int | None = None
    skipped: list[Task] = field(default_factory=list)  # the log had their trials
    under_way: dict[Name, Progress] = field(default_factory=dict)
    sessions: list[Progress] = field(default_factory=list)  # finished
    errors: dict[Name, str] = field(default_factory=dict)  # what stopped a task's session
    current: Progress | None = None  # whose trial was the last
    last: Task | None = None  # the task that was finished last
    stopped: str | None = None  # why tasks were not begun, or not finished
    started: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Tasks that need nothing more."""
        return len(self.skipped) + len(self.sessions) + len(self.errors)

    @property
    def progresses(self) -> list[Progress]:
        """Of the tasks that were begun."""
        return [*self.sessions, *self.under_way.values()]

    @property
    def waiting(self) -> list[Task]:
        """Tasks that are still to be begun."""
        begun = {name(p.task) for p in self.progresses} | {name(task) for task in self.skipped}
        return [t for t in self.tasks if name(t) not in begun | set(self.errors)]

    @property
    def begun(self) -> int:
        """Trials that are done, new ones and those of the logs."""
        return sum(p.done for p in self.progresses)

    @property
    def measured(self) -> int:
        """New trials."""
        return sum(p.measured for p in self.progresses)

    @property
    def rate(self) -> float:
        """New trials a second."""
        return self.measured / max(time.monotonic() - self.started, 1e-9)

    @property
    def time_left(self) -> float | None:
        """Seconds, from the work that is done and its time; None before anything is known."""
        seconds = time.monotonic() - self.started
        if self.budget is not None:
            return max(self.budget - self.begun, 0) / self.rate if self.measured else None
        over = {name(p.task) for p in self.sessions} | set(self.errors)
        skipped = {name(task) for task in self.skipped}
        done_work = sum(_work(task) for task in self.tasks if name(task) in over)
        todo = sum(_work(task) for task in self.tasks if name(task) not in over | skipped)
        if not done_work or not any(session.measured for session in self.sessions):
            return None
        return seconds * todo / done_work


Observer = Callable[[Job], None]


def name(task: Task) -> Name:
    """The task's target and key."""
    return task.target.name, task.key


def _work(task: Task) -> float:
    """Of one trial, in units of what any trial takes."""
    return 1 + float_macs(sliced(task, slice_rows(task))) / _TRIAL_MACS
