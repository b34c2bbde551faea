"""Tuning many tasks with one pool of workers: in order, resumed where it was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tvm_ops.boards import get_timing_board
from tvm_ops.task import Task
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record, best, log_path, read_log
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.slices import float_macs, slice_rows, sliced
from tvm_ops.tuning.workers import WorkerPool

_TRIAL_MACS = 40e6  # multiply-adds that take as long as the rest of a trial, about 0.4 s of a core


@dataclass
class Job:
    """State of a job; ``observer`` sees it after each trial and after each task."""

    tasks: list[Task]
    trials: int
    skipped: list[Task] = field(default_factory=list)  # the log had their trials
    sessions: list[Progress] = field(default_factory=list)  # finished
    errors: dict[str, str] = field(default_factory=dict)  # by task key: what stopped its session
    current: Progress | None = None
    last: str = ""  # the key of the task that was finished last
    started: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Tasks that need nothing more."""
        return len(self.skipped) + len(self.sessions) + len(self.errors)

    @property
    def time_left(self) -> float | None:
        """Seconds, from the work that is done and its time; None before the first task is."""
        over = {p.task.key for p in self.sessions} | set(self.errors)
        skipped = {task.key for task in self.skipped}
        done = sum(_work(task) for task in self.tasks if task.key in over)
        todo = sum(_work(task) for task in self.tasks if task.key not in over | skipped)
        if not done or not any(session.measured for session in self.sessions):
            return None
        return (time.monotonic() - self.started) * todo / done


Observer = Callable[[Job], None]


def run_job(
    tasks: Sequence[Task],
    *,
    trials: int,
    board: str | None = None,
    seed: int = 0,
    logs: Path = log.ROOT,
    workers: int | None = None,
    bound: float | None = None,
    observer: Observer = lambda _job: None,
) -> Job:
    """Tune tasks of one target, those with few multiply-adds first: they are neighbours to others.

    Tasks whose log has ``trials`` of them are skipped. What stops one session (a template that
    fails) is kept in ``errors``, and the next task goes on; KeyboardInterrupt is raised again.
    Raises ``InputError`` for a board that does not fit or a log that cannot be read.
    """
    job = Job(sorted(tasks, key=float_macs), trials)
    place = get_timing_board(board, job.tasks[0].target)
    place.prepare()
    records = _Records(logs)
    todo: list[Task] = []
    for task in job.tasks:
        have = [r for r in records.of(task) if r.board in place.names]
        (job.skipped if is_tuned(task, have, trials) else todo).append(task)
    if not todo:
        return job

    def observe(progress: Progress) -> None:
        job.current = progress
        observer(job)

    with WorkerPool(workers or os.cpu_count() or 1) as pool:
        for task in todo:
            try:
                session = tune(
                    task,
                    trials=trials,
                    board=board,
                    seed=seed,
                    logs=logs,
                    bound=bound,
                    observer=observe,
                    pool=pool,
                )
            except Exception as error:
                job.errors[task.key] = f"{type(error).__name__}: {error}".splitlines()[0]
            else:
                job.sessions.append(session)
            job.current, job.last = None, task.key
            observer(job)
    return job


def is_tuned(task: Task, records: Sequence[Record], trials: int) -> bool:
    """Whether these records of the task are those of a finished session of so many trials."""
    rows = slice_rows(task)
    ranked = [record for record in records if record.slice == rows]
    confirmed = best(records) is not None or best(records, rows) is None
    return len(ranked) >= trials and confirmed


class _Records:
    """Each log is read once."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._by_task: dict[Path, dict[str, list[Record]]] = {}

    def of(self, task: Task) -> list[Record]:
        path = log_path(self._logs, task.target.name, task.operator)
        if path not in self._by_task:
            of_path: dict[str, list[Record]] = {}
            for record in read_log(path):
                of_path.setdefault(record.task, []).append(record)
            self._by_task[path] = of_path
        return self._by_task[path].get(task.key, [])


def _work(task: Task) -> float:
    """Of one trial, in units of what any trial takes."""
    return 1 + float_macs(sliced(task, slice_rows(task))) / _TRIAL_MACS
