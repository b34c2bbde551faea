"""A tuning session: search, measure, log; can be stopped at any time and resumed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm_ops.boards import get_timing_board
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.measure import Outcome
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.space import knobs_id
from tvm_ops.tuning.workers import WorkerPool

BATCH = 16
CUT_OFF = 2.0  # a candidate that takes this many times the best so far is not finished
COLD_CYCLES = 1_000_000  # more, for the limit holds in the warm-up too, whose caches are cold
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
        elif record.cost and (self.best is None or record.cost < (self.best.cost or 0)):
            self.best = record


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
) -> Progress:
    """Try ``trials`` candidates of one task, and append what is measured to its log.

    The default knobs are the first trial. The same seed proposes the same candidates; those that
    the log knows are taken from it, so that a stopped session goes on where it was. ``observer`` is
    called after each trial. On KeyboardInterrupt what was measured is in the log, and it is raised
    again.
    Raises ``InputError`` for a board that does not fit or a log that cannot be read.
    """
    place = get_timing_board(board, task.target)
    place.prepare()
    name = place.name
    path = log.log_path(logs, task.target.name, task.operator)
    known = {knobs_id(r.knobs): r for r in log.read_task(path, task) if r.board == name}
    progress = Progress(task, trials, best=log.best(known.values()))
    with WorkerPool(task, name, workers or os.cpu_count() or 1, bound) as pool:
        with _uninterrupted():
            search = _search(task, seed)

        def run(batch: list[Knobs]) -> list[Record]:
            return _run_batch(batch, task, name, pool, path, known, progress, observer)

        (first,) = run([default_knobs(task)])
        with _uninterrupted():
            search.learn(first.knobs, first.cost)
        empty = 0
        while progress.done < trials and empty < EMPTY_BATCHES:
            with _uninterrupted():
                batch = search.propose()
            empty = 0 if batch else empty + 1
            records = run(batch[: trials - progress.done])
            costs = [record.cost for record in records]
            with _uninterrupted():
                search.report(costs + [None] * (len(batch) - len(costs)))
    return progress


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


def _run_batch(
    batch: list[Knobs],
    task: Task,
    board: str,
    pool: WorkerPool,
    path: Path,
    known: dict[str, Record],
    progress: Progress,
    observer: Observer,
) -> list[Record]:
    """The records of a batch, in its order; those that are new are logged as they come."""
    best = progress.best.cycles if progress.best else None
    # One limit for the batch, whoever is faster in it.
    limit = int(CUT_OFF * best) + COLD_CYCLES if best else None
    outcomes = pool.measure([k for k in batch if knobs_id(k) not in known], limit)
    records = []
    for knobs in batch:
        record = known.get(knobs_id(knobs))
        new = record is None
        if record is None:
            record = _to_record(task, knobs, board, next(outcomes))
            log.append(path, [record])
            known[knobs_id(knobs)] = record
        records.append(record)
        progress.add(record, new)
        observer(progress)
    return records


def _to_record(task: Task, knobs: Knobs, board: str, outcome: Outcome) -> Record:
    return log.new_record(
        task,
        knobs,
        board,
        seconds=outcome.seconds,
        cycles=outcome.cycles,
        error=outcome.error,
        max_error=outcome.max_error,
    )
