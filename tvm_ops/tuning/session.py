"""A tuning session: search, measure, log; can be stopped at any time and resumed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from tvm_ops.boards import get_timing_board
from tvm_ops.boards.address import board_names, is_address
from tvm_ops.interrupts import uninterrupted
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log, log_file
from tvm_ops.tuning.features import RowMaker
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.nearest import imported_knobs, nearest_knobs, other_boards_knobs
from tvm_ops.tuning.options import Options
from tvm_ops.tuning.pool import Pool, open_pool
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.slices import legality, slice_rows, sliced
from tvm_ops.tuning.space import knobs_id
from tvm_ops.tuning.transfer import transfer
from tvm_ops.tuning.trials import Trials
from tvm_ops.tuning.tuners import PLAIN, Search

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
    workers: int | None = None,
    pool: Pool | None = None,
    observer: Observer = lambda _progress: None,
    **options: Any,
) -> Progress:
    """Try candidates of one task as the ``Options`` say, and append what is measured to its log.

    The default knobs are the first trial; imported ones and the best of the nearest tuned workloads
    come next. The same seed and logs propose the same candidates; those that the log knows are
    taken from it, so that a stopped session goes on where it was. ``observer`` is called after each
    trial and each batch. ``pool`` serves several sessions; without one, ``workers`` are started. On
    KeyboardInterrupt what was measured is in the log, and it is raised again.
    Raises ``InputError`` for a board that does not fit or a log that cannot be read, ``JobStopped``
    where nothing can be measured or logged.
    """
    chosen = Options(**options)
    place = get_timing_board(chosen.board, task.target)
    pool.prepare(place) if pool else place.prepare()
    with ExitStack() as stack:
        session = Session(task, chosen, observer)
        pool = pool or stack.enter_context(open_pool(workers))
        session.open(pool)
        run_rounds(lambda: session if session.wants_more else None, batches_ahead(task, chosen))
        session.finish()
    return session.progress


class Rounds(Protocol):
    """A session, or what stands for one."""

    def start_batch(self) -> bool:
        """Have the workers measure the next batch; False where there is nothing new."""

    def finish_batch(self) -> None:
        """Wait for the oldest batch that was started."""


def run_rounds(choose: Callable[[], Rounds | None], ahead: int) -> None:
    """Keep ``ahead`` batches under way, of the sessions that ``choose`` gives, until it has none.

    Batches end in the order in which they began, so that nothing depends on who was faster.
    """
    waiting: deque[Rounds] = deque()
    while True:
        session = choose() if len(waiting) < ahead else None
        if session:
            if session.start_batch():
                waiting.append(session)
        elif waiting:
            waiting.popleft().finish_batch()
        else:
            return


def batches_ahead(task: Task, options: Options) -> int:
    """How many batches are under way; by a wall clock nothing is proposed beside what runs."""
    return 1 if get_timing_board(options.board, task.target).times_wall_clock else AHEAD


class _Batch(NamedTuple):
    knobs: list[Knobs]
    proposed: int  # by the search, of which the last may not be tried; 0: none of them is its own


class Session:
    """One task's search, batch by batch; batches of several sessions may alternate."""

    def __init__(self, task: Task, options: Options, observer: Observer) -> None:
        place = get_timing_board(options.board, task.target)
        self.options = options
        rows = slice_rows(task)
        self._setting = Setting(task, place.spec, options.bound, rows, options.timeout)
        self.share = float(sliced(task, rows).workload.macs / task.workload.macs)
        self._path = log.log_path(options.logs, task.target.name, task.operator)
        log_file.repair(self._path)
        self._known = [r for r in log.read_task(self._path, task) if r.board in place.names]
        self._first = _first(task, self._setting, options)
        self.progress = Progress(task, options.trials)
        self._observer = observer
        self._waiting: deque[_Batch] = deque()
        self._search: Search | None = None
        self._empty = 0

    def open(self, pool: Pool) -> None:
        """Have the pool at hand; before anything else."""
        self._pool = pool
        self._trials = Trials(self._setting, pool, self._path, self._known, self._tell)
        self.progress.best = self._trials.best

    @property
    def wants_more(self) -> bool:
        """Whether another batch may be started now."""
        if self._search is None:
            return True
        if any(batch.proposed == 0 for batch in self._waiting):
            return False  # the search waits for what the first candidates teach it
        self.progress.stopped = self.options.enough(self.progress, self.share)
        return self._left > 0 and self._empty < EMPTY_BATCHES and not self.progress.stopped

    @property
    def begun(self) -> int:
        """Trials that are done or under way."""
        return self.progress.done + sum(len(batch.knobs) for batch in self._waiting)

    @property
    def _left(self) -> int:
        return self.progress.trials - self.begun

    def start_batch(self) -> bool:
        batch = self._start_first() if self._search is None else self._propose(self._search)
        if batch is None:
            return False
        self._trials.start(batch.knobs)
        self._waiting.append(batch)
        return True

    def finish_batch(self) -> None:
        """Wait for the oldest batch that was started; the search learns from it."""
        assert self._search
        batch = self._waiting.popleft()
        records = self._trials.finish(batch.knobs)
        with uninterrupted():
            if batch.proposed == 0:
                self._search.learn([(record.knobs, record.cost) for record in records])
            else:
                untried = batch.proposed - len(records)
                self._search.report([record.cost for record in records] + [None] * untried)
        self.progress.batches += 1
        self._observer(self.progress)

    def finish(self) -> None:
        """Measure the best slices whole, where the trials were slices; nothing may be under way."""
        if self._setting.rows is None:
            return
        best = [record.knobs for record in self._trials.ranking()[:FINALISTS]]
        finalists = [self._first[0], *(knobs for knobs in best if knobs != self._first[0])]
        self.progress.trials = self.progress.done + len(finalists)
        self.progress.default = None
        setting = replace(self._setting, rows=None)
        whole = Trials(setting, self._pool, self._path, self._known, self._tell)
        whole.run(finalists)
        self.progress.best = whole.best

    def _start_first(self) -> _Batch:
        """The workers have these while the search is set up."""
        first = self._first[: self.options.trials]
        self._trials.start(first)
        with uninterrupted():
            self._search = _search(self._setting, self.options)
        return _Batch(first, 0)

    def _propose(self, search: Search) -> _Batch | None:
        with uninterrupted():
            proposed = search.propose()
        self._empty = 0 if proposed else self._empty + 1
        if not all(map(self._trials.knows, proposed)):
            self._catch_up(search, proposed)
        batch = proposed[: self._left]
        return _Batch(batch, len(proposed)) if batch else None

    def _catch_up(self, search: Search, proposed: list[Knobs]) -> None:
        """Learn what else the log has, where the search is about to leave the way it went before.

        That is so with another seed or tuner, or where other tasks were tuned since.
        """
        coming = [*proposed, *(knobs for batch in self._waiting for knobs in batch.knobs)]
        records = self._trials.untold({knobs_id(knobs) for knobs in coming})
        records = self._trials.finish([r.knobs for r in records][: max(self._left, 0)])
        with uninterrupted():
            search.learn([(record.knobs, record.cost) for record in records])

    def _tell(self, trials: Trials, record: Record, new: bool) -> None:
        self.progress.add(record, new)
        if record.knobs == self._first[0]:
            self.progress.default = record
        if trials.best is record:
            self.progress.best_at = self.progress.done
        self.progress.best = trials.best
        self._observer(self.progress)


