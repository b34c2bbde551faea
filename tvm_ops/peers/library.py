"""Peers that are libraries: their one-operator networks, and how these are measured.

Only the operator is timed. A run of a network with nothing but the operator, with its input
already in the library's own layout and its output left in it, also takes what the library needs to
start any network: 3 to 60 thousand cycles. That is measured with a *trivial* network, one
multiplication, run right after the operator, so that the library's own code and data are as cold
for it as they were for the operator; and it is subtracted:

    seconds(operator) = seconds(network) - seconds(trivial network)

MNN's callbacks around its convolution alone, with 20 thousand cycles of Python in them, say 0.2 %
more for a convolution of 24 million cycles and 2 % more for one of 2.7 million. Everything runs
with one thread and in float32.
"""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.peers.convolution import OPERATORS, Array, Convolution
from tvm_ops.peers.peer import TIMEOUT, BoardName, PeerResult
from tvm_ops.peers.process import PeerFailed, PeerProcess, operator_alone, run_on_board
from tvm_ops.targets import Target
from tvm_ops.task import Task


class Library(ABC):
    """A peer that is a library with a Python package, the same here and on the boards."""

    about: str
    library: str
    """The base name of its program in ``runners/``: ``ncnn`` for ``runners/run_ncnn.py``."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def settings(self) -> dict[str, bool]:
        """What the runner is told beside the network; JSON."""
        return {}

    def why_not(self, task: Task) -> str | None:
        """As in ``Peer``: other operators, and targets that the packages are not made for."""
        if task.operator not in OPERATORS:
            return f"{self.name} is set up for {', '.join(OPERATORS)} only"
        if task.target.isa == "armv7":
            return "there are no ARMv7 packages of the libraries"
        return None

    @abstractmethod
    def write_network(
        self, conv: Convolution, weights: Array, bias: Array, folder: Path, target: Target
    ) -> None:
        """Write the files of a network with this operator alone, as the runner expects them.

        ``weights`` are [co, ci / groups, kh, kw], ``bias`` [co], both float32.
        """

    def measure(
        self,
        task: Task,
        board: BoardName,
        data: tuple[Array, Array, Array],
        repeat: int = 3,
        timeout: float = TIMEOUT,
    ) -> PeerResult:
        """As in ``Peer``."""
        try:
            if board.name == "host":
                return self._measure_here(task, board, data, repeat, timeout)
            return self._measure_on_board(task, board.name == "modelled", data, timeout)
        except PeerFailed as error:
            return PeerResult(self.name, why_not=str(error))

    def _measure_here(
        self,
        task: Task,
        board: BoardName,
        data: tuple[Array, Array, Array],
        repeat: int,
        timeout: float,
    ) -> PeerResult:
        with self.start(task, board, data, timeout) as process:
            result = PeerResult(self.name, process.version, output=process.output())
            try:
                return replace(result, seconds=process.run(repeat))
            except PeerFailed as error:
                return replace(result, why_not=str(error))

    def _measure_on_board(
        self, task: Task, timed: bool, data: tuple[Array, Array, Array], timeout: float
    ) -> PeerResult:
        reason = self.why_not(task)
        if reason:
            raise PeerFailed(reason)
        with self._job(task, data) as folder:
            ran = run_on_board(task.target, folder, timed, timeout)
        result = PeerResult(self.name, ran.version, output=ran.output)
        if ran.network is None or ran.trivial is None:
            return result
        try:
            cycles = int(operator_alone(ran.network, ran.trivial))
        except PeerFailed as error:
            return replace(result, why_not=str(error))
        return replace(result, seconds=[cycles / task.target.clock_ghz / 1e9], cycles=cycles)

    @contextmanager
    def start(
        self,
        task: Task,
        board: BoardName,
        data: tuple[Array, Array, Array],
        timeout: float = TIMEOUT,
    ) -> Iterator[PeerProcess]:
        """As in ``Peer``; raises ``InputError`` for another board than host."""
        if board.name != "host":
            raise InputError(f"peers wait for their turn on board host only, not {board.name}")
        reason = self.why_not(task)
        if reason:
            raise PeerFailed(reason)
        with self._job(task, data) as folder, PeerProcess(folder, timeout) as process:
            yield process

    @contextmanager
    def _job(self, task: Task, data: tuple[Array, Array, Array]) -> Iterator[Path]:
        """A folder with all that the runner needs: both networks, the input, the settings."""
        conv = Convolution.of(task.workload)
        x, weights, bias = (np.ascontiguousarray(array, np.float32) for array in data)
        with tempfile.TemporaryDirectory(prefix="tvm_ops-peer-") as name:
            folder = Path(name)
            for part, shape, arrays in (
                ("operator", conv, (x, weights, bias)),
                ("trivial", conv.trivial(), conv.trivial().zeros()),
            ):
                (folder / part).mkdir()
                np.save(folder / part / "x.npy", arrays[0])
                self.write_network(shape, arrays[1], arrays[2], folder / part, task.target)
            job = {"library": self.library, "settings": self.settings}
            (folder / "job.json").write_text(json.dumps(job))
            yield folder
