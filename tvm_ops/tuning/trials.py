"""Candidates of one setting on their way through the workers into the log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from pathlib import Path

from tvm_ops.boards.address import board_names
from tvm_ops.task import Knobs
from tvm_ops.tuning import log, log_file
from tvm_ops.tuning.failures import Failures
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.measure import Outcome
from tvm_ops.tuning.pool import Pool
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.space import knobs_id

CUT_OFF = 1.5  # a candidate that takes this many times the best so far is not finished
COLD_CYCLES = 1_000_000  # more, for the limit holds in the warm-up too, whose caches are cold


class Trials:
    """Starts candidates and gives back their records, in the order of the batches.

    ``known`` are records of the task and board: what they have is not measured again. ``observer``
    is told each record, once, and whether it is new.
    """

    def __init__(
        self,
        setting: Setting,
        pool: Pool,
        path: Path,
        known: Sequence[Record],
        observer: Callable[[Trials, Record, bool], None],
    ) -> None:
        self.setting = setting
        self._pool, self._path, self._observer = pool, path, observer
        self._known = {knobs_id(r.knobs): r for r in known if r.slice == setting.rows}
        self._running: dict[str, Future[Outcome]] = {}
        self._told: set[str] = set()
        self.best = log.best(known, setting.rows)
        self._failures = Failures(self.best is not None)

    def knows(self, knobs: Knobs) -> bool:
        """Whether there is a record of it already."""
        return knobs_id(knobs) in self._known

    def untold(self, but: Collection[str]) -> list[Record]:
        """Records that were known from the start and not asked for yet; ``but`` are knobs' ids."""
        return [r for i, r in self._known.items() if i not in self._told and i not in but]

    def start(self, batch: Sequence[Knobs]) -> None:
        """One cycle limit for the batch, whoever is faster in it: the log does not depend on it."""
        for knobs in batch:
            name = knobs_id(knobs)
            if name not in self._known and name not in self._running:
                self._running[name] = self._submit(knobs)

    def finish(self, batch: Sequence[Knobs]) -> list[Record]:
        """The records of a batch that was started, in its order; new ones are logged.

        Each is in the log before the next is waited for, the batch on the disk before this returns.
        Raises ``JobStopped`` where nothing can be measured or logged.
        """
        records = [self._finish(knobs) for knobs in batch]
        log_file.sync(self._path)
        return records

    def run(self, batch: Sequence[Knobs]) -> list[Record]:
        """Start and finish."""
        self.start(batch)
        return self.finish(batch)

    def ranking(self) -> list[Record]:
        """All that may be chosen, the fastest first."""
        usable = [record for record in self._known.values() if record.cost]
        return sorted(usable, key=lambda record: record.cost or 0.0)

    def _finish(self, knobs: Knobs) -> Record:
        name = knobs_id(knobs)
        new = name not in self._known
        if new:
            self._known[name] = self._measured(knobs)
            log.append(self._path, [self._known[name]])
        record = self._known[name]
        if name not in self._told:
            self._told.add(name)
            if record.cost and (self.best is None or record.cost < (self.best.cost or 0)):
                self.best = record
            self._observer(self, record, new)
        if new:
            self._failures.count(record)
        return record

    def _submit(self, knobs: Knobs) -> Future[Outcome]:
        cycles = self.best.cycles if self.best else None
        limit = int(CUT_OFF * cycles) + COLD_CYCLES if cycles else None
        return self._pool.submit(self.setting, knobs, limit)

    def _measured(self, knobs: Knobs) -> Record:
        outcome = self._running.pop(knobs_id(knobs)).result()
        while outcome.is_environment:  # says nothing of the candidate: it must not be logged
            self._failures.wait_for_environment(outcome)
            outcome = self._submit(knobs).result()
        return _record(self.setting, knobs, outcome)


def _record(setting: Setting, knobs: Knobs, outcome: Outcome) -> Record:
    return log.new_record(
        setting.task,
        knobs,
        outcome.board or board_names(setting.board)[0],
        seconds=outcome.seconds,
        cycles=outcome.cycles,
        error=outcome.error,
        max_error=outcome.max_error,
        slice=setting.rows,
    )
