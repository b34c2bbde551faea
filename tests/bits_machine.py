"""Runs a few-bit tile's assembly in Python: registers, arrays, and what it uses of A64."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
PAGE = 1 << 20  # from one array to the next
BRANCHES = ("b", "cbz", "tbz")


class Machine:
    """``arrays`` of bytes, each the first of a page; ``names`` are operands, as ``$4``."""

    def __init__(self, arrays: Sequence[Bytes], names: dict[str, int]) -> None:
        self.arrays = arrays
        self.x = dict(names)
        self.v = np.full((32, 16), 0xA5, np.uint8)
        self.equal = False

    def run(self, lines: Sequence[str]) -> None:
        """All lines; an access outside of the arrays is an ``IndexError``."""
        at = 0
        while at < len(lines):
            label = self._branch(lines[at])
            if label:
                at = lines.index(label)
            elif not lines[at].endswith(":") and lines[at].split(" ")[0] not in BRANCHES:
                self.step(lines[at])
            at += 1

    def read(self, address: int, size: int) -> Bytes:
        """A view."""
        array, at = self.arrays[address // PAGE], address % PAGE
        if at + size > len(array):
            raise IndexError(f"byte {at} of {len(array)}")
        return array[at : at + size]

    def step(self, line: str) -> None:
        """One instruction."""
        name, rest = line.split(" ", 1)
        load = re.fullmatch(r"(.+?), \[(\S+?)(?:, #(\d+))?\](?:, (\S+))?", rest)
        if load and name == "st1":
            self._store(*load.groups()[:2])
        elif load and name == "str":
            to, base, offset, _ = load.groups()
            self.read(self.x[base] + int(offset or 0), 16)[:] = self.v[int(to[1:])]
        elif load:
            self._load(name, *load.groups())
        elif name in ("fmov", "ins"):
            self._insert(name, rest)
        elif name == "sdot":
            self._dot(*(int(n) for n in re.findall(r"(?<=[v[])\d+", rest)))
        elif "v" not in rest:
            self._scalar(name, rest.split(", "))
        else:
            self._vector(name, rest)

    def _dot(self, to: int, a: int, b: int, word: int) -> None:
        """Four bytes of each word of a, times those of one word of b."""
        bytes_of = self.v.view(np.int8).astype(np.int32)
        products = bytes_of[a].reshape(4, 4) * bytes_of[b, 4 * word : 4 * word + 4]
        self.v[to].view(np.int32)[:] += products.sum(axis=1, dtype=np.int32)

    def _branch(self, line: str) -> str | None:
        """The label that is gone to; each is there once, so that its direction does not matter."""
        name, _, rest = line.partition(" ")
        *operands, label = rest.split(", ")
        if name == "cbz":
            taken = self._value(operands[0]) == 0
        elif name == "tbz":
            taken = not self._value(operands[0]) >> int(operands[1][1:]) & 1
        else:
            taken = name == "b"
        return f"{label[:-1]}:" if taken else None

    def _value(self, operand: str) -> int:
        if operand.startswith("#"):
            return int(operand[1:])
        return self.x[operand.replace("w", "x") if operand.startswith("w") else operand]

    def _load(self, name: str, to: str, base: str, offset: str | None, move: str | None) -> None:
        address = self.x[base] + int(offset or 0)
        if name == "ldpsw":
            for i, register in enumerate(to.split(", ")):
                self.x[register] = int(self.read(address + 4 * i, 4).view(np.int32)[0])
        elif name == "ld1r":
            register, lanes = re.findall(r"v(\d+)\.(\w+)", to)[0]
            size = {"2d": 8, "4s": 4, "8h": 2}[lanes]
            self.v[int(register)] = np.tile(self.read(address, size), 16 // size)
        elif to[0] in "xw":
            found = self.read(address, 8 if to[0] == "x" else 4).tobytes()
            self.x[to.replace("w", "x")] = int.from_bytes(found, "little")
        else:
            size = {"q": 16, "d": 8}[to[0]]
            self.v[int(to[1:])] = np.pad(self.read(address, size), (0, 16 - size))
        if move:
            self.x[base] += self._value(move)

    def _store(self, lane: str, base: str) -> None:
        register, number = (int(n) for n in re.findall(r"\d+", lane))
        self.read(self.x[base], 4)[:] = self.v[register, 4 * number : 4 * number + 4]

    def _insert(self, name: str, rest: str) -> None:
        """64 bits of an integer register; ``fmov`` clears the others."""
        to, source = rest.split(", ")
        register, *half = (int(n) for n in re.findall(r"\d+", to))
        if name == "fmov":
            self.v[register], half = 0, [0]
        bits = self.x[source].to_bytes(8, "little")
        self.v[register, 8 * half[0] : 8 * half[0] + 8] = np.frombuffer(bits, np.uint8)

    def _scalar(self, name: str, operands: list[str]) -> None:
        to = operands[0]
        if name == "movk":
            self.x[to] |= self._value(operands[1]) << int(operands[2].split("#")[1])
        elif name == "mov":
            self.x[to] = self._value(operands[1])
        elif name == "neg":
            self.x[to] = -self.x[to]
        elif name == "tst":
            self.equal = not self._value(to) & self._value(operands[1])
        elif name == "csel":
            assert operands[3] == "ne"
            self.x[to] = self.x[operands[2 if self.equal else 1]]
        else:
            assert name == "add", name
            shift = 12 if len(operands) > 3 else 0
            self.x[to] = self._value(operands[1]) + (self._value(operands[2]) << shift)

    def _vector(self, name: str, rest: str) -> None:
        numbers = [int(n) for n in re.findall(r"v(\d+)", rest)]
        amount = int(rest.split("#")[1]) if "#" in rest else 0
        lanes = rest.split(", ")[-1].split(".")[-1]
        kind = {"8h": np.uint16, "4s": np.uint32}.get(lanes, np.uint8)
        to, *operands = numbers
        values = [self.v[n].view(kind) for n in operands]
        self.v[to] = _compute(name, self.v[to], values, amount).view(np.uint8)


def _compute(
    name: str, to: Bytes, values: list[NDArray[np.unsignedinteger]], amount: int
) -> NDArray[np.unsignedinteger]:
    first, second = values[0], values[-1]
    both = np.concatenate([first, second])
    narrow = ((first - second) >> 8).astype(np.uint8) if name.startswith("subhn") else both
    pairs = first[::2].astype(np.uint16) + first[1::2]
    found = {
        "eor": lambda: first ^ second,
        "and": lambda: first & second,
        "bsl": lambda: (to & first) | (~to & second),
        "sub": lambda: first - second,
        "cnt": lambda: np.bitwise_count(first).astype(np.uint8),
        "add": lambda: first + second,
        "addp": lambda: both[::2] + both[1::2],
        "uaddlp": lambda: pairs,
        "uadalp": lambda: to.view(np.uint16) + pairs,
        "subhn": lambda: np.pad(narrow, (0, 8)),
        "subhn2": lambda: np.concatenate([to[:8], narrow]),
        "sri": lambda: (to & np.uint8(0xFF00 >> amount & 0xFF)) | first >> amount,
        "bit": lambda: (first & second) | (to & ~second),
        "ext": lambda: both[amount : amount + 16],
        "uzp1": lambda: both[::2].copy(),
        "uzp2": lambda: both[1::2].copy(),
    }
    return found[name]()
