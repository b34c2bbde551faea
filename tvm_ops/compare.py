"""Ours, ours untuned, and the peers' kernels for the same tasks on the same board, in one table.

*Untuned* is what the task would get if its own records were not there: the knobs of the nearest
tuned workload, or the template's default where there is none.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tvm_ops.board_model.hot_code import HOT_BLOCKS, hot_code_bytes
from tvm_ops.board_model.sysroot import sysroot
from tvm_ops.boards import get_timing_board
from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.comparison import OURS, UNTUNED, Comparison, Entry, Row
from tvm_ops.correctness import largest_error
from tvm_ops.peers import PEERS, PeerResult, get_peer
from tvm_ops.peers.process import PeerFailed
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning import log
from tvm_ops.tuning.measure import Array, Measurer, Outcome
from tvm_ops.tuning.nearest import best_knobs, untuned_knobs

PROGRAMS = ("handwritten",)  # peers that are one program, which a board elsewhere runs like ours
HOST_ROUNDS = 9  # interleaved; the median of what each has measured counts

Report = Callable[[str], None]


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
    place.connect()
    result = Comparison(tasks[0].target.name, place.name, place.label)
    if place.name == "modelled" and peers:
        sysroot(tasks[0].target, report)  # the first time it is fetched, which takes a moment
    for task in tasks:
        with tempfile.TemporaryDirectory(prefix="tvm_ops-compare-") as folder:
            measurer = Measurer(task, place.spec, Path(folder), repeats=1)
            kernels = {OURS: best_knobs(task, logs)[0], UNTUNED: untuned_knobs(task, logs)[0]}
            measure = _interleaved if place.times_wall_clock else _once
            result.rows.append(measure(measurer, kernels, peers, report))
    return result


def _once(measurer: Measurer, kernels: dict[str, Knobs], peers: list[str], report: Report) -> Row:
    """On a board whose figures do not vary: everything once, side by side."""
    task, board = measurer.task, measurer.board
    if board.name == "modelled":
        measurer.board = ModelledBoard(task.target, hot_blocks=HOT_BLOCKS)

    def peer(name: str) -> PeerResult:
        report(f"{task.key}: {name}")
        return get_peer(name).measure(task, board, measurer.arrays)

    def ours(name: str) -> tuple[Outcome, Array | None, int | None]:
        report(f"{task.key}: {name}")
        result = measurer.execute(_program(measurer, name, kernels[name]), kernels[name])
        size = hot_code_bytes(result.regions[0]) if result.regions else None
        return measurer.judge(result), measurer.output(result), size

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        measured, others = pool.map(ours, kernels), pool.map(peer, peers)
        (tuned, y, size), (untuned, _, untuned_size) = measured
        return Row(
            task,
            _our_entry(OURS, tuned, measurer, size),
            _our_entry(UNTUNED, untuned, measurer, untuned_size),
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
            if measurer.board.is_elsewhere and name not in PROGRAMS:
                why_not = f"runs on this machine, not on {measurer.board.name}"
                results[name] = PeerResult(name, why_not=why_not)
                continue
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
    return measurer.board.build(measurer.task, knobs, path)


def _our_entry(name: str, outcome: Outcome, measurer: Measurer, size: int | None = None) -> Entry:
    if outcome.error:
        return Entry(name, why_not=outcome.error)
    error = None if outcome.max_error is None else outcome.max_error * measurer.largest
    seconds = statistics.median(outcome.seconds) if outcome.seconds else None
    why_not = None if seconds else f"board {measurer.board.name} has no times"
    return Entry(name, None, seconds, outcome.cycles, error, why_not, size)


def _peer_entry(result: PeerResult, y: Array | None) -> Entry:
    error = None
    if result.output is not None and y is not None:
        error = largest_error(result.output, y)
    seconds = statistics.median(result.seconds) if result.seconds else None
    return Entry(result.name, result.version, seconds, result.cycles, error, why_not=result.why_not)
