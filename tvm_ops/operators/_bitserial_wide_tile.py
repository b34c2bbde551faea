"""A few-bit tile of 32 output channels: its chunks one after another, sums in their registers.

Either all of them in straight code, or as a loop, see ``_bitserial_wide_loop``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from tvm_ops.operators._bitserial_asm import Assembly, Given
from tvm_ops.operators._bitserial_tile import MAX_UNROLLED, Part, Tile
from tvm_ops.operators._bitserial_wide_glue import WideGlue
from tvm_ops.operators._bitserial_wide_loop import DOUBLE, END, WideLoop
from tvm_ops.operators._llvm_function import Function


@dataclass(frozen=True)
class WideTile(Tile):
    """A ``Tile`` whose chunk has ``k_bits`` 16; sums of 16 bits, four vectors for each pixel."""

    @property
    def _is_loop(self) -> bool:
        return len(self.parts) * self.chunk.steps > MAX_UNROLLED

    @property
    def _emitter(self) -> Assembly:
        return WideLoop(self.chunk) if self._is_loop else Assembly(self.chunk, True)

    def _all_parts(self, f: Function, pointers: list[str]) -> list[str]:
        if self._is_loop:
            return self._in_loop(f, pointers)
        sums: list[str] = []
        for part, doubles in zip(self.parts, self._doubles, strict=True):
            given = Given(sums, doubles) if sums else None
            sums = self._go_on(f, pointers, part, given)
        return sums

    @property
    def after(self) -> tuple[int, ...]:
        """Registers that have something more than the sums, behind which it is."""
        return tuple(self._emitter.registers.after)

    @property
    def _ends(self) -> bool:
        """Whether the glue takes the first level's bounds from registers."""
        return isinstance(self.glue, WideGlue) and self.glue.is_assembly

    def _in_loop(self, f: Function, pointers: list[str]) -> list[str]:
        keeps = self.pixel_step is None
        loop = WideLoop(self.chunk, keeps, self._ends)
        first = self.parts[0]
        begins = [f.pointer(pointer, first.x + loop.reach[0]) for pointer in pointers]
        others = [f.pointer("%weights", first.weights), f"@{self.table_name}"]
        others += (["%table"] if keeps else []) + (["%bounds"] if self._ends else [])
        return loop.sum_up(f, begins, others)

    def _go_on(
        self, f: Function, pointers: list[str], part: Part, given: Given | None
    ) -> list[str]:
        """The given sums, if any, with those of a chunk; behind the last one's, bounds."""
        chunk = replace(self.chunk, continues=given is not None)
        moved = [f.pointer(pointer, part.x) for pointer in pointers]
        assembly = Assembly(chunk, True, self._ends and part is self.parts[-1])
        return assembly.call(f, moved, f.pointer("%weights", part.weights), given, "%bounds")

    @property
    def _doubles(self) -> list[int]:
        """Of each part, whether what is there counts twice."""
        return [0, *(int(b.shift < a.shift) for a, b in pairwise(self.parts))]

    @property
    def _table_numbers(self) -> list[int]:
        start, end = WideLoop(self.chunk).reach
        following = [*self.parts[1:], self.parts[0]]
        found = []
        for part, after in zip(self.parts, following, strict=True):
            to_do = END if part is self.parts[-1] else DOUBLE * (after.shift < part.shift)
            found += [after.x - part.x + start - end, after.weights - part.weights, to_do]
        return found
