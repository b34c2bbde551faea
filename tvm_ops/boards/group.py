"""Several boards of one target, which measure in parallel."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm_ops.boards.base import Board, Measured, RunResult
from tvm_ops.boards.call import Call
from tvm_ops.errors import InputError

POLL = 0.02  # seconds between looks whether one of the boards is free
AWAY = 60.0  # seconds that a board that failed is not asked again


class BoardGroup(Board):
    """Each run takes the first of the boards that is free; its result says which it was."""

    times_wall_clock = True
    is_elsewhere = True

    def __init__(self, boards: Sequence[Board]) -> None:
        super().__init__(boards[0].target)
        odd = next((board for board in boards if not board.has_times), None)
        odd = odd or next((board for board in boards if not board.times_wall_clock), None)
        if odd:
            raise InputError(f"board {odd.name} cannot share work with others: give it alone")
        names = [board.name for board in boards]
        if len(set(names)) != len(names):
            raise InputError(f"boards {', '.join(names)}: one is there twice")
        self.boards = list(boards)
        self.name = ",".join(names)
        self._failed: dict[str, float] = {}  # when each failed last

    @property
    def spec(self) -> str:
        return ",".join(board.spec for board in self.boards)

    @property
    def names(self) -> list[str]:
        return [board.name for board in self.boards]

    @property
    def label(self) -> str:
        return "; ".join(board.label for board in self.boards)

    def connect(self) -> None:
        for board in self.boards:
            board.connect()

    def run_in_turn(self, scratch: Path, program: Path, **options: Any) -> RunResult:
        """On the first that no process that shares ``scratch`` is using; waits for one.

        What a board fails to do, which is gone or too hot, goes to another one.
        """
        while True:
            for board in self._present() or self.boards:
                with board.lock_file(scratch).open("w") as lock:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                    result = board.run(program, **options)
                if result.board_failed:
                    self._failed[board.name] = time.monotonic()
                if not result.board_failed or not self._present():
                    return result
            time.sleep(POLL)

    def _present(self) -> list[Board]:
        """Those that have not failed of late."""
        since = time.monotonic() - AWAY
        return [board for board in self.boards if self._failed.get(board.name, since) <= since]

    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        raise InputError(f"one board is needed here, not {', '.join(self.names)}")
