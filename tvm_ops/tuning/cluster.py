"""Candidates on a Dask cluster: each Dask worker has worker processes of ``workers.py`` of its own.

So a candidate that crashes ends such a process and never the Dask worker, here as there. A Dask
worker that dies gives its trials back to the scheduler, which hands them to others; one that joins
gets some at once. A board that has an address is a resource of the worker next to it, by its name
without options: ``dask worker SCHEDULER --resources "ssh:pi@10.0.0.7=1"``. Nobody else talks to it.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import schedules
import tvm_ops
from tvm_ops.boards import Board, get_board
from tvm_ops.boards.address import board_names, turn_timeout
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs
from tvm_ops.tuning.measure import ENVIRONMENT, Outcome
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.workers import BUILD_TIMEOUT, COMMAND, Worker

CONNECT_TIMEOUT = 10.0  # seconds
_idle: SimpleQueue[Worker] = SimpleQueue()  # of this Dask worker


def _connect(address: str) -> Any:
    """A client; raises ``InputError`` where no scheduler answers."""
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        why = str(error).splitlines()[0][:200] or type(error).__name__
    # Half a client closes itself when it is collected. While another one starts, that never ends:
    # both want one lock. So it is collected here.
    gc.collect()
    raise InputError(
        f"--cluster {address}: no scheduler answers ({why}); dask scheduler starts one"
    )


class ClusterPool:
    """The pool of a session, on the cluster of a scheduler's address, as ``tcp://HOST:8786``.

    Raises ``InputError`` where there is no scheduler or no worker, or one has another tvm_ops.
    """

    def __init__(self, address: str) -> None:
        self._client = _connect(address)
        self._address, self._turns = address, 0
        try:
            self._check_workers()
        except BaseException:
            self._client.close()
            raise

    def _check_workers(self) -> None:
        try:
            versions = self._client.run(fingerprint)
        except ImportError as error:
            raise InputError(
                f"--cluster {self._address}: a worker cannot import {error.name}; install this "
                "version of tvm_ops where it runs"
            ) from None
        if not versions:
            raise InputError(
                f"--cluster {self._address}: it has no workers; dask worker {self._address} "
                "starts one"
            )
        for worker, version in sorted(versions.items()):
            if version != fingerprint():
                raise InputError(
                    f"--cluster {self._address}: worker {worker} has another version of tvm_ops; "
                    "install this one where it runs"
                )

    def __enter__(self) -> ClusterPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()  # and with it what still waits for a worker

    def submit(self, setting: Setting, knobs: Knobs, cycle_limit: int | None) -> Future[Outcome]:
        """Have a candidate measured; ``InputError`` for a board that is this machine's own."""
        if setting.board == "host":
            raise InputError("board host is this machine: leave out --cluster")
        outcome: Future[Outcome] = Future()
        job = {"setting": setting.to_json(), "knobs": knobs, "cycle_limit": cycle_limit}
        needed: dict[str, int] = {}
        if ":" in setting.board:
            board = self._next_board(setting.board.split(","))
            if board is None:
                outcome.set_result(_environment(_nobody_has(board_names(setting.board))))
                return outcome
            job["setting"], needed = replace(setting, board=board).to_json(), _resource(board)
        timeout = BUILD_TIMEOUT + setting.timeout + turn_timeout(setting.board)
        try:
            running = self._client.submit(
                measure_here, job, timeout, fingerprint(), resources=needed, pure=False
            )
        except Exception as error:  # its own kinds: the scheduler is gone
            outcome.set_result(_environment(f"cluster {self._address}: {error}"))
        else:
            running.add_done_callback(lambda done: outcome.set_result(self._outcome(done)))
        return outcome

    def prepare(self, board: Board) -> str:
        """Have the worker next to a board, or to each of a group, reach it; the board's label.

        Raises ``InputError`` where no worker has it or it cannot be used.
        """
        if not board.is_elsewhere:
            board.prepare()
            return board.label
        missing = sorted(set(board.names) - self._boards())
        if missing:
            raise InputError(f"--cluster {self._address}: {_nobody_has(missing)}")
        asked = [
            self._client.submit(
                prepare_here, one, board.target.name, resources=_resource(one), pure=False
            )
            for one in board.spec.split(",")
        ]
        answers = self._client.gather(asked)
        for answer in answers:
            if "error" in answer:
                raise InputError(answer["error"])
        return "; ".join(answer["label"] for answer in answers)

    def _next_board(self, boards: list[str]) -> str | None:
        """The ``spec`` of one that some worker has, in turns."""
        known = self._boards()
        there = [board for board in boards if board_names(board)[0] in known]
        self._turns += 1
        return there[self._turns % len(there)] if there else None

    def _boards(self) -> set[str]:
        """The names of those that workers have now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return {name for worker in workers for name in worker["resources"]}

    def _outcome(self, done: Any) -> Outcome:
        from distributed import KilledWorker

        if done.status == "finished":
            return Outcome(**done.result())
        if done.status == "error":
            error = done.exception()
            if isinstance(error, KilledWorker):  # several times, which no accident is
                return Outcome([], error="crash: the workers of the cluster that tried it died")
            return _environment(f"cluster {self._address}: {type(error).__name__}: {error}")
        return _environment(f"cluster {self._address}: the scheduler is gone")


def measure_here(job: dict[str, Any], timeout: float, version: str) -> dict[str, Any]:
    """One trial on a Dask worker: an ``Outcome`` as a dictionary."""
    if version != fingerprint():
        return vars(_environment("a worker of the cluster has another version of tvm_ops"))
    try:
        worker = _idle.get_nowait()
    except Empty:
        scratch = tempfile.mkdtemp(prefix="tvm_ops-tune-")  # its process removes it
        worker = Worker([*COMMAND, scratch])
        atexit.register(worker.stop)
    try:
        return vars(worker.call(job, timeout))
    except OSError as error:
        return vars(_environment(str(error)))
    finally:
        _idle.put(worker)


def prepare_here(board: str, target: str) -> dict[str, str]:
    """On the Dask worker next to a board: its ``label``, or the ``error`` why it cannot be used."""
    try:
        place = get_board(board, get_target(target))
        place.prepare()
    except InputError as error:
        return {"error": str(error)}
    return {"label": place.label}


def _resource(board: str) -> dict[str, int]:
    return {board_names(board)[0]: 1}


def _nobody_has(boards: list[str]) -> str:
    """With the cure."""
    start = f'dask worker ADDRESS --resources "{boards[0]}=1"'
    return f"no worker of the cluster has board {', '.join(boards)}; start one beside it: {start}"


@cache
def fingerprint() -> str:
    """Of all that decides what a candidate is and what it takes: our sources."""
    digest = hashlib.sha256()
    for package in (tvm_ops, schedules):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".c", ".h", ".cc", ".cpp"):
                with suppress(OSError):
                    digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _environment(error: str) -> Outcome:
    return Outcome([], error=f"{ENVIRONMENT}: {error.splitlines()[0]}")
