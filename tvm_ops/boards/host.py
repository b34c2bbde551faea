"""The board ``host``: this machine, by wall clock."""

from __future__ import annotations

from tvm_ops.boards.base import Board, Measured
from tvm_ops.boards.call import Call
from tvm_ops.errors import InputError
from tvm_ops.process import run_limited
from tvm_ops.targets import Target

MEMORY_LIMIT = 4 << 30
"""Bytes of address space: eight threads' stacks and arenas reserve 0.6 GB without using it."""


class HostBoard(Board):
    """Programs of the target ``host`` run as they are."""

    name = "host"
    times_wall_clock = True

    def __init__(self, target: Target) -> None:
        if target.emulator is not None:
            raise InputError(
                f"board host runs the target host only, not {target.name}; "
                "allowed for it: modelled, emulated"
            )
        super().__init__(target)

    @property
    def label(self) -> str:
        return "this machine, wall clock"

    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        return Measured(run_limited(call.here, timeout=timeout, memory=MEMORY_LIMIT))
