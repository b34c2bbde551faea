"""A process that runs a peer on this machine, whenever it is told.

It runs ``runners/serve.py`` with this Python and its wheels; ``on_board.py`` does so on a board.
Libraries may crash, at any time and after a good run too; then they are told apart from good ones
by what they have said and written, not by their exit code.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tvm_ops.peers.convolution import Array
from tvm_ops.process import Finished, kill_group

SERVE = Path(__file__).parent / "runners/serve.py"


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
        """y of the last run."""
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
