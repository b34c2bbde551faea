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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.peers.convolution import Array
from tvm_ops.peers.on_board import BoardRun, board_version, job_folder, run_on_board
from tvm_ops.peers.peer import TIMEOUT, BoardName, PeerResult, why_no_arguments
from tvm_ops.peers.process import PeerFailed, PeerProcess, operator_alone
from tvm_ops.peers.work import OPERATORS, Work, work_of
from tvm_ops.targets import Target
from tvm_ops.task import Task


class Library(ABC):
    """A peer that is a library with a Python package, the same here and on the boards."""

    about: str
    library: str
    """The base name of its program in ``runners/``: ``ncnn`` for ``runners/run_ncnn.py``."""
    package: str
    """Its name on the package index, by which its version is found."""

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
        return why_no_arguments(task)

    @abstractmethod
    def write_network(
        self, work: Work, arrays: dict[str, Array], folder: Path, target: Target
    ) -> None:
        """Write the files of a network with this operator alone, as the runner expects them.

        ``arrays`` has x, weights and bias in the shapes of ``work.zeros()``, float32.
        """

    def version_on(self, target: Target) -> str:
        """The library's version on that target's modelled board; raises ``PeerFailed``."""
        return board_version(target, self.package)

    def measure(
        self,
        task: Task,
        board: BoardName,
        data: dict[str, Array],
        repeat: int = 3,
        timeout: float = TIMEOUT,
    ) -> PeerResult:
        """As in ``Peer``."""
        if board.name != "host":
            (result,) = self.measure_all([task], board, [data], timeout)
            return result
        try:
            with self.start(task, board, data, timeout) as process:
                output = process.output().reshape(task.workload.output_shape)
                result = PeerResult(self.name, process.version, output=output)
                try:
                    return replace(result, seconds=process.run(repeat))
                except PeerFailed as error:
                    return replace(result, why_not=str(error))
        except PeerFailed as error:
            return PeerResult(self.name, why_not=str(error))

    def measure_all(
        self,
        tasks: Sequence[Task],
        board: BoardName,
        data: Sequence[dict[str, Array]],
        timeout: float = TIMEOUT,
    ) -> list[PeerResult]:
        """As ``measure``, tasks of one target in one process of a board that is not this machine.

        Each task's result is the one that it has alone. ``timeout`` is that of one task.
        """
        results: dict[int, PeerResult] = {}
        with tempfile.TemporaryDirectory(prefix="tvm_ops-peer-") as name:
            folder = Path(name)
            loaded: list[int] = []
            for index, (task, arrays) in enumerate(zip(tasks, data, strict=True)):
                try:
                    self._write_job(task, arrays, job_folder(folder, len(loaded)))
                    loaded.append(index)
                except PeerFailed as error:
                    results[index] = PeerResult(self.name, why_not=str(error))
            if loaded:
                self._describe(folder, len(loaded), timeout)
                timed, target = board.name == "modelled", tasks[0].target
                runs = run_on_board(target, folder, len(loaded), timed, int(timeout))
                for index, ran in zip(loaded, runs, strict=True):
                    results[index] = self._result(tasks[index], ran)
        return [results[index] for index in range(len(tasks))]

    def _result(self, task: Task, ran: BoardRun | PeerFailed) -> PeerResult:
        if isinstance(ran, PeerFailed):
            return PeerResult(self.name, why_not=str(ran))
        output = ran.output.reshape(task.workload.output_shape)
        result = PeerResult(self.name, ran.version, output=output)
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
        data: dict[str, Array],
        timeout: float = TIMEOUT,
    ) -> Iterator[PeerProcess]:
        """As in ``Peer``; raises ``InputError`` for another board than host."""
        if board.name != "host":
            raise InputError(f"peers wait for their turn on board host only, not {board.name}")
        with tempfile.TemporaryDirectory(prefix="tvm_ops-peer-") as name:
            folder = Path(name)
            self._write_job(task, data, job_folder(folder, 0))
            self._describe(folder, 1, timeout)
            with PeerProcess(folder, timeout) as process:
                yield process

    def _write_job(self, task: Task, data: dict[str, Array], folder: Path) -> None:
        """Both networks of a task and their inputs; raises ``PeerFailed``."""
        reason = self.why_not(task)
        if reason:
            raise PeerFailed(reason)
        work = work_of(task)
        given = {name: np.ascontiguousarray(array, np.float32) for name, array in data.items()}
        trivial = work.trivial()
        for part, network, arrays in (
            ("operator", work, given),
            ("trivial", trivial, trivial.zeros()),
        ):
            (folder / part).mkdir(parents=True)
            np.save(folder / part / "x.npy", arrays["x"])
            self.write_network(network, arrays, folder / part, task.target)

    def _describe(self, folder: Path, jobs: int, timeout: float) -> None:
        """What serve.py has to know."""
        job = {
            "library": self.library,
            "package": self.package,
            "settings": self.settings,
            "jobs": jobs,
            "timeout": int(timeout),
        }
        (folder / "job.json").write_text(json.dumps(job))
