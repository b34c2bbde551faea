"""Boards: what runs a bench program and says how long it took, behind one small interface."""

from __future__ import annotations

from collections.abc import Callable

from tvm_ops.boards.address import FORMS, Address, is_address, parse_address
from tvm_ops.boards.base import Board, RunResult
from tvm_ops.boards.emulated import EmulatedBoard
from tvm_ops.boards.group import BoardGroup
from tvm_ops.boards.host import HostBoard
from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.errors import InputError
from tvm_ops.guess import guess
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

    A name is one of ``BOARDS``, an address, or an entry of the file of boards; several, separated
    by commas, share the work. Nothing is connected yet; ``prepare`` does that. Raises
    ``InputError`` for an unknown name and for a board that cannot run the target.
    """
    boards = [_one_board(part, target) for part in (name or default_board(target)).split(",")]
    return boards[0] if len(boards) == 1 else BoardGroup(boards)


def _one_board(name: str, target: Target) -> Board:
    if name in BOARDS:
        return BOARDS[name](target)
    address = resolve(name, target)
    if address.kind == "ssh":
        from tvm_ops.boards.ssh import SshBoard

        return SshBoard(target, address)
    from tvm_ops.boards.rpc import RpcBoard

    return RpcBoard(target, address)


def resolve(name: str, target: Target | None = None) -> Address:
    """The address that is meant; raises ``InputError`` for an unknown name or another target's."""
    if is_address(name):
        return parse_address(name)
    from tvm_ops.boards.configured import boards_file, configured_boards

    configured = configured_boards()
    if name not in configured:
        known = ", ".join([*BOARDS, *FORMS.values(), *configured])
        meant = guess(name, [*BOARDS, *configured]) or ";"
        raise InputError(f"unknown board '{name}'{meant} known: {known}; of {boards_file()}")
    board = configured[name]
    if target and board.target not in (None, target.name):
        raise InputError(f"board '{name}' is a {board.target}, not a {target.name}")
    return board.address


def get_timing_board(name: str | None, target: Target) -> Board:
    """As ``get_board``; raises ``InputError`` also for a board without times."""
    board = get_board(name, target)
    if not board.has_times:
        raise InputError(
            f"board {board.name} has no times, and timing of {target.name} is not modelled yet; "
            "it can be built, bundled, and run with --check"
        )
    return board
