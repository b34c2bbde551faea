"""A chunk of a few-bit tile as AArch64 inline assembly in LLVM IR.

Out of order, a register is loaded again at once after its last use. In order, see
``_bitserial_in_order``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tvm_ops.operators._bitserial_chunk import STEP, WORD, Chunk, Load, Registers
from tvm_ops.operators._bitserial_in_order import InOrder
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._neon_registers import constant

SKIPS = ("x17", "x16")  # moves of x to another row, to another plane
HALVES = tuple(f"x{i}" for i in range(8, 16))  # words of weights on their way, in order
MAX_OFFSET = 65520  # bytes: the immediate of a 16-byte load


class Assembly:
    """Text of a chunk; operands: sums, then pointers of x, which it moves on, then weights."""

    def __init__(self, chunk: Chunk, in_order: bool) -> None:
        self.chunk, self.registers, self.in_order = chunk, Registers(chunk), in_order

    @property
    def fits(self) -> bool:
        """Whether registers suffice, and loads of x reach all words."""
        if self.registers.count > 32:
            return False
        if self.chunk.duplicated:
            return all(o % 16 == 0 and o <= MAX_OFFSET for o in self._sequence(0))
        return len(self._skips) <= len(SKIPS)

    @property
    def _skips(self) -> list[int]:
        """Moves of x of more than a word; ``SKIPS`` have them."""
        return list(dict.fromkeys(m for m in self._moves(0) if m != WORD))

    def _sequence(self, pointer: int) -> list[int]:
        """Offsets of the words that are read through a pointer, in order."""
        c = self.chunk
        pixels = range(c.pixels) if c.shared else [pointer]
        return [c.word(s, p)[1] for s in range(c.steps) for p in pixels]

    def _moves(self, pointer: int) -> list[int]:
        offsets = self._sequence(pointer)
        return [b - a for a, b in pairwise(offsets)]

    def call(self, f: Function, pointers: list[str], weights: str) -> list[str]:
        """Calls it: the chunk's sums of each pixel, <8 x i16>."""
        c = self.chunk
        if not c.duplicated:  # read by moving on
            pointers = [f.pointer(pointer, self._sequence(0)[0]) for pointer in pointers]
        results = ", ".join(["<8 x i16>"] * c.pixels + ["ptr"] * c.pointers)
        outs = [f"=&{{v{self.registers.sums(p)}}}" for p in range(c.pixels)]
        outs += ["=&r"] * c.pointers  # pointers of x are moved on
        ties = [str(c.pixels + i) for i in range(c.pointers)] + ["r"]
        taken = {self.registers.sums(p) for p in range(c.pixels)}
        clobbers = [f"v{i}" for i in range(self.registers.count) if i not in taken]
        clobbers += [*SKIPS, "memory"] + (list(HALVES) if self.in_order else [])
        constraints = ",".join([*outs, *ties, *(f"~{{{c}}}" for c in clobbers)])
        arguments = ", ".join(f"ptr {p}" for p in [*pointers, weights])
        text = "\\0A".join(self.lines())
        found = f.value(
            f'call {{{results}}} asm sideeffect "{text}", "{constraints}"({arguments}) noduplicate'
        )
        return [f.value(f"extractvalue {{{results}}} {found}, {p}") for p in range(c.pixels)]

    def lines(self) -> Iterator[str]:
        if not self.chunk.duplicated:
            for register, move in zip(SKIPS, self._skips, strict=False):
                yield from constant(register, abs(move))
                yield from [f"neg {register}, {register}"] if move < 0 else []
        operations = list(self.registers.operations())
        if self.in_order:
            yield from InOrder(self, self.registers.first_loads, operations, HALVES).lines
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
        name = f"${self.chunk.pixels + pointer}"
        if self.chunk.duplicated:
            return f"ldr q{load.register}, [{name}, #{offset}]"
        place = load.step
        if self.chunk.shared:
            place = place * self.chunk.pixels + load.index
        moves = self._moves(pointer)
        move = ""
        if place < len(moves):
            is_next = moves[place] == WORD
            move = f", #{WORD}" if is_next else f", {SKIPS[self._skips.index(moves[place])]}"
        return f"ld1r {{v{load.register}.2d}}, [{name}]{move}"

    def weights_at(self, load: Load, half: int = 0) -> str:
        """Address of a vector of weights, or of its upper half."""
        offset = load.step % self.chunk.plane_steps * STEP + load.index * 2 * WORD + half * WORD
        return f"[${self.chunk.pixels + 2 * self.chunk.pointers}, #{offset}]"
