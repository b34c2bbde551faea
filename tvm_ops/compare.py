"""Ours, ours untuned, and the peers' kernels for the same tasks on the same board, in one table.

*Untuned* is what the task would get if its own records were not there: the knobs of the nearest
tuned workload, or the template's default where there is none.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tvm_ops.board_model.sysroot import sysroot
from tvm_ops.boards import get_timing_board
from tvm_ops.build import build_program
from tvm_ops.peers import PEERS, PeerResult, get_peer
from tvm_ops.peers.process import PeerFailed
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning import log
from tvm_ops.tuning.measure import Array, Measurer, Outcome
from tvm_ops.tuning.nearest import best_knobs, untuned_knobs

HOST_ROUNDS = 9  # interleaved; the median of what each has measured counts
OURS, UNTUNED = "tvm_ops", "tvm_ops untuned"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """One kernel for one task. ``seconds`` is the median, None where ``why_not`` says why.

    ``max_abs_error`` is the largest difference to our output; of our own kernels, to the float64
    reference.
    """

    name: str
    version: str | None = None
    seconds: float | None = None
    cycles: int | None = None
    max_abs_error: float | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class Row:
    """All kernels for one task."""

    task: Task
    ours: Entry
    untuned: Entry
    peers: list[Entry]

    @property
    def entries(self) -> list[Entry]:
        return [self.ours, self.untuned, *self.peers]

    def ratio(self, entry: Entry) -> float | None:
        """Its time over ours: above 1 we are faster."""
        if entry.seconds is None or self.ours.seconds is None:
            return None
        return entry.seconds / self.ours.seconds

    def figures(self, entry: Entry) -> dict[str, float | None]:
        """ms, cycles, MAC/cycle and percent of the core's float32 peak; None for what is unknown.

        Multiply-adds are those of the plain algorithm, so Winograd may pass 100 %. Where the board
        counts no cycles they follow from the target's clock.
        """
        target, seconds = self.task.target, entry.seconds
        if seconds is None:
            return dict.fromkeys(("ms", "cycles", "mac_per_cycle", "percent_of_peak"))
        cycles = entry.cycles or seconds * target.clock_ghz * 1e9
        rate = self.task.workload.macs / cycles
        percent = 100 * rate / target.macs_per_cycle
        return {
            "ms": seconds * 1e3,
            "cycles": round(cycles),
            "mac_per_cycle": rate,
            "percent_of_peak": percent,
        }


@dataclass(frozen=True)
class Comparison:
    """The rows of one target and board; ``label`` says where the figures come from."""

    target: str
    board: str
    label: str
    rows: list[Row] = field(default_factory=list)

    @property
    def geomean(self) -> dict[str, float]:
        """Of each peer's ratios, over the tasks that it ran."""
        ratios: dict[str, list[float]] = {}
        for row in self.rows:
            for entry in row.peers:
                ratio = row.ratio(entry)
                if ratio:
                    ratios.setdefault(entry.name, []).append(ratio)
        return {name: math.exp(statistics.mean(map(math.log, r))) for name, r in ratios.items()}

    @property
    def failures(self) -> list[str]:
        """Tasks of which our own kernel has no time, and why."""
        bad = [row for row in self.rows if row.ours.seconds is None]
        return [f"{row.task.key}: {row.ours.why_not}" for row in bad]

    def to_json(self) -> dict[str, Any]:
        """The same facts as the table."""
        rows = []
        for row in self.rows:
            peers = [
                {"name": e.name, "version": e.version, **row.figures(e), "ratio": row.ratio(e),
                 "max_abs_error": e.max_abs_error, "why_not": e.why_not}
                for e in row.peers
            ]  # fmt: skip
            ours, untuned = (
                {**row.figures(e), "max_abs_error": e.max_abs_error, "why_not": e.why_not}
                for e in (row.ours, row.untuned)
            )
            rows.append({"task": row.task.key, "ours": ours, "untuned": untuned, "peers": peers})
        facts = {"target": self.target, "board": self.board, "label": self.label}
        return {**facts, "rows": rows, "geomean": self.geomean}


def compare(
    tasks: Sequence[Task],
    *,
    board: str | None = None,
    against: Sequence[str] | None = None,
    logs: Path = log.ROOT,
    report: Report = lambda _line: None,
) -> Comparison:
    """Measure tasks of one target on a board (None: the target's own) against peers (None: all).

    ``report`` is told what is being measured. Raises ``InputError`` for unknown peers and boards.
    """
    peers = [get_peer(name).name for name in (PEERS if against is None else against)]
    place = get_timing_board(board, tasks[0].target)
    result = Comparison(tasks[0].target.name, place.name, place.label)
    if place.name == "modelled" and peers:
        sysroot(tasks[0].target, report)  # the first time it is fetched, which takes a moment
    for task in tasks:
        with tempfile.TemporaryDirectory(prefix="tvm_ops-compare-") as folder:
            measurer = Measurer(task, place.name, Path(folder), repeats=1)
            kernels = {OURS: best_knobs(task, logs)[0], UNTUNED: untuned_knobs(task, logs)[0]}
            measure = _interleaved if place.times_wall_clock else _once
            result.rows.append(measure(measurer, kernels, peers, report))
    return result


