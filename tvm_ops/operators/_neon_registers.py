"""Registers of the assembly tiles, and what a tile's loop is made of: multiplies and loads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LANES = 4
FLOAT, VECTOR, LINE = 4, 16, 64  # bytes; of a cache line
REGISTERS = 32  # vector registers
X, W, X_NEXT, W_NEXT, COUNT, TEMP, X_STEP = (f"x{i}" for i in (9, 10, 11, 12, 13, 14, 16))
MOVE_ON = [f"mov {X}, {X_NEXT}", f"mov {W}, {W_NEXT}"]
HALVES = [f"x{i}" for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 15)]  # upper halves on their way
AHEAD = "x17"
INTEGERS = (*HALVES, X, W, X_NEXT, W_NEXT, COUNT, X_STEP, AHEAD, TEMP)
BASES = INTEGERS[:-1]  # of the vectors of y and residual, after the loop


@dataclass(frozen=True)
class Load:
    """16 bytes into a vector register, at once or as two halves."""

    register: int
    base: str
    offset: int

    @property
    def whole(self) -> str:
        return f"ldr q{self.register}, [{self.base}, #{self.offset}]"

    @property
    def low(self) -> str:
        return f"ldr d{self.register}, [{self.base}, #{self.offset}]"

    def high(self, half: str) -> str:
        return f"ldr {half}, [{self.base}, #{self.offset + 8}]"

    def insert(self, half: str) -> str:
        return f"ins v{self.register}.d[1], {half}"


@dataclass(frozen=True)
class Multiply:
    """One multiply-add by element ``k``, and the loads into the registers that it frees."""

    accumulator: int
    weights: int
    pixel: int
    k: int
    frees: tuple[Load, ...]

    @property
    def text(self) -> str:
        return f"fmla v{self.accumulator}.4s, v{self.weights}.4s, v{self.pixel}.s[{self.k}]"


def constant(register: str, value: int) -> Iterator[str]:
    """register = value, below 2^32."""
    yield f"mov {register}, #{value & 0xFFFF}"
    if value >> 16:
        yield f"movk {register}, #{value >> 16}, lsl #16"


def offset(register: str, base: str, value: int) -> Iterator[str]:
    """register = base + value."""
    if value:
        yield from constant(register, value)
        yield f"add {register}, {register}, {base}"
    else:
        yield f"mov {register}, {base}"


def add_constant(register: str, value: int) -> Iterator[str]:
    """register += value, which is below 2^24."""
    if value & 0xFFF:
        yield f"add {register}, {register}, #{value & 0xFFF}"
    if value >> 12:
        yield f"add {register}, {register}, #{value >> 12}, lsl #12"
