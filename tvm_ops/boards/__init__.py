"""Boards: what runs a bench program and says how long it took, behind one small interface."""

from __future__ import annotations

from collections.abc import Callable

from tvm_ops.boards.base import Board, RunResult
from tvm_ops.boards.emulated import EmulatedBoard
from tvm_ops.boards.host import HostBoard
from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.errors import InputError
from tvm_ops.targets import Target

__all__ = ["BOARDS", "Board", "RunResult", "default_board", "get_board", "get_timing_board"]

BOARDS: dict[str, Callable[[Target], Board]] = {
    "modelled": ModelledBoard,
    "host": HostBoard,
    "emulated": EmulatedBoard,
}
"""``modelled``: cycles from the timing model; ``host``: wall clock of this machine; ``emulated``:
qemu-user without timing, for correctness only."""


def default_board(target: Target) -> str:
    """The board that a command takes if none is named."""
    if target.emulator is None:
        return "host"
    return "modelled" if target.modelled else "emulated"


def get_board(name: str | None, target: Target) -> Board:
    """The board of that name for a target, by default ``default_board(target)``.

    Raises ``InputError`` for an unknown name and for a board that cannot run the target.
    """
    name = name or default_board(target)
    if name not in BOARDS:
        raise InputError(f"unknown board '{name}'; known: {', '.join(BOARDS)}")
    return BOARDS[name](target)


def get_timing_board(name: str | None, target: Target) -> Board:
    """As ``get_board``; raises ``InputError`` also for a board without times."""
    board = get_board(name, target)
    if not board.has_times:
        raise InputError(
            f"board {board.name} has no times, and timing of {target.name} is not modelled yet; "
            "it can be built, bundled, and run with --check"
        )
    return board
