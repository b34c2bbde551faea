"""A tuning session: search, measure, log; can be stopped at any time and resumed."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tvm_ops.boards import get_timing_board
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.nearest import imported_knobs, nearest_knobs
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.slices import legality, slice_rows
from tvm_ops.tuning.space import knobs_id
from tvm_ops.tuning.trials import Trials
from tvm_ops.tuning.workers import WorkerPool

BATCH = 8
AHEAD = 2  # batches that are proposed and not yet measured, so that no worker waits for a proposal
LIKELY = 8  # of the template's own ideas
IMPORTED = 3  # of AutoTVM's records, tried after the default
NEIGHBOURS = 3  # whose best knobs are tried before the search proposes any
FINALISTS = 3  # of the ranking by slices, that are measured whole
EMPTY_BATCHES = 3  # proposals without anything new before the space counts as exhausted


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

    The default knobs are the first trial; imported ones and the best of the nearest tuned workloads
    come next.
    The same seed, log and neighbours propose the same candidates; those that the log knows are
    taken from it, so that a stopped session goes on where it was. ``observer`` is called after each
    trial. ``pool`` serves several sessions; without one, ``workers`` are started. On
    KeyboardInterrupt what was measured is in the log, and it is raised again.
    Raises ``InputError`` for a board that does not fit or a log that cannot be read.
    """
    place = get_timing_board(board, task.target)
    place.prepare()
    setting = Setting(task, place.spec, bound, slice_rows(task))
    path = log.log_path(logs, task.target.name, task.operator)
    known = [r for r in log.read_task(path, task) if r.board in place.names]
    first = _first(task, logs, setting)
    progress = Progress(task, trials)

    def tell(trials: Trials, record: Record, new: bool) -> None:
        progress.add(record, new)
        progress.best = trials.best
        observer(progress)

    # On a wall clock, no search beside what is measured.
    ahead = 1 if place.times_wall_clock else AHEAD
    with ExitStack() as stack:
        pool = pool or stack.enter_context(WorkerPool(workers or os.cpu_count() or 1))
        candidates = Trials(setting, pool, path, known, tell)
        progress.best = candidates.best
        _search_through(candidates, progress, first[:trials], seed, ahead)
        if setting.rows is not None:
            finalists = _finalists(candidates, first[0])
            progress.trials = progress.done + len(finalists)
            whole = Trials(replace(setting, rows=None), pool, path, known, tell)
            whole.run(finalists)
            progress.best = whole.best
    return progress


def _first(task: Task, logs: Path, setting: Setting) -> list[Knobs]:
    """The default, imported ones, the nearest tuned workloads' best, what the template likes."""
    template = get_schedule(task.operator)
    likely = template.likely(task.workload, task.target) if hasattr(template, "likely") else []
    near = nearest_knobs(task, logs, NEIGHBOURS)
    candidates = [*imported_knobs(task, logs, IMPORTED), *near, *likely[:LIKELY]]
    default = default_knobs(task)
    different = {knobs_id(k): k for k in filter(legality(task, setting.rows), candidates)}
    return [default, *(k for i, k in different.items() if i != knobs_id(default))]


def _finalists(candidates: Trials, default: Knobs) -> list[Knobs]:
    """The default, with which a report begins, and the best slices."""
    best = [record.knobs for record in candidates.ranking()[:FINALISTS]]
    return [default, *(knobs for knobs in best if knobs != default)]


def _search_through(
    candidates: Trials, progress: Progress, first: list[Knobs], seed: int, ahead: int
) -> None:
    """Measure the ``first`` ones, then what the search proposes from what it has learned."""
    candidates.start(first)
    with _uninterrupted():
        search = _search(candidates.setting, seed)
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


def _search(setting: Setting, seed: int) -> KnobSearch:
    task = setting.task
    space = get_schedule(task.operator).space(task.workload, task.target)
    return KnobSearch(space, legality(task, setting.rows), seed, BATCH)


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
