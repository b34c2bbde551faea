"""Runs the assembly of a tile in Python: registers, memory, and nothing that is not used in one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tvm_ops.operators._neon_tile import Tile

Floats = NDArray[np.float32]

_BASE = 1 << 20  # of the first array; each has a page of its own, and nothing lies between them
_PAGE = 1 << 20
_ARITHMETIC = {
    "fadd": np.add,
    "fmul": np.multiply,
    "fdiv": np.divide,
    "fmax": np.maximum,
    "fmin": np.minimum,
}


class Machine:
    """``arrays`` in memory, one after the other; ``executed`` counts the instructions by text."""

    def __init__(self, arrays: Sequence[Floats]) -> None:
        self.memory = {_BASE + i * _PAGE: array for i, array in enumerate(arrays)}
        self.x: dict[str, int] = {}
        self.v = np.full((32, 4), np.nan, np.float32)
        self.zero = False
        self.executed: Counter[str] = Counter()

    def run(self, lines: Sequence[str], most: int = 100_000) -> None:
        """All lines, branches included; an address outside of the arrays is an ``IndexError``."""
        at = 0
        for _ in range(most):
            if at == len(lines):
                return
            line = lines[at]
            at += 1
            if line == "1:":
                start = at
            elif line.startswith("b.ne"):
                at = at if self.zero else start
            else:
                self.step(line)
        raise RuntimeError(f"more than {most} instructions")

    def step(self, line: str) -> None:
        """One instruction."""
        self.executed[line] += 1
        name, rest = line.split(" ", 1)
        operands = re.findall(r"\[[^\]]*\](?!\.)|[^,\s]+", rest)
        if name == "st1":
            self._store_run(rest)
        elif name in ("ldr", "str"):
            self._memory(name, operands)
        elif name == "prfm":
            self._memory("ldr", ["xzr", *operands[1:]])
        elif operands[0].startswith("v"):
            self._vector(name, operands)
        else:
            self._integer(name, operands)

    def _integer(self, name: str, operands: list[str]) -> None:
        target, *sources = operands
        shift = 0
        if sources[-1].startswith("#") and "lsl" in sources:
            shift = int(sources[-1][1:])
            sources = sources[: sources.index("lsl")]
        if name == "csel":
            self.x[target] = self.x[sources[0] if self.zero else sources[1]]
            return
        values = [int(s[1:]) << shift if s.startswith("#") else self.x[s] for s in sources]
        if name == "movk":
            self.x[target] |= values[0]
        elif name == "mov":
            self.x[target] = values[0]
        elif name == "add":
            self.x[target] = sum(values)
        else:
            assert name == "subs", name
            self.x[target] = values[0] - values[1]
            self.zero = self.x[target] == 0

    def _memory(self, name: str, operands: list[str]) -> None:
        register, address = operands
        base, _, offset = address.strip("[]").partition(", #")
        array, first = self._find(self.x[base] + int(offset or 0))
        count = 4 if register.startswith("q") else 2
        if not 0 <= first <= len(array) - count:
            raise IndexError(f"{name} {register}, {address}: outside of the array")
        part = array[first : first + count]
        if name == "str":
            part[:] = self.v[int(register[1:])]
        elif register.startswith("x"):
            self.x[register] = int(part.view(np.uint64)[0])
        else:
            self.v[int(register[1:])] = 0
            self.v[int(register[1:]), :count] = part

    def _store_run(self, rest: str) -> None:
        registers, base, size = re.fullmatch(r"\{(.*)\}, \[(x\d+)\], #(\d+)", rest).groups()  # type: ignore[union-attr]
        numbers = [int(r[1:].removesuffix(".4s")) for r in registers.split(", ")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) <= 4
        array, first = self._find(self.x[base])
        array[first : first + 4 * len(numbers)] = self.v[numbers].reshape(-1)
        self.x[base] += int(size)
        assert int(size) == 16 * len(numbers)

    def _find(self, address: int) -> tuple[Floats, int]:
        start = address // _PAGE * _PAGE
        assert address % 4 == 0
        return self.memory[start], (address - start) // 4

    def _vector(self, name: str, operands: list[str]) -> None:
        target = int(re.findall(r"\d+", operands[0])[0])
        sources = operands[1:]
        if name == "ins":
            assert ".d[1]" in operands[0]
            self.v[target, 2:] = np.array([self.x[sources[0]]], np.uint64).view(np.float32)
            return
        if name == "dup":
            value = np.array([self.x["x" + sources[0][1:]]], np.uint32).view(np.float32)
            self.v[target] = value[0]
            return
        values = [self._value(s) for s in sources]
        if name == "fmla":
            self.v[target] += values[0] * values[1]
        elif name in _ARITHMETIC:
            self.v[target] = _ARITHMETIC[name](*values)
        else:
            assert name in ("mov", "movi", "fmov"), name
            self.v[target] = values[0]

    def _value(self, source: str) -> Floats:
        if source.startswith("#"):
            return np.full(4, float(source[1:]), np.float32)
        register, element = re.fullmatch(r"v(\d+)\.(?:4s|16b|s\[(\d)\])", source).groups()  # type: ignore[union-attr]
        values = self.v[int(register)]
        return values if element is None else np.full(4, values[int(element)], np.float32)


def run_tile(tile: Tile, arrays: dict[str, Floats]) -> Machine:
    """One call; ``arrays`` are flat, by the tile's names of its arguments."""
    machine = Machine([arrays[name] for name in tile.arguments])
    for i, _ in enumerate(tile.arguments):
        machine.x[f"${i}"] = _BASE + i * _PAGE
    machine.run(list(tile.assembly()))
    return machine
