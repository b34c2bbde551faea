"""Runs a few-bit chunk's assembly in Python: registers, arrays, and what it uses of A64."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
PAGE = 1 << 20  # from one array to the next


class Machine:
    """``arrays`` of bytes, each the first of a page; ``names`` are operands, as ``$4``."""

    def __init__(self, arrays: Sequence[Bytes], names: dict[str, int]) -> None:
        self.arrays = arrays
        self.x = dict(names)
        self.v = np.full((32, 16), 0xA5, np.uint8)

    def run(self, lines: Sequence[str]) -> None:
        """All lines; a read outside of the arrays is an ``IndexError``."""
        for line in lines:
            self.step(line)

    def read(self, address: int, size: int) -> Bytes:
        array, at = self.arrays[address // PAGE], address % PAGE
        if at + size > len(array):
            raise IndexError(f"byte {at} of {len(array)}")
        return array[at : at + size]

    def step(self, line: str) -> None:
        """One instruction."""
        name, rest = line.split(" ", 1)
        load = re.fullmatch(r"(\{?\w+(?:\.2d\})?), \[(\S+?)(?:, #(\d+))?\](?:, (\S+))?", rest)
        if load:
            self._load(*load.groups())
            return
        numbers = [int(n) for n in re.findall(r"v(\d+)", rest)]
        if name in ("mov", "movk"):
            self._constant(rest)
        elif name == "neg":
            self.x[rest.split(", ")[0]] *= -1
        elif name == "ins":
            half = int(rest[rest.index("[") + 1])
            source = rest.rsplit(", ", 1)[1]
            self.v[numbers[0], 8 * half : 8 * half + 8] = np.frombuffer(
                self.x[source].to_bytes(8, "little"), np.uint8
            )
        else:
            wide = ".8h" in rest.split(", ")[-1]
            to, *operands = numbers
            if name == "bsl":  # it is told by what is there
                operands = [to, *operands]
            values = [self.v[n].view(np.uint16) if wide else self.v[n] for n in operands]
            self.v[to] = _compute(name, values).view(np.uint8)

    def _load(self, to: str, base: str, offset: str | None, move: str | None) -> None:
        address = self.x[base] + int(offset or 0)
        if to.startswith("x"):
            self.x[to] = int.from_bytes(self.read(address, 8).tobytes(), "little")
        elif to.startswith("{"):
            self.v[int(to[2:].split(".")[0])] = np.tile(self.read(address, 8), 2)
        else:
            size = {"q": 16, "d": 8}[to[0]]
            self.v[int(to[1:])] = np.pad(self.read(address, size), (0, 16 - size))
        if move:
            moved = int(move[1:]) if move.startswith("#") else self.x[move]
            self.x[base] += moved

    def _constant(self, rest: str) -> None:
        register, value, *shift = re.split(r", (?:lsl )?", rest)
        bits = int(value[1:]) << (int(shift[0][1:]) if shift else 0)
        self.x[register] = self.x.get(register, 0) | bits if shift else bits


def _compute(name: str, values: list[NDArray[np.unsignedinteger]]) -> NDArray[np.unsignedinteger]:
    first, second = values[0], values[-1]
    if name == "eor":
        return first ^ second
    if name == "cnt":
        return np.bitwise_count(first).astype(np.uint8)
    if name == "and":
        return first & second
    if name == "bsl":
        return first & values[1] | ~first & second
    if name == "add":
        return first + second
    if name == "sub":
        return first - second
    if name == "uaddlp":
        return first[::2].astype(np.uint16) + first[1::2]
    assert name == "addp", name
    both = np.concatenate([first, second])
    return both[::2] + both[1::2]
