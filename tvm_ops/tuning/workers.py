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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import psutil

import tvm_ops
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning.measure import Outcome

JOB_TIMEOUT = 150.0  # seconds for a build and a run; both together take 1 to 3

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"}


class Worker:
    """One process; ``start`` may come before the first call, and is repeated after it died."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, job: dict[str, Any]) -> Outcome:
        """The outcome of one job; a crash or a hang is an outcome too, and ends the process."""
        process = self._process or self.start()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            line = _read_line(process, JOB_TIMEOUT)
        except BrokenPipeError:
            line = b""
        except TimeoutError:
            self.stop()
            return Outcome([], error=f"hang: no result after {JOB_TIMEOUT:g} s")
        if not line:
            process.wait()
            self.stop()
            return Outcome([], error=f"crash: {_ending(process.returncode)}")
        return Outcome(**json.loads(line))

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
        if self._process is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid)
            for process in [*family.children(recursive=True), family]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                assert pipe
                pipe.close()
        self._process = None


class WorkerPool:
    """``count`` workers for one task; a context manager, for the processes must end with it."""

    def __init__(self, task: Task, board: str, count: int, bound: float | None = None) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="tvm_ops-tune-"))
        limit = "" if bound is None else repr(bound)
        command = [sys.executable, "-m", "tvm_ops.tuning.worker", task.operator, task.key]
        command += [task.target.name, board, str(self._scratch), limit]
        self._workers = [Worker(command) for _ in range(count)]

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
        for worker in self._workers:
            worker.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def measure(self, batch: Sequence[Knobs], cycle_limit: int | None) -> Iterator[Outcome]:
        """The outcomes in the batch's order, each as soon as it and those before it are done."""
        idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            idle.put(worker)

        def one(knobs: Knobs) -> Outcome:
            worker = idle.get()
            try:
                return worker.call({"knobs": knobs, "cycle_limit": cycle_limit})
            finally:
                idle.put(worker)

        pool = ThreadPoolExecutor(len(self._workers))
        try:
            yield from pool.map(one, batch)
        except BaseException:
            for worker in self._workers:
                worker.stop()  # or the threads would wait for their answers
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


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