def _first(task: Task, setting: Setting, options: Options) -> list[Knobs]:
    """The default, imported ones, the nearest tuned workloads' best, what the template likes.

    On a real board, before all of these, what is best of the task elsewhere, such as on the model.
    """
    template = get_schedule(task.operator)
    likely = template.likely(task.workload, task.target) if hasattr(template, "likely") else []
    near: list[Knobs] = []
    names = board_names(setting.board)
    if any(map(is_address, names)):
        near += other_boards_knobs(task, options.logs, names, NEIGHBOURS)
    if options.transfer:
        near += imported_knobs(task, options.logs, IMPORTED)
        near += nearest_knobs(task, options.logs, NEIGHBOURS)
    candidates = [*near, *likely[:LIKELY]]
    default = default_knobs(task)
    different = {knobs_id(k): k for k in filter(legality(task, setting.rows), candidates)}
    return [default, *(k for i, k in different.items() if i != knobs_id(default))]


def _search(setting: Setting, options: Options) -> Search:
    task = setting.task
    space = get_schedule(task.operator).space(task.workload, task.target)
    legal = legality(task, setting.rows)
    if options.tuner != "xgb":
        return PLAIN[options.tuner](space, legal, options.seed, BATCH)
    rows = RowMaker(space, sliced(task, setting.rows))
    learned = transfer(setting, space, options.logs) if options.transfer else []
    return KnobSearch(space, legal, options.seed, BATCH, rows=rows, transfer=learned)
