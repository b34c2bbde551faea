"""Processes that run a peer: one on this machine that is told when to run, or one on the board.

Both run ``runners/serve.py``, here with this Python and its wheels, on the board with those of the
sysroot. Libraries may crash, at any time and after a good run too; then they are told apart from
good ones by what they have said and written, not by their exit code.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tvm_ops.peers.convolution import Array
from tvm_ops.process import Finished, kill_group, run_limited
from tvm_ops.targets import Target

SERVE = Path(__file__).parent / "runners/serve.py"
OPERATOR, TRIVIAL = 1, 2  # the regions' ids, as in serve.py


class PeerFailed(RuntimeError):
    """A peer cannot run a task, or has failed; one line."""


def operator_alone(network: float, trivial: float) -> float:
    """What the operator takes of a network's run, in the unit of both.

    Raises ``PeerFailed`` where it is lost in the library's own time: below a tenth of it.
    """
    alone = network - trivial
    if alone < 0.1 * trivial:
        raise PeerFailed("too small to time: the library's own work for a run takes much longer")
    return alone


class PeerProcess:
    """A library on this machine with one task loaded and its first runs done."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._child = subprocess.Popen(
            [sys.executable, "-s", "-B", str(SERVE), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
            start_new_session=True,
        )
        self.version = ""

    def __enter__(self) -> PeerProcess:
        try:
            self.version = str(self._answer()["version"])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, repeat: int = 1) -> list[float]:
        """Warm up and run ``repeat`` times: seconds of the operator alone."""
        times = self._ask({"run": repeat})
        return [
            operator_alone(*pair) for pair in zip(times["seconds"], times["trivial"], strict=True)
        ]

    def output(self) -> Array:
        """y[n, co, oh, ow] of the last run."""
        path = self._folder / "output.npy"
        self._ask({"output": str(path)})
        return np.asarray(np.load(path))

    def close(self) -> None:
        kill_group(self._child)
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
        self._child.wait()
        self._errors.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(question) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(self._last_words()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        # The runner answers each question with one whole line, so that a readable pipe has one.
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            if not selector.select(self._timeout):
                raise PeerFailed(f"no answer within {self._timeout:g} s")
        line = self._child.stdout.readline()
        if not line:
            raise PeerFailed(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(str(answer["error"]))
        return answer

    def _last_words(self) -> str:
        code = self._child.wait()
        self._errors.seek(0)
        finished = Finished(code, "", self._errors.read(), timed_out=False)
        return finished.failure or "ended without an answer"


@dataclass(frozen=True)
class BoardRun:
    """``network`` and ``trivial`` are cycles; None without the timing model."""

    version: str
    output: Array
    network: int | None
    trivial: int | None


def run_on_board(target: Target, folder: Path, timed: bool, timeout: float) -> BoardRun:
    """Run the job in ``folder`` in the board's own Python, with the timing model or without.

    Raises ``PeerFailed``.
    """
    from tvm_ops.board_model.sysroot import PYTHON_ENVIRONMENT, python_argv, sysroot

    root = sysroot(target)
    # From inside of the folder: its random name would move Python's heap, and with it the cycles.
    argv = [*python_argv(target), str(SERVE), ".", "--once"]
    env = {**PYTHON_ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    regions: dict[int, int] = {}
    if timed:
        from tvm_ops.board_model import execute

        done = execute(
            target, argv, sysroot=root, marked=True, timeout=timeout, cwd=folder, env=env
        )
        finished = Finished(done.exit_code, done.stdout, done.stderr, done.timed_out)
        regions = {region.id: int(region.cycles) for region in done.regions}
    else:
        qemu = [str(target.emulator), "-cpu", target.core, "-L", str(root)]
        finished = run_limited([*qemu, *argv], timeout=timeout, cwd=folder, env=env)
    if finished.timed_out:
        raise PeerFailed(f"no result within {timeout:g} s")
    result = folder / "result.json"
    if not result.is_file():
        raise PeerFailed(finished.failure or "ended without a result")
    answer = json.loads(result.read_text())
    if "error" in answer:
        raise PeerFailed(str(answer["error"]))
    output = np.asarray(np.load(folder / "output.npy"))
    return BoardRun(str(answer["version"]), output, regions.get(OPERATOR), regions.get(TRIVIAL))
