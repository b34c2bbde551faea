"""qemu-user without the timing model: whether a program of the board computes the right thing."""

from __future__ import annotations

import shutil

from tvm_ops.boards.base import Board, Measured
from tvm_ops.boards.call import Call
from tvm_ops.errors import InputError
from tvm_ops.process import run_limited
from tvm_ops.targets import Target
from tvm_ops.toolchain import sysroot

MEMORY_LIMIT = 12 << 30
"""Bytes of address space: qemu-arm reserves all 4 GiB of its guest, and qemu its code buffer."""


class EmulatedBoard(Board):
    """Correctness only: results have neither seconds nor cycles."""

    name = "emulated"
    times_wall_clock = False
    has_times = False

    def __init__(self, target: Target) -> None:
        if target.emulator is None:
            raise InputError(f"board emulated is for ARM targets; {target.name} runs on board host")
        if shutil.which(target.emulator) is None:
            raise InputError(f"{target.emulator} is not installed; apt-get install qemu-user")
        super().__init__(target)

    @property
    def label(self) -> str:
        return f"{self.target.emulator}, no timing"

    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        emulator = [str(self.target.emulator), "-L", str(sysroot(self.target))]
        command = [*emulator, "-cpu", cpu(self.target), *call.here]
        return Measured(run_limited(command, timeout=timeout, memory=MEMORY_LIMIT))


def cpu(target: Target) -> str:
    """What qemu calls the core.

    For ARMv7 it is the Cortex-A7, an ARMv7 core with VFPv4: an instruction of ARMv8 is fatal there.
    """
    return target.core if target.isa == "aarch64" else "cortex-a7"