def _once(measurer: Measurer, kernels: dict[str, Knobs], peers: list[str], report: Report) -> Row:
    """On a board whose figures do not vary: everything once, side by side."""
    task = measurer.task

    def peer(name: str) -> PeerResult:
        report(f"{task.key}: {name}")
        return get_peer(name).measure(task, measurer.board, measurer.arrays)

    def ours(name: str) -> tuple[Outcome, Array | None]:
        report(f"{task.key}: {name}")
        result = measurer.execute(_program(measurer, name, kernels[name]), kernels[name])
        return measurer.judge(result), measurer.output(result)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured, others = pool.map(ours, kernels), pool.map(peer, peers)
        (tuned, y), (untuned, _) = measured
        return Row(
            task,
            _our_entry(OURS, tuned, measurer),
            _our_entry(UNTUNED, untuned, measurer),
            [_peer_entry(result, y) for result in others],
        )


def _interleaved(
    measurer: Measurer, kernels: dict[str, Knobs], peers: list[str], report: Report
) -> Row:
    """On a wall clock: all take turns, so that the machine's moods hit all alike."""
    task = measurer.task
    with ExitStack() as stack:
        programs = {name: _program(measurer, name, knobs) for name, knobs in kernels.items()}
        running, results = {}, {}
        for name in peers:
            report(f"{task.key}: starting {name}")
            try:
                start = get_peer(name).start(task, measurer.board, measurer.arrays)
                running[name] = stack.enter_context(start)
            except PeerFailed as error:
                results[name] = PeerResult(name, why_not=str(error))
        runs = {name: [measurer.execute(p, kernels[name])] for name, p in programs.items()}
        times: dict[str, list[float]] = {name: [] for name in running}
        for turn in range(HOST_ROUNDS):
            report(f"{task.key}: round {turn + 1} of {HOST_ROUNDS}")
            for name, program in programs.items():
                runs[name].append(measurer.execute(program, kernels[name]))
            for name, process in list(running.items()):
                try:
                    times[name] += process.run(1)
                except PeerFailed as error:  # of a tiny layer: nothing to time
                    results[name] = PeerResult(name, process.version, why_not=str(error))
                    del running[name]
        for name, process in running.items():
            results[name] = PeerResult(name, process.version, times[name], output=process.output())
    outcomes = []
    for name in kernels:
        judged = [measurer.judge(result) for result in runs[name]]
        bad = next((o for o in judged if o.error), None)
        seconds = [s for o in judged for s in o.seconds]
        outcomes.append(bad or Outcome(seconds, None, judged[0].max_error))
    y = measurer.output(runs[OURS][0])
    ours, untuned = (_our_entry(n, o, measurer) for n, o in zip(kernels, outcomes, strict=True))
    return Row(task, ours, untuned, [_peer_entry(results[name], y) for name in peers])


def _program(measurer: Measurer, name: str, knobs: Knobs) -> Path:
    path = measurer.scratch / name.replace(" ", "-")
    return build_program([(measurer.task, knobs)], measurer.task.target, path)


def _our_entry(name: str, outcome: Outcome, measurer: Measurer) -> Entry:
    if outcome.error:
        return Entry(name, why_not=outcome.error)
    largest = float(np.abs(measurer.reference).max()) or 1.0
    error = None if outcome.max_error is None else outcome.max_error * largest
    seconds = statistics.median(outcome.seconds) if outcome.seconds else None
    why_not = None if seconds else f"board {measurer.board.name} has no times"
    return Entry(name, None, seconds, outcome.cycles, error, why_not)


def _peer_entry(result: PeerResult, y: Array | None) -> Entry:
    error = None
    if result.output is not None and y is not None:
        error = float(np.abs(result.output - y).max())
    seconds = statistics.median(result.seconds) if result.seconds else None
    return Entry(result.name, result.version, seconds, result.cycles, error, result.why_not)


def table(comparison: Comparison) -> Iterator[list[str]]:
    """Lines of task, kernel, ms, Mcycles, MAC/cycle, % of peak, ratio, error."""
    for row in comparison.rows:
        for entry in row.entries:
            label = f"{entry.name} {entry.version}" if entry.version else entry.name
            if entry.seconds is None:
                yield [row.task.key, label, entry.why_not or "no time", *[""] * 5]
                continue
            figures, ratio = row.figures(entry), row.ratio(entry)
            error = entry.max_abs_error
            yield [
                row.task.key,
                label,
                f"{figures['ms']:.3f}",
                f"{(figures['cycles'] or 0) / 1e6:.2f}",
                f"{figures['mac_per_cycle']:.2f}",
                f"{figures['percent_of_peak']:.0f}",
                "" if ratio is None else f"{ratio:.2f}",
                "" if error is None else f"{error:.1e}",
            ]
