"""A tuning session: search, measure, log; can be stopped at any time and resumed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm_ops.boards import get_timing_board
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.nearest import nearest_knobs
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.trials import Trials
from tvm_ops.tuning.workers import WorkerPool

BATCH = 8
AHEAD = 2  # batches that are proposed and not yet measured, so that no worker waits for a proposal
NEIGHBOURS = 3  # whose best knobs are tried before the search proposes any
EMPTY_BATCHES = 3  # proposals without anything new before the space counts as exhausted


@dataclass
class Progress:
    """State of a session; times in seconds."""

    task: Task
    trials: int
    done: int = 0
    measured: int = 0  # of ``done``, what was not in the log before
    best: Record | None = None
    failures: Counter[str] = field(default_factory=Counter)  # by kind: build, run, wrong result...
    started: float = field(default_factory=time.monotonic)

    @property
    def rate(self) -> float:
        """Measured trials a second."""
        return self.measured / max(time.monotonic() - self.started, 1e-9)

    @property
    def time_left(self) -> float | None:
        return (self.trials - self.done) / self.rate if self.measured else None

    @property
    def percent_of_peak(self) -> float | None:
        """Of one core's float32 peak, the plain algorithm's multiply-adds counted."""
        seconds = self.best.cost if self.best else None
        if not seconds:
            return None
        target = self.task.target
        peak = target.macs_per_cycle * target.clock_ghz * 1e9
        return 100 * float(self.task.workload.macs) / seconds / peak

    def add(self, record: Record, measured: bool) -> None:
        self.done += 1
        self.measured += measured
        if record.error:
            self.failures[record.error.split(":")[0]] += 1


Observer = Callable[[Progress], None]


def tune(
    task: Task,
    *,
    trials: int,
    board: str | None = None,
    seed: int = 0,
    logs: Path = log.ROOT,
    workers: int | None = None,
    bound: float | None = None,
    observer: Observer = lambda _progress: None,
    pool: WorkerPool | None = None,
) -> Progress:
    """Try ``trials`` candidates of one task, and append what is measured to its log.

    The default knobs are the first trial, the best ones of the nearest tuned workloads come next.
    The same seed, log and neighbours propose the same candidates; those that the log knows are
    taken from it, so that a stopped session goes on where it was. ``observer`` is called after each
    trial. ``pool`` serves several sessions; without one, ``workers`` are started. On
    KeyboardInterrupt what was measured is in the log, and it is raised again.
    Raises ``InputError`` for a board that does not fit or a log that cannot be read.
    """
    place = get_timing_board(board, task.target)
    place.prepare()
    path = log.log_path(logs, task.target.name, task.operator)
    setting = Setting(task, place.name, bound)
    known = [r for r in log.read_task(path, task) if r.board == place.name and r.slice is None]
    progress = Progress(task, trials)
    with ExitStack() as stack:
        pool = pool or stack.enter_context(WorkerPool(workers or os.cpu_count() or 1))

        def tell(record: Record, new: bool) -> None:
            progress.add(record, new)
            progress.best = candidates.best
            observer(progress)

        candidates = Trials(setting, pool, path, known, tell)
        progress.best = candidates.best
        first = [default_knobs(task), *nearest_knobs(task, logs, NEIGHBOURS)]
        # On a wall clock, no search beside what is measured.
        ahead = 1 if place.times_wall_clock else AHEAD
        _search_through(candidates, progress, first[:trials], seed, ahead)
    return progress


def _search_through(
    candidates: Trials, progress: Progress, first: list[Knobs], seed: int, ahead: int
) -> None:
    """Measure the ``first`` ones, then what the search proposes from what it has learned."""
    candidates.start(first)
    with _uninterrupted():
        search = _search(progress.task, seed)
    for record in candidates.finish(first):
        with _uninterrupted():
            search.learn(record.knobs, record.cost)
    waiting: deque[tuple[list[Knobs], int]] = deque()  # started; how many proposed
    empty = 0
    while True:
        left = progress.trials - progress.done - sum(len(batch) for batch, _ in waiting)
        if len(waiting) < ahead and left > 0 and empty < EMPTY_BATCHES:
            with _uninterrupted():
                batch = search.propose()
            empty = 0 if batch else empty + 1
            if batch:
                candidates.start(batch[:left])
                waiting.append((batch[:left], len(batch)))
        elif waiting:
            batch, proposed = waiting.popleft()
            costs = [record.cost for record in candidates.finish(batch)]
            with _uninterrupted():
                search.report(costs + [None] * (proposed - len(costs)))
        else:
            return


def _search(task: Task, seed: int) -> KnobSearch:
    template, workload, target = get_schedule(task.operator), task.workload, task.target

    def legal(knobs: Knobs) -> bool:
        return bool(template.legal(workload, target, knobs))

    return KnobSearch(template.space(workload, target), legal, seed, BATCH)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, a second at most.

    Where it meets Python that TVM calls, TVM makes an error of its own of it or swallows it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    caught: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: caught.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught and callable(before):
        before(*caught[0])
