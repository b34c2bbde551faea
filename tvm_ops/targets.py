"""The boards: core, instruction set, clock, caches, compiler settings."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError


@dataclass(frozen=True)
class Target:
    """One board (or this machine) as the compiler, the modelled board and the reports see it.

    ``macs_per_cycle`` is the float32 peak of one core: vector lanes times fused multiply-adds a
    cycle. ``vector_ops`` are integer operations on whole vectors a cycle. Cache sizes are in KiB
    and belong to one core, but for ``l3_kib``, which is shared.
    """

    name: str
    board: str
    core: str
    isa: str  # aarch64 | armv7 | x86_64
    clock_ghz: float
    cores: int
    macs_per_cycle: float
    vector_ops: float
    l1d_kib: int
    l1i_kib: int
    l2_kib: int
    l3_kib: int
    vector_lanes: int  # float32 lanes of one vector register
    vector_registers: int
    compiler: str  # the C compiler that links for it
    emulator: str | None  # qemu-user program, None where programs run as they are
    mtriple: str
    mcpu: str
    mattr: tuple[str, ...] = ()
    llvm_options: tuple[str, ...] = ()
    modelled: bool = False  # the modelled board knows this core's timing
    c_flags: tuple[str, ...] = field(default=())

    @property
    def tvm(self) -> dict[str, Any]:
        """The configuration that ``tvm.target.Target`` takes."""
        config: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.mtriple,
            "mcpu": self.mcpu,
            "num-cores": self.cores,
        }
        if self.isa != "x86_64":
            config |= {"device": "arm_cpu", "keys": ["arm_cpu", "cpu"]}
        if self.mattr:
            config["mattr"] = list(self.mattr)
        if self.llvm_options:
            config["cl-opt"] = list(self.llvm_options)
        if self.isa == "armv7":
            config["mfloat-abi"] = "hard"
        return {key: value for key, value in config.items() if value != ""}

    def peak(self, workload: Any) -> float:
        """MAC/cycle that one core could reach, were there nothing to do but the workload's MACs.

        Fused multiply-adds of float32, or what ``workload.macs_per_operation`` says: how many MACs
        of the workload one integer operation on a vector of 128 bits does; on some cores more,
        ``workload.macs_per_operation_by_core``.
        """
        by_core = getattr(workload, "macs_per_operation_by_core", {})
        done = by_core.get(self.core, getattr(workload, "macs_per_operation", None))
        if done is None:
            return self.macs_per_cycle
        return float(done) * self.vector_ops * self.vector_lanes / 4

    def milliseconds(self, cycles: float) -> float:
        return cycles / self.clock_ghz / 1e6


_A53 = {
    "core": "cortex-a53",
    "macs_per_cycle": 4.0,
    "vector_ops": 1.0,
    "l1d_kib": 32,
    "l1i_kib": 32,
    "l2_kib": 512,
    "l3_kib": 0,
}
_A72 = {
    "core": "cortex-a72",
    "macs_per_cycle": 4.0,
    "vector_ops": 2.0,
    "l1d_kib": 32,
    "l1i_kib": 48,
    "l2_kib": 1024,
    "l3_kib": 0,
}
_A76 = {
    "core": "cortex-a76",
    "macs_per_cycle": 8.0,
    "vector_ops": 2.0,
    "l1d_kib": 64,
    "l1i_kib": 64,
    "l2_kib": 512,
    "l3_kib": 2048,
}
_AARCH64 = {
    "isa": "aarch64",
    "vector_lanes": 4,
    "vector_registers": 32,
    "compiler": "aarch64-linux-gnu-gcc",
    "emulator": "qemu-aarch64",
    "mtriple": "aarch64-linux-gnu",
    "modelled": True,
}
# A pair of 128-bit loads keeps the A53 from issuing anything else for four cycles; apart,
# multiplies go between them (Winograd 512@7: 25.3 instead of 27.3 modelled Mcycles, 256@14: 16.3
# instead of 16.8).
_NO_LOAD_PAIRS = {"llvm_options": ("-aarch64-enable-ldst-opt:bool=false",)}
# Raspberry Pi OS 32-bit binaries are ARMv7 with NEON and VFPv4. With mcpu=cortex-a53 LLVM would
# emit ARMv8 instructions for an ARMv7 triple, so no mcpu is named.
_ARMV7 = {
    "isa": "armv7",
    "vector_lanes": 4,
    "vector_registers": 16,
    "compiler": "arm-linux-gnueabihf-gcc",
    "emulator": "qemu-arm",
    "mtriple": "armv7a-linux-gnueabihf",
    "mcpu": "",
    "mattr": ("+neon", "+vfp4"),
    "c_flags": ("-march=armv7-a", "-mfpu=neon-vfpv4", "-mfloat-abi=hard"),
}


def _board(name: str, board: str, clock_ghz: float, *parts: dict[str, Any]) -> Target:
    merged: dict[str, Any] = {}
    for part in parts:
        merged |= part
    merged.setdefault("mcpu", merged["core"])
    return Target(name=name, board=board, clock_ghz=clock_ghz, cores=4, **merged)


_BOARDS = [
    _board("rpi3", "Raspberry Pi 3B+", 1.4, _A53, _AARCH64, _NO_LOAD_PAIRS),
    _board("rpi-zero2w", "Raspberry Pi Zero 2 W", 1.0, _A53, _AARCH64, _NO_LOAD_PAIRS),
    _board("rpi4", "Raspberry Pi 4B", 1.8, _A72, _AARCH64),
    _board("rpi5", "Raspberry Pi 5", 2.4, _A76, _AARCH64, {"mattr": ("+dotprod", "+fullfp16")}),
    _board("rpi3-armv7", "Raspberry Pi 3B+, 32-bit", 1.4, _A53, _ARMV7),
    _board("rpi4-armv7", "Raspberry Pi 4B, 32-bit", 1.8, _A72, _ARMV7),
]
NAMES = [board.name for board in _BOARDS] + ["host"]


@cache
def _host() -> Target:
    """This machine; vector width from /proc/cpuinfo, the clock as the kernel reports it."""
    text = Path("/proc/cpuinfo").read_text()
    flags = set(next((s for s in text.splitlines() if s.startswith("flags")), "").split())
    mhz = [float(s.split(":")[1]) for s in text.splitlines() if s.startswith("cpu MHz")]
    if platform.machine() != "x86_64":
        raise InputError(f"target host: only x86_64 is known, this is {platform.machine()}")
    if "avx512f" in flags:
        lanes, registers, mcpu = 16, 32, "x86-64-v4"
    elif "avx2" in flags and "fma" in flags:
        lanes, registers, mcpu = 8, 16, "x86-64-v3"
    else:
        lanes, registers, mcpu = 4, 16, "x86-64"
    return Target(
        name="host",
        board="this machine",
        core="x86_64",
        isa="x86_64",
        clock_ghz=max(mhz, default=1000.0) / 1e3,
        cores=text.count("processor\t"),
        macs_per_cycle=2.0 * lanes,
        vector_ops=3.0,
        l1d_kib=32,
        l1i_kib=32,
        l2_kib=1024,
        l3_kib=0,
        vector_lanes=lanes,
        vector_registers=registers,
        compiler="gcc",
        emulator=None,
        mtriple="x86_64-linux-gnu",
        mcpu=mcpu,
    )


def get_target(name: str) -> Target:
    """The target of that name; raises ``InputError`` naming the known ones."""
    if name == "host":
        return _host()
    for board in _BOARDS:
        if board.name == name:
            return board
    raise InputError(f"unknown target '{name}'; known: {', '.join(NAMES)}")
