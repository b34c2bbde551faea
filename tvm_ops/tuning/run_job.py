"""Runs a job: many tasks with one pool of workers, one by one or by turns; can go on later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tvm_ops.boards import get_timing_board
from tvm_ops.errors import InputError, JobStopped, Unavailable
from tvm_ops.task import Task
from tvm_ops.tuning.allocation import Gains, most_promising
from tvm_ops.tuning.failures import CandidatesFail
from tvm_ops.tuning.job import Job, Name, Observer, name
from tvm_ops.tuning.log import Record, best, log_path, read_log
from tvm_ops.tuning.log_file import check_writable
from tvm_ops.tuning.options import Options
from tvm_ops.tuning.pool import Pool, open_pool, prepare_board
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.session import Session, batches_ahead, run_rounds
from tvm_ops.tuning.slices import float_macs, slice_rows, sliced


def run_job(
    tasks: Sequence[Task],
    *,
    budget: int | None = None,
    skip_tuned: bool = True,
    weights: Mapping[Name, float] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    observer: Observer = lambda _job: None,
    **options: Any,
) -> Job:
    """Tune tasks as the ``Options`` say, those with few multiply-adds first: neighbours to others.

    Without a ``budget`` tasks whose log has ``trials`` of them are skipped (``skip_tuned``), or
    read from the log. With one, all tasks are tuned by turns, and a batch goes to the task with the
    largest product of its weight (default: 1) and the time that it may save. What stops one session
    (a template that fails) is kept in ``errors``, and the others go on; bad input of a task alone
    and KeyboardInterrupt are raised again.
    Raises ``InputError`` for a board that does not fit, a log that cannot be read or a cluster that
    cannot be reached, ``JobStopped`` where nothing can be measured or logged.
    """
    chosen = Options(**options)
    job = Job(sorted(tasks, key=float_macs), chosen.trials, budget)
    records = _Records(chosen.logs)
    todo: list[Task] = []
    for task in job.tasks:
        place = get_timing_board(chosen.board, task.target)
        have = [r for r in records.of(task) if r.board in place.names]
        skip = budget is None and skip_tuned and is_tuned(task, have, chosen.trials)
        if not skip:
            check_writable(log_path(chosen.logs, task.target.name, task.operator))
        (job.skipped if skip else todo).append(task)
    if todo:
        for target in {task.target.name: task.target for task in todo}.values():
            prepare_board(get_timing_board(chosen.board, target), cluster)
        with open_pool(workers, cluster) as pool:
            work = _Work(job, chosen, pool, observer)
            if budget is None:
                work.one_by_one(todo)
            else:
                work.by_turns(todo, budget, weights or {})
    return job


class _Work:
    """The sessions of a job."""

    def __init__(self, job: Job, options: Options, pool: Pool, observer: Observer) -> None:
        self._job, self._options, self._pool, self._observer = job, options, pool, observer

    def one_by_one(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if self._is_over():
                return
            member = self._member(task, 1.0)
            run_rounds(member.itself, batches_ahead(task, self._options))
            member.finish()

    def by_turns(self, tasks: Sequence[Task], budget: int, weights: Mapping[Name, float]) -> None:
        members = [self._member(task, weights.get(name(task), 1.0)) for task in tasks]

        def choose() -> _Member | None:
            started = sum(member.started for member in members)
            willing = [member for member in members if member.wants_more]
            if not willing or started >= budget or self._is_over():
                return None
            return willing[most_promising([member.gains for member in willing])]

        run_rounds(choose, min(batches_ahead(task, self._options) for task in tasks))
        for member in members:
            member.finish()

    def _is_over(self) -> bool:
        deadline = self._options.deadline
        if deadline is not None and time.monotonic() >= deadline:
            self._job.stopped = "time limit"
        return self._job.stopped is not None

    def _member(self, task: Task, weight: float) -> _Member:
        def observe(progress: Progress) -> None:
            self._job.current = progress
            self._observer(self._job)

        def make() -> Session:
            session = Session(task, self._options, observe)
            session.open(self._pool)
            return session

        return _Member(self._job, task, weight, make, lambda: self._observer(self._job))


class _Member(AbstractContextManager["_Member"]):
    """A session whose failure does not stop the others; as a context it catches what fails.

    It is made when it is begun: what was tuned before it then counts among its neighbours.
    """

    def __init__(
        self,
        job: Job,
        task: Task,
        weight: float,
        make: Callable[[], Session],
        tell: Callable[[], None],
    ) -> None:
        self._job, self._task, self._make, self._tell = job, task, make, tell
        self._session: Session | None = None
        self._failed = False
        trial = sliced(task, slice_rows(task))
        self.gains = Gains(weight * float(task.workload.macs / trial.workload.macs))
        self.started = 0  # trials

    def itself(self) -> _Member | None:
        """None where it wants no more batches."""
        return self if self.wants_more else None

    @property
    def wants_more(self) -> bool:
        return not self._failed and (self._session is None or self._session.wants_more)

    def start_batch(self) -> bool:
        done = False
        with self:
            if self._session is None:
                self._session = self._make()
                self._job.under_way[name(self._task)] = self._session.progress
            done = self._session.start_batch()
            self.started = self._session.begun
        return done

    def finish_batch(self) -> None:
        with self:
            if self._session and not self._failed:
                self._session.finish_batch()
                self.gains.add(self._session.progress)

    def finish(self) -> None:
        with self:
            if self._session and not self._failed:
                self._session.finish()
                self._job.sessions.append(self._session.progress)
                self._over()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        stops_all = isinstance(error, JobStopped | Unavailable)
        if stops_all and not isinstance(error, CandidatesFail):
            return False
        is_input = isinstance(error, InputError)
        if is_input and len(self._job.tasks) == 1:
            return False  # nothing else to go on with
        words = str(error) if is_input else f"{type(error).__name__}: {error}".splitlines()[0]
        if isinstance(error, CandidatesFail):
            words = str(error).removeprefix(f"{self._task.key}: ")
            if words in self._job.errors.values():
                raise JobStopped(f"{self._task.key}, and a task before it: {words}") from error
        self._job.errors[name(self._task)] = words
        self._failed = True
        self._over()
        return True

    def _over(self) -> None:
        self._job.under_way.pop(name(self._task), None)
        self._job.current, self._job.last = None, self._task
        self._tell()


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
