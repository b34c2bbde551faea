"""Worker processes that outlive what they measure."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import RLock
from types import TracebackType
from typing import Any

import psutil

import tvm_ops
from tvm_ops.boards import Board
from tvm_ops.boards.address import turn_timeout
from tvm_ops.task import Knobs
from tvm_ops.tuning.measure import ENVIRONMENT, Outcome
from tvm_ops.tuning.setting import Setting

BUILD_TIMEOUT = 90.0
"""Seconds, beside those that the run may take; both together take 1 to 3."""
_SPENT = ("MemoryError", "bad_alloc", "Cannot allocate memory")  # the next one would lack it too

COMMAND = (sys.executable, "-m", "tvm_ops.tuning.worker")
"""What starts a worker; the scratch folder is appended."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"}


class Worker:
    """One process; ``start`` may come before the first call, and is repeated after it died."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._calling = RLock()

    def call(self, job: dict[str, Any], timeout: float) -> Outcome:
        """The outcome of one job; a crash or a hang is an outcome too, and ends the process.

        ``timeout`` is in seconds.
        """
        with self._calling:
            process = self._process or self.start()
            assert process.stdin and process.stdout
            try:
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
                line = _read_line(process, timeout)
            except BrokenPipeError:
                line = b""
            except TimeoutError:
                self.stop()
                return Outcome([], error=f"hang: no result after {timeout:g} s")
            if not line:
                process.wait()
                self.stop()
                return Outcome([], error=f"crash: {_ending(process.returncode)}")
            outcome = Outcome(**json.loads(line))
            if any(word in (outcome.error or "") for word in _SPENT):
                self.stop()
            return outcome

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process; it imports TVM, which takes a second or two, before it answers."""
        package_root = str(Path(tvm_ops.__file__).parents[1])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | _ONE_THREAD,
            start_new_session=True,  # Ctrl-C is for the session, which ends its workers itself
        )
        return self._process

    def stop(self) -> None:
        """End the process and all that it started (boards' programs have sessions of their own)."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid)
            for member in [*family.children(recursive=True), family]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
        process.wait()
        with self._calling:  # a pipe that is closed while it is polled never wakes who polls it
            for pipe in (process.stdin, process.stdout):
                with suppress(BrokenPipeError):
                    assert pipe
                    pipe.close()


class WorkerPool:
    """``count`` workers for any tasks; a context manager, for the processes must end with it.

    A worker imports TVM once, which takes a second or two, and keeps what the trials of its last
    few tasks share.
    """

    def __init__(self, count: int, command: Sequence[str] = COMMAND) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="tvm_ops-tune-"))
        self._workers = [Worker([*command, str(self._scratch)]) for _ in range(count)]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> WorkerPool:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._stop()  # or the threads would wait for their answers
        self._threads.shutdown(wait=True)
        self._stop()  # what a thread was just starting
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.stop()

    def prepare(self, board: Board) -> str:
        """Reach the board from here; ``InputError`` where it cannot be used. Its label."""
        board.prepare()
        return board.label

    def submit(self, setting: Setting, knobs: Knobs, cycle_limit: int | None) -> Future[Outcome]:
        """Have a candidate measured; first come, first served."""
        job = {"setting": setting.to_json(), "knobs": knobs, "cycle_limit": cycle_limit}
        timeout = BUILD_TIMEOUT + setting.timeout + turn_timeout(setting.board)
        return self._threads.submit(self._call, job, timeout)

    def _call(self, job: dict[str, Any], timeout: float) -> Outcome:
        worker = self._idle.get()
        try:
            return worker.call(job, timeout)
        except OSError as error:  # no more processes, for one
            return Outcome([], error=f"{ENVIRONMENT}: {error}")
        finally:
            self._idle.put(worker)


def _read_line(process: subprocess.Popen[bytes], timeout: float) -> bytes:
    """One answer; empty where the process ended. Raises ``TimeoutError``."""
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(timeout):
            raise TimeoutError
    return process.stdout.readline()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the worker was ended by {signal.Signals(-code).name}"
    return f"the worker ended with exit code {code}"
