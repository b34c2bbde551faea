"""A chunk of a few-bit tile as AArch64 inline assembly in LLVM IR.

Out of order, a register is loaded again at once after its last use. In order, see
``_bitserial_in_order``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tvm_ops.operators._bitserial_chunk import STEP, WORD, Chunk, Load, Registers
from tvm_ops.operators._bitserial_in_order import InOrder
from tvm_ops.operators._bitserial_wide import WideRegisters
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._neon_registers import constant

SKIPS = ("x17", "x16", "x7")  # moves of x to another row, to another plane
HALVES = tuple(f"x{i}" for i in range(8, 16))  # words of weights on their way, in order
MAX_OFFSET = 65520  # bytes: the immediate of a 16-byte load


class Given(NamedTuple):
    """What a chunk continues: sums, and an i32, whether they are doubled before."""

    sums: list[str]
    doubles: int | str


class Assembly:
    """Text of a chunk; operands: sums, then pointers of x, which it moves on, then weights.

    One that continues has the flag after them. ``ends``, of 16 bits of K only: then there is a
    pointer to 64 bytes, which registers that are free in the last step end with; they are behind
    the sums.
    """

    def __init__(self, chunk: Chunk, in_order: bool, ends: bool = False) -> None:
        self.chunk, self.in_order, self.ends = chunk, in_order, ends
        wide = chunk.k_bits == 16
        self.registers = WideRegisters(chunk, ends=ends) if wide else Registers(chunk)

    @property
    def fits(self) -> bool:
        """Whether registers suffice, and loads of x reach all words."""
        if not self.registers.fit:
            return False
        if self.chunk.duplicated:
            return all(o % 16 == 0 and o <= MAX_OFFSET for o in self._sequence(0))
        return len(self._skips) <= len(SKIPS)

    @property
    def _skips(self) -> list[int]:
        """Moves of x of more than a step; ``SKIPS`` have them."""
        return list(dict.fromkeys(m for m in self._moves(0) if m != self.chunk.stride))

    def _sequence(self, pointer: int) -> list[int]:
        """Offsets of the words that are read through a pointer, in order."""
        c = self.chunk
        pixels = range(c.pixels) if c.shared else [pointer]
        return [c.word(s, p)[1] for s in range(c.steps) for p in pixels]

    def _moves(self, pointer: int) -> list[int]:
        offsets = self._sequence(pointer)
        return [b - a for a, b in pairwise(offsets)]

    def pointer(self, number: int) -> str:
        """The operand of a pointer of x."""
        return f"${len(self.results) + number}"

    @property
    def results(self) -> list[int]:
        """Registers of what a call gives: sums, and what it ends with."""
        return [*self.registers.sums, *(self.registers.after if self.ends else [])]

    @property
    def weights(self) -> str:
        """The operand."""
        return self.pointer(2 * self.chunk.pointers)

    @property
    def doubles(self) -> str:
        """The operand of the flag."""
        return f"${{{self.pointer(2 * self.chunk.pointers + 1)[1:]}:w}}"

    @property
    def end(self) -> str:
        """The operand of the pointer to what it ends with."""
        return self.pointer(2 * self.chunk.pointers + 1 + self.chunk.continues)

    def call(
        self,
        f: Function,
        pointers: list[str],
        weights: str,
        before: Given | None = None,
        end: str = "",
    ) -> list[str]:
        """Calls it: the chunk's sums, <8 x i16>, of each pixel, in order of channels.

        Behind them what it ends with, from the pointer ``end``.
        """
        c, kind, sums = self.chunk, "<8 x i16>", self.results
        if not c.duplicated:  # read by moving on
            pointers = [f.pointer(pointer, self._sequence(0)[0]) for pointer in pointers]
        results = ", ".join([kind] * len(sums) + ["ptr"] * c.pointers)
        outs = [f"=&{{v{register}}}" for register in sums]
        outs += ["=&r"] * c.pointers  # pointers of x are moved on
        ties = [str(len(sums) + i) for i in range(c.pointers)] + ["r"]
        arguments = [f"ptr {p}" for p in [*pointers, weights]]
        if before:
            ties.append("r")
            arguments.append(f"i32 {before.doubles}")
        if self.ends:
            ties.append("r")
            arguments.append(f"ptr {end}")
        if before:
            ties += map(str, range(len(before.sums)))
            arguments += [f"{kind} {value}" for value in before.sums]
        clobbers = [f"v{i}" for i in range(self.registers.count) if i not in sums]
        skips = SKIPS[: max(2, len(self._skips))]
        clobbers += [*skips, "memory"] + (list(HALVES) if self.in_order else [])
        constraints = ",".join([*outs, *ties, *(f"~{{{c}}}" for c in clobbers)])
        text = "\\0A".join(self.lines())
        found = f.value(
            f'call {{{results}}} asm sideeffect "{text}", "{constraints}"'
            f"({', '.join(arguments)}) noduplicate"
        )
        return [f.value(f"extractvalue {{{results}}} {found}, {i}") for i in range(len(sums))]

    def lines(self) -> Iterator[str]:
        if self.chunk.continues:
            yield f"cbz {self.doubles}, 1f"
            yield from (f"add v{i}.8h, v{i}.8h, v{i}.8h" for i in self.registers.sums)
            yield "1:"
        if not self.chunk.duplicated:
            for register, move in zip(SKIPS, self._skips, strict=False):
                yield from constant(register, abs(move))
                yield from [f"neg {register}, {register}"] if move < 0 else []
        operations = list(self.registers.operations())
        if self.in_order:
            first = self.registers.first_loads
            yield from InOrder(self, first, operations, HALVES).lines
            return
        yield from map(self.whole, self.registers.first_loads)
        for operation in operations:
            yield operation.text
            yield from map(self.whole, operation.frees)

    def whole(self, load: Load) -> str:
        """A load as one instruction."""
        if load.weights:
            return f"ldr q{load.register}, {self.weights_at(load)}"
        pointer, offset = self.chunk.word(load.step, load.index)
        name = self.pointer(pointer)
        if self.chunk.duplicated:
            return f"ldr q{load.register}, [{name}, #{offset}]"
        place = load.step
        if self.chunk.shared:
            place = place * self.chunk.pixels + load.index
        moves = self._moves(pointer)
        move = ""
        if place < len(moves):
            is_next = moves[place] == self.chunk.stride
            register = "" if is_next else SKIPS[self._skips.index(moves[place])]
            move = f", #{self.chunk.stride}" if is_next else f", {register}"
        lanes = "8h" if self.chunk.k_bits == 16 else "2d"
        return f"ld1r {{v{load.register}.{lanes}}}, [{name}]{move}"

    def weights_at(self, load: Load, half: int = 0) -> str:
        """Address of a vector of weights, or of its upper half."""
        if self.ends and load.step == self.chunk.steps:
            return f"[{self.end}, #{load.index * 2 * WORD + half * WORD}]"
        return f"[{self.weights}, #{self.offset_of_weights(load.step, load.index, half)}]"

    def offset_of_weights(self, step: int, vector: int, half: int) -> int:
        return step % self.chunk.plane_steps * STEP + vector * 2 * WORD + half * WORD
