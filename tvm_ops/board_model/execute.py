"""Runs an AArch64 Linux program on the modelled board."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm_ops.board_model import plugin
from tvm_ops.board_model.program import find_program
from tvm_ops.board_model.waits import InstructionWaits, read_waits
from tvm_ops.errors import InputError
from tvm_ops.process import run_limited
from tvm_ops.targets import Target

CUT_OFF_EXIT_CODE = 93  # kCutOffExitCode in plugin/region.h
_CROSS_SYSROOT = Path("/usr/aarch64-linux-gnu")  # of Debian's cross compiler
# Nothing of the caller's environment reaches the program: its size moves the stack, and with it the
# cycles. A Python inside hashes strings the same way every time.
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True)
class HotBlock:
    """A straight-line piece of machine code and what its executions cost in one region.

    ``instruction_waits`` has one entry for each instruction in a profile, else none.
    """

    address: int
    symbol: str
    executions: int
    cycles: int
    l1_misses: int
    l2_misses: int
    code: bytes  # little-endian instruction words
    instruction_waits: list[InstructionWaits] = field(default_factory=list)

    @property
    def instructions(self) -> int:
        """How many instructions the block has."""
        return len(self.code) // 4

    @property
    def end(self) -> int:
        """The address after the last instruction."""
        return self.address + len(self.code)

    @property
    def instructions_per_cycle(self) -> float:
        return self.executions * self.instructions / max(self.cycles, 1)


@dataclass(frozen=True)
class Region:
    """One measured region. Misses are those of demand accesses to lines of 64 bytes."""

    id: int
    cycles: int
    ms: float
    instructions: int
    l1_misses: int
    l2_misses: int
    l3_misses: int
    branches: int
    mispredicts: int
    unknown_instructions: int  # executed, but not known to the decoder
    hot_blocks: list[HotBlock] = field(default_factory=list)


@dataclass(frozen=True)
class Execution:
    """What a program did on the modelled board.

    ``exit_code`` is negative for a death by signal, as in ``subprocess``. ``cut_off`` says that a
    region passed the cycle limit; that region is not in ``regions``.
    """

    exit_code: int
    stdout: str
    stderr: str
    regions: list[Region]
    cut_off: bool
    timed_out: bool


def _hot_block(entry: dict[str, Any]) -> HotBlock:
    words = bytes.fromhex(entry.pop("code"))
    code = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    waits = [read_waits(instruction) for instruction in entry.pop("instruction_waits", [])]
    return HotBlock(code=code, instruction_waits=waits, **entry)


def _regions(target: Target, report: Path) -> tuple[list[Region], bool]:
    """The regions of a report file, and whether the last one was cut off."""
    regions, cut_off = [], False
    for line in report.read_text().splitlines():
        entry = json.loads(line)
        del entry["whole_program"]
        cut_off = entry.pop("cut_off")
        blocks = [_hot_block(block) for block in entry.pop("hot_blocks")]
        if not cut_off:
            milliseconds = target.milliseconds(entry["cycles"])
            regions.append(Region(ms=milliseconds, hot_blocks=blocks, **entry))
    return regions, cut_off


def _plugin_options(options: Mapping[str, Any]) -> str:
    # In QEMU's option lists a comma inside a value is doubled.
    parts = [f"{name}={str(value).replace(',', ',,')}" for name, value in options.items()]
    return ",".join([str(plugin.plugin()).replace(",", ",,"), *parts])


def execute(
    target: Target,
    argv: Sequence[str],
    *,
    sysroot: Path | None = None,
    cycle_limit: int | None = None,
    timeout: float | None = None,
    hot_blocks: int = 0,
    profile: bool = False,
    marked: bool = False,
    stdin: str | None = None,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
) -> Execution:
    """Runs ``argv`` on the modelled board ``target`` and returns its regions.

    ``sysroot`` holds the board's files (``/lib``, ``/usr``, ``/proc/cpuinfo``); without one the
    program is linked statically or uses the cross compiler's libraries. ``argv[0]`` is a path, in
    the sysroot or here, or a name to be found in the sysroot's ``bin`` folders. ``env`` is added to
    a small fixed environment. A region that passes ``cycle_limit`` cycles ends the program at once.
    ``timeout`` is in seconds of this machine. ``hot_blocks`` blocks are reported for each region,
    with ``profile`` also what each of their instructions waited for; cycles stay the same.

    A program without marks is one region, id 0. ``marked=True`` promises marks and skips the model
    until the first one, which saves time where much happens before it (a Python starting up, for
    one); the results are the same.

    Raises ``InputError``: the target is not modelled, no such program, not an AArch64 program, or a
    tool is missing.
    """
    if not target.modelled:
        raise InputError(f"target '{target.name}' has no timing model; rpi3, rpi4 and rpi5 have")
    if cycle_limit is not None and cycle_limit < 1:
        raise InputError(f"cycle limit {cycle_limit}: at least 1 is needed")
    program = find_program(argv, sysroot)
    libraries = sysroot or _CROSS_SYSROOT
    environment = _ENVIRONMENT | dict(env or {})
    with tempfile.TemporaryDirectory(prefix="tvm-ops-") as scratch:
        report = Path(scratch) / "report"
        options = {
            "core": plugin.core_file(target.core),
            "report": report,
            "limit": cycle_limit or 0,
            "hot_blocks": hot_blocks,
            "profile": "on" if profile else "off",
            "whole_program": "off" if marked else "on",
        }
        command = [plugin.qemu(), "-cpu", target.core, "-seed", "0", "-L", str(libraries)]
        # The host's linker would read these too, when it starts QEMU.
        for name in [name for name in environment if name.startswith("LD_")]:
            command += ["-E", f"{name}={environment.pop(name)}"]
        command += ["-plugin", _plugin_options(options), str(program), *argv[1:]]
        done = run_limited(command, timeout=timeout, stdin=stdin, cwd=cwd, whole_env=environment)
        if not report.exists():
            raise InputError(f"qemu-aarch64 cannot run the board model: {done.stderr.strip()}")
        regions, cut_off = _regions(target, report)
    return Execution(done.exit_code, done.stdout, done.stderr, regions, cut_off, done.timed_out)


def board_exec(
    target: Target, argv: Sequence[str], *, sysroot: Path | None = None, **options: Any
) -> dict[str, Any]:
    """Runs a program as ``execute`` does; the facts of ``tvm-ops board exec --json``.

    ``{"target", "regions": [{"id", "cycles", "ms", "instructions", "l1_misses", "l2_misses"}],
    "exit_code"}``.
    """
    execution = execute(target, argv, sysroot=sysroot, **options)
    names = ["id", "cycles", "ms", "instructions", "l1_misses", "l2_misses"]
    regions = [{name: getattr(region, name) for name in names} for region in execution.regions]
    return {"target": target.name, "regions": regions, "exit_code": execution.exit_code}
