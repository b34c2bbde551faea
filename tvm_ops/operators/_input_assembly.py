"""The sums of ``binary_input_conv2d`` over kernel rows in AArch64 assembly.

As in ``_input_tile``: ``eor`` with a vector of signs, ``sadalp``; a row's last tap of an odd number
by ``saddw``. A group of two taps has a slot for each pixel and vector: its ``eor``, the addition of
two slots before, and a load of the next group. LLVM loads just before the first use, and the A72's
queue of 12 is then full of additions that wait (7x7, 3 to 64 channels: 10.1 instead of 14.4 MACs a
cycle). In order it is LLVM's that is faster, 5.6 MACs a cycle on A53, where 128-bit loads, or the
halves that they are made of, cost as much wherever they stand.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

REGISTERS = 32
_TEMPORARIES, _BEHIND = 3, 2
_POINTERS = ("x9", "x10", "x11", "x12")
_X, _W, _COUNT, _X_NEXT, _W_NEXT = "x17", "x8", "x7", "x6", "x5"
_CLOBBERS = (*_POINTERS, _X, _W, _COUNT, _X_NEXT, _W_NEXT)
_MAX_BODY = 1024  # slots, 8 KB of code, and loads


@dataclass(frozen=True)
class InputAssembly:
    """``rows`` kernel rows of ``taps`` bytes, ``row`` bytes apart, of pixels ``pixel`` apart.

    ``row_weights`` are the bytes of a row's weights, [group, vector, 16], [vector, 8].
    """

    rows: int
    taps: int
    row: int
    pixel: int
    pixels: int
    vectors: int
    row_weights: int

    @property
    def fits(self) -> bool:
        """Whether registers, immediates and the I-cache suffice."""
        p, v, groups = self.pixels, self.vectors, self.groups
        return (
            p * (v + 1) + 2 * v + _TEMPORARIES <= REGISTERS
            and p <= len(_POINTERS)
            and groups * p * v <= _MAX_BODY
            and max(self.pixel * p, self.taps, self.row_weights // 16) < 4096
        )

    @property
    def groups(self) -> int:
        """Pairs of taps, then one of an odd number."""
        return -(-self.taps // 2)

    @property
    def constraints(self) -> str:
        """Of the asm: sums in the first registers, pointers to x and to the weights."""
        sums = self.pixels * self.vectors
        clobbers = [f"v{i}" for i in range(sums, REGISTERS)] + list(_CLOBBERS)
        parts = [f"={{v{i}}}" for i in range(sums)] + ["r", "r"]
        return ",".join([*parts, *(f"~{{{c}}}" for c in clobbers), "~{cc}", "~{memory}"])

    def lines(self) -> Iterator[str]:
        sums = self.pixels * self.vectors
        yield f"mov {_X}, ${sums}"
        yield f"mov {_W}, ${sums + 1}"
        yield f"mov {_COUNT}, #{self.rows}"
        for i in range(sums):
            yield f"movi v{i}.2d, #0"
        yield from self._pointers()
        for v in range(self.vectors):
            yield self._weights(0, v)
        for p in range(self.pixels):
            yield self._pixel(0, p)
        yield "1:"
        yield from self._row()
        yield "b.ne 1b"

    def _pointers(self) -> Iterator[str]:
        for p in range(self.pixels):
            yield f"add {_POINTERS[p]}, {_X}, #{p * self.pixel}"

    def _row(self) -> Iterator[str]:
        added: deque[str] = deque()
        loads: deque[str] = deque()
        slots = itertools.product(range(self.groups), range(self.pixels), range(self.vectors))
        for slot, (g, p, v) in enumerate(slots):
            if (p, v) == (0, 0):  # loads of this group are done before its first slot
                yield from loads
                loads.clear()
                if g == self.groups - 1:
                    yield from self._advance()
            temporary = self._temporary(slot)
            yield self._sign(g, p, v, temporary)
            added.append(self._add(g, p, v, temporary))
            if len(added) > _BEHIND:
                yield added.popleft()
            loads.extend(self._loads(g, p, v))
            if loads:
                yield loads.popleft()
        yield from (*loads, *added)

    def _advance(self) -> list[str]:
        """To the next row; after the last one it is the same, so that what is loaded is there."""
        return [
            f"subs {_COUNT}, {_COUNT}, #1",
            f"mov {_X_NEXT}, #{self.row & 0xFFFF}",
            *([f"movk {_X_NEXT}, #{self.row >> 16}, lsl #16"] if self.row >> 16 else []),
            f"add {_X_NEXT}, {_X}, {_X_NEXT}",
            f"mov {_W_NEXT}, #{self.row_weights}",
            f"add {_W_NEXT}, {_W}, {_W_NEXT}",
            f"csel {_X}, {_X}, {_X_NEXT}, eq",
            f"csel {_W}, {_W}, {_W_NEXT}, eq",
            *self._pointers(),
        ]

    def _is_single(self, g: int) -> bool:
        return self.taps % 2 == 1 and g == self.groups - 1

    def _sign(self, g: int, p: int, v: int, temporary: int) -> str:
        kind = "8b" if self._is_single(g) else "16b"
        x, w = self._x(p), self._w(g, v)
        return f"eor v{temporary}.{kind}, v{x}.{kind}, v{w}.{kind}"

    def _add(self, g: int, p: int, v: int, temporary: int) -> str:
        total = p * self.vectors + v
        if self._is_single(g):
            return f"saddw v{total}.8h, v{total}.8h, v{temporary}.8b"
        return f"sadalp v{total}.8h, v{temporary}.16b"

    def _loads(self, g: int, p: int, v: int) -> Iterator[str]:
        """What may be loaded when this slot has used its operands."""
        following = (g + 1) % self.groups
        if v == self.vectors - 1:
            yield self._pixel(following, p)
        # The other set of weights as early as there are slots, the same one after its last use.
        same = self._w(following, 0) == self._w(g, 0)
        if p == (self.pixels - 1 if same else 0):
            yield self._weights(following, v)

    def _pixel(self, g: int, p: int) -> str:
        """Loads and spreads the taps of a group; the pointer moves with them."""
        kind, size = ("8b", 1) if self._is_single(g) else ("8h", 2)
        return f"ld1r {{v{self._x(p)}.{kind}}}, [{_POINTERS[p]}], #{size}"

    def _weights(self, g: int, v: int) -> str:
        kind, size = ("d", 8) if self._is_single(g) else ("q", 16)
        return f"ldr {kind}{self._w(g, v)}, [{_W}, #{g * self.vectors * 16 + v * size}]"

    def _x(self, p: int) -> int:
        return self.pixels * self.vectors + p

    def _w(self, g: int, v: int) -> int:
        return self.pixels * (self.vectors + 1) + g % 2 * self.vectors + v

    def _temporary(self, slot: int) -> int:
        return self.pixels * (self.vectors + 1) + 2 * self.vectors + slot % _TEMPORARIES
