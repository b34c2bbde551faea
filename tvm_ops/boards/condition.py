"""The condition of a board elsewhere: what it is, how hot it is, whether it was slowed down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tvm_ops.errors import InputError
from tvm_ops.targets import Target

HOT = 80.0
"""Degrees Celsius: where the firmware of a Raspberry Pi begins to slow down all its models; of the
3B+ from 60 on, which it says in its flags."""

# Bits of get_throttled: these are, and 16 higher, were since the start.
_FLAGS = ("under-voltage", "its frequency was capped", "it was throttled", "its soft limit")
_SINCE_START = 16
# uname -m of kernels that run it, and machine of the ELF header of the board's own programs.
_MACHINES = {
    "x86_64": ({"x86_64"}, 62),
    "aarch64": ({"aarch64"}, 183),
    "armv7": ({"armv7l", "armv8l", "aarch64"}, 40),
}
_ELF_NAMES = {62: "x86_64", 183: "aarch64", 40: "32-bit ARM", 3: "32-bit x86", 243: "RISC-V"}


def read_facts(text: str) -> dict[str, str]:
    """``KEY=VALUE`` lines; what is there several times is joined by spaces."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            facts[key] = f"{facts[key]} {value}" if key in facts else value
    return facts


@dataclass(frozen=True)
class Condition:
    """At one moment; None for what the board does not tell."""

    celsius: float | None
    flags: int | None
    khz: int | None

    @classmethod
    def of(cls, facts: Mapping[str, str], prefix: str = "") -> Condition:
        """From the lines of ``condition.sh``."""
        celsius = _number(facts.get(f"{prefix}temperature"))
        flags, khz = (_number(facts.get(prefix + name)) for name in ("throttled", "khz"))
        return cls(None if celsius is None else celsius / 1e3, flags, khz)

    @property
    def is_hot(self) -> bool:
        return self.celsius is not None and self.celsius >= HOT

    @property
    def slowed_by(self) -> str | None:
        """What slows it down now."""
        bits = (self.flags or 0) & 0xF
        return next((words for bit, words in enumerate(_FLAGS) if bits >> bit & 1), None)


def _number(text: str | None) -> int | None:
    try:
        return int(text or "", 0)
    except ValueError:
        return None


def disturbance(
    before: Condition, after: Condition, pinned: bool, unpinned: bool = False
) -> str | None:
    """Why what was measured between the two does not count; None if it does.

    A pinned clock that is lower afterwards was lowered by the firmware or the kernel. ``unpinned``:
    it was to be pinned like that of the other measurements, and could not be.
    """
    if unpinned:
        return "its clock could not be pinned any more"
    for condition in (before, after):
        if condition.slowed_by:
            return condition.slowed_by
        if condition.is_hot:
            return f"{condition.celsius:.0f} degrees"
    if before.flags is not None and after.flags is not None:
        new = (after.flags & ~before.flags) >> _SINCE_START
        for bit, words in enumerate(_FLAGS):
            if new >> bit & 1:
                return words
    if pinned and before.khz and after.khz and after.khz < before.khz:
        return f"its clock fell from {before.khz // 1000} to {after.khz // 1000} MHz"
    return None


@dataclass(frozen=True)
class Probe:
    """What a board says of itself.

    ``pin``, how its clock's governor is set: ``direct``, ``sudo``, or why not: ``no`` (not
    allowed), ``lacking`` (it has no ``performance``), ``absent`` (there is none).
    """

    machine: str
    elf: bytes
    glibc: str
    governor: str
    pin: str
    missing: Sequence[str]
    holders: int
    waiting: int
    condition: Condition

    @classmethod
    def of(cls, facts: Mapping[str, str]) -> Probe:
        """From the lines of ``probe.sh``; raises ``InputError`` for something else."""
        try:
            return cls(
                machine=facts["machine"],
                elf=bytes.fromhex(facts["elf"]),
                glibc=facts["glibc"].removeprefix("glibc").strip(),
                governor=facts["governor"],
                pin=facts["pin"],
                missing=facts.get("missing", "").split(),
                holders=int(facts["holders"]),
                waiting=int(facts["waiting"]),
                condition=Condition.of(facts),
            )
        except (KeyError, ValueError):
            raise InputError("it gives no sound answer; a Linux with coreutils is needed") from None

    @property
    def architecture(self) -> str:
        """What its programs are for, by the ELF header of one of them, and the kernel's name."""
        number = int.from_bytes(self.elf[18:20], "little")
        name = _ELF_NAMES.get(number, f"of ELF machine {number}")
        bits = {1: "32", 2: "64"}.get(self.elf[4] if len(self.elf) > 4 else 0, "?")
        return f"its programs are {bits}-bit {name}, its kernel {self.machine}"

    @property
    def pins(self) -> bool:
        """Whether the clock is pinned while something is measured."""
        return self.pin in ("direct", "sudo")

    @property
    def clock(self) -> str:
        """Whether the clock is pinned while something is measured, in words."""
        if self.pin == "absent":
            return "clock as it is (the kernel offers no governor)"
        if self.pin == "lacking":
            return f"clock not pinned (governor {self.governor}, its kernel has no performance)"
        if self.pin == "no":
            return f"clock not pinned (governor {self.governor}, no right to change it)"
        return "clock pinned while measuring"

    def check(self, target: Target, emulated: bool) -> None:
        """Raises ``InputError`` where it cannot run the target's programs.

        ``emulated``: they run under something else, so that the board's own kind does not matter.
        """
        if self.missing:
            names = ", ".join(self.missing)
            raise InputError(f"it has no {names}; install that on the board")
        if emulated:
            return
        kernels, machine = _MACHINES[target.isa]
        fits = self.elf[18:20] == machine.to_bytes(2, "little")
        if not fits or self.machine not in kernels:
            raise InputError(
                f"{self.architecture}; target {target.name} needs {target.isa}: "
                "give the target that fits the board, see tvm-ops list targets"
            )
