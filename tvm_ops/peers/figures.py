"""The log of the peers' figures: ``tuning_logs/TARGET/peers.jsonl``, and the job that fills it.

One JSON object a line, appended and never rewritten; of several lines on the same task, peer and
version the last one counts. A peer's figures on the modelled board do not change while its
version and the board model do not, so they are measured once and committed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from tvm_ops.boards import get_board
from tvm_ops.errors import InputError
from tvm_ops.networks import Layer
from tvm_ops.operators._conv import conv_data, conv_reference
from tvm_ops.operators._dense import dense_data, dense_reference
from tvm_ops.peers import get_peer
from tvm_ops.peers.convolution import Array
from tvm_ops.peers.library import Library
from tvm_ops.peers.peer import PeerResult
from tvm_ops.targets import Target
from tvm_ops.task import Task
from tvm_ops.tuning import log
from tvm_ops.tuning.log_file import append_lines, numbered_lines

PEERS = ("ncnn", "mnn", "xnnpack", "onnxruntime")
ERROR_BOUND = 2e-3  # of the largest output; MNN's Winograd kernels come to 9e-4
BATCH = 8  # layers in one process of the board: Python and the library start once for them


@dataclass(frozen=True)
class Figure:
    """What one peer takes for one task on a target's board.

    ``cycles`` and ``seconds`` are of the operator alone, None where ``why_not``, one line, says why
    there are none. ``max_error`` is the largest difference to the float64 reference over the
    largest output, None where there was no output to compare.
    """

    task: str
    target: str
    peer: str
    version: str
    board: str
    cycles: int | None
    seconds: float | None
    max_error: float | None
    why_not: str | None
    time: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """Of figures with the same one the last counts."""
        return self.task, self.peer, self.version


def figures_path(logs: Path, target: str) -> Path:
    """``LOGS/TARGET/peers.jsonl``."""
    return logs / target / "peers.jsonl"


def read_figures(path: Path) -> list[Figure]:
    """All lines in order; an absent file has none. Raises ``InputError`` with file and line."""
    return [_parse(line, where) for line, where in numbered_lines(path)]


def _parse(line: str, where: str) -> Figure:
    try:
        values: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: no JSON ({error.msg} at column {error.colno})") from None
    names = [field.name for field in fields(Figure)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise InputError(f"{where}: a peer's figure is an object with {', '.join(names)}")
    return Figure(**values)


def append_figures(path: Path, figures: Iterable[Figure]) -> None:
    """Each figure is one whole line; see ``log_file.py`` for what a full disk or a kill does."""
    append_lines(path, [json.dumps(asdict(f), allow_nan=False) + "\n" for f in figures])


def lookup(
    figures: Iterable[Figure], task: str, peer: str, version: str | None = None
) -> Figure | None:
    """The last figure of the task's key, the peer and the version (None: any), None without one.

    To a library a ``winograd_conv2d`` is a ``conv2d``, and it has a layout of its own.
    """
    key = canonical_key(task)
    found = [
        f
        for f in figures
        if (f.task, f.peer) == (key, peer) and version in (None, f.version)
    ]  # fmt: skip
    return found[-1] if found else None


def canonical_key(task: str) -> str:
    """The key under which a task's figures are kept: whatever our algorithm and our layout are."""
    return re.sub(r"_c\d+(x\d+)?(?=[_-])", "", task.removeprefix("winograd_"))


def measure_figures(
    layers: Sequence[Layer],
    target: Target,
    peers: Sequence[str] = PEERS,
    *,
    logs: Path = log.ROOT,
    again: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> None:
    """Measure the layers on the target's modelled board and append the figures to its log.

    What the log has of the same version of a peer is not measured again, but with ``again``; it
    can be interrupted at any time. ``report`` is told each figure, in a line. Raises
    ``InputError`` for a peer that is no library and a target without a timing model.
    """
    path = figures_path(logs, target.name)
    board = get_board("modelled", target)
    libraries = [_library(name) for name in peers]
    versions = {library.name: library.version_on(target) for library in libraries}
    known = set() if again else {figure.identity for figure in read_figures(path)}
    for start in range(0, len(layers), BATCH):
        jobs = [_Job(layer, target) for layer in layers[start : start + BATCH]]
        for library in libraries:
            version = versions[library.name]
            todo = [job for job in jobs if (job.key, library.name, version) not in known]
            if not todo:
                continue
            report(f"{target.name} {library.name}: {len(todo)} layers from {todo[0].key}")
            results = library.measure_all(
                [job.task for job in todo], board, [job.arrays for job in todo]
            )
            found = [
                job.figure(result, version, board.name)
                for job, result in zip(todo, results, strict=True)
            ]
            append_figures(path, found)
            for figure in found:
                report(_describe(figure))


def _library(name: str) -> Library:
    peer = get_peer(name)
    if not isinstance(peer, Library):
        raise InputError(f"peer '{name}' is no library; known: {', '.join(PEERS)}")
    return peer


class _Job:
    """One layer with its arrays, which all peers are given, and its reference."""

    def __init__(self, layer: Layer, target: Target) -> None:
        self.task = Task(layer.operator, layer.workload, target)
        self.key = canonical_key(layer.key)
        self._reference: Array | None = None
        self._arrays: dict[str, Array] | None = None

    @property
    def arrays(self) -> dict[str, Array]:
        if self._arrays is None:
            data = dense_data if self.task.operator == "dense" else conv_data
            self._arrays = data(self.task.workload)
        return self._arrays

    @property
    def reference(self) -> Array:
        if self._reference is None:
            reference = dense_reference if self.task.operator == "dense" else conv_reference
            self._reference = reference(self.task.workload, self.arrays)
        return self._reference

    def figure(self, result: PeerResult, version: str, board: str) -> Figure:
        """The peer's line in the log; a wrong result has no time."""
        error, why_not = None, result.why_not
        if result.output is not None:
            largest = float(np.abs(self.reference).max()) or 1.0
            error = float(np.abs(result.output - self.reference).max()) / largest
            if not error <= ERROR_BOUND:  # also where it is not a number
                why_not = f"wrong result: error {error:.2e} of the largest output"
                error = error if np.isfinite(error) else None
        timed = why_not is None and result.cycles is not None
        return Figure(
            task=self.key,
            target=self.task.target.name,
            peer=result.name,
            version=version,
            board=board,
            cycles=result.cycles if timed else None,
            seconds=result.seconds[0] if timed else None,
            max_error=error,
            why_not=why_not,
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )


def _describe(figure: Figure) -> str:
    what = figure.why_not or f"{(figure.cycles or 0) / 1e6:.3f} Mcycles"
    return f"{figure.target} {figure.peer}: {figure.task}: {what}"


def missing(
    layers: Iterable[Layer], figures: Iterable[Figure], peers: Sequence[str] = PEERS
) -> Iterator[tuple[Layer, str]]:
    """Layers and peers of which there is no figure."""
    known = {(figure.task, figure.peer) for figure in figures}
    for layer in layers:
        for peer in peers:
            if (canonical_key(layer.key), peer) not in known:
                yield layer, peer
