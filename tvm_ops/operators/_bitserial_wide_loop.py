"""All chunks of a wide few-bit tile as one loop in assembly, for the in-order core.

An iteration is a chunk; in its last step it loads what the next one begins with. So between two
there are the last counts and a branch, 6 cycles, where a call for each chunk takes 27. A table has
for each chunk how far x and weights are from its end to the next one's start (the last one's next
is the first, whose words are read in vain), and what to do then. The first chunk begins with a copy
of its first step that has nothing to add to.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm_ops.operators._bitserial_asm import HALVES, SKIPS, Assembly
from tvm_ops.operators._bitserial_chunk import Chunk, Load
from tvm_ops.operators._bitserial_in_order import InOrder
from tvm_ops.operators._bitserial_wide import WideRegisters
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._neon_registers import constant

TO_NEXT, WEIGHTS, NEXT_WEIGHTS, TABLE, TODO = "x7", "x19", "x20", "x21", "w22"
DOUBLE, END = 1, 2  # what to do after a chunk, bits of a table's third column
COLUMNS, LINE = 3, 64
_SUMS = "<8 x i16>"


class WideLoop(Assembly):
    """Operands: sums, pointers of x, which it moves on, then weights, the table, others.

    ``keeps``: there is a pointer to what the next tile begins with, and what is here is to stay in
    the L1: each chunk reads it (256 channels at 14x14, 2 bits: 13 cycles of each tile).
    ``ends``: as an ``Assembly``'s; they are what the last chunk loads for a next one.
    """

    def __init__(self, chunk: Chunk, keeps: bool = False, ends: bool = False) -> None:
        super().__init__(chunk, in_order=True, ends=ends)
        self.keeps = keeps
        self.registers = WideRegisters(chunk, wraps=True)

    @property
    def fits(self) -> bool:
        return self.registers.fit and len(self._skips) < len(SKIPS)

    @property
    def reach(self) -> tuple[int, int]:
        """Bytes from where a pointer begins to the first word of a chunk, and to its last."""
        offsets = self._sequence(0)
        return offsets[0], offsets[-1]

    def sum_up(self, f: Function, pointers: list[str], others: list[str]) -> list[str]:
        """The sums; ``pointers`` are to the first words of the first chunk."""
        sums, count = self.results, self.chunk.pointers
        outs = [f"=&{{v{i}}}" for i in sums] + ["=&r"] * count
        ins = [*(str(len(sums) + i) for i in range(count)), *["r"] * len(others)]
        free = [f"v{i}" for i in range(self.registers.count) if i not in sums]
        free += [*SKIPS, *HALVES, WEIGHTS, NEXT_WEIGHTS, TABLE, "x" + TODO[1:], "memory", "cc"]
        constraints = ",".join([*outs, *ins, *(f"~{{{name}}}" for name in free)])
        kinds = ", ".join([_SUMS] * len(sums) + ["ptr"] * count)
        given = ", ".join(f"ptr {p}" for p in [*pointers, *others])
        text = "\\0A".join(self.lines())
        found = f.value(
            f'call {{{kinds}}} asm sideeffect "{text}", "{constraints}"({given}) noduplicate'
        )
        return [f.value(f"extractvalue {{{kinds}}} {found}, {i}") for i in range(len(sums))]

    def lines(self) -> list[str]:  # type: ignore[override]
        first, others = self._body(continues=False), self._body(continues=True)
        differing = [i for i, (a, b) in enumerate(zip(first, others, strict=True)) if a != b]
        joins = differing[-1] + 1
        table = self.pointer(2 * self.chunk.pointers + 1)
        lines = [f"mov {WEIGHTS}, {self.pointer(2 * self.chunk.pointers)}", f"mov {TABLE}, {table}"]
        for register, move in zip(SKIPS, self._skips, strict=False):
            lines += [
                *constant(register, abs(move)),
                *([f"neg {register}, {register}"] * (move < 0)),
            ]
        lines += map(self.whole, self.registers.first_loads)
        doubled = [f"add v{i}.8h, v{i}.8h, v{i}.8h" for i in self.registers.sums]
        lines += [*first[:joins], "b 3f", "1:", f"tbz {TODO}, #0, 2f", *doubled, "2:"]
        return [*lines, *others[:joins], "3:", *_spread(self._turn_page, others[joins:]),
                f"mov {WEIGHTS}, {NEXT_WEIGHTS}", f"tbz {TODO}, #1, 1b"]  # fmt: skip

    @property
    def _turn_page(self) -> list[str]:
        """Reads a row of the table."""
        other = 2 * self.chunk.pointers + 2
        kept = [f"ldr wzr, [{self.pointer(other)}]"] if self.keeps else []
        end = self.pointer(other + self.keeps)
        kept += [f"ldr wzr, [{end}, #{LINE * i}]" for i in range(1, 3)] if self.ends else []
        select = f"csel {NEXT_WEIGHTS}, {end}, {NEXT_WEIGHTS}, ne"
        return [
            f"ldpsw {TO_NEXT}, {NEXT_WEIGHTS}, [{TABLE}]",
            f"ldr {TODO}, [{TABLE}, #8]",
            f"add {TABLE}, {TABLE}, #{4 * COLUMNS}",
            f"add {NEXT_WEIGHTS}, {NEXT_WEIGHTS}, {WEIGHTS}",
            *kept,
            *([f"tst {TODO}, #{END}", select] if self.ends else []),
        ]

    def _body(self, continues: bool) -> list[str]:
        operations = list(WideRegisters(self.chunk, True, continues).operations())
        return InOrder(self, [], operations, HALVES).lines

    def whole(self, load: Load) -> str:
        if load.weights:
            return super().whole(load)
        pointer, _ = self.chunk.word(0, load.index)
        moves = [*self._moves(pointer), None]
        place = load.step % self.chunk.steps
        if self.chunk.shared:
            place = place * self.chunk.pixels + load.index
        return self._load_x(load.register, self.pointer(pointer), moves[place])

    def _load_x(self, register: int, name: str, move: int | None) -> str:
        if move is None:
            by = TO_NEXT
        else:
            is_next = move == self.chunk.stride
            by = f"#{move}" if is_next else SKIPS[self._skips.index(move)]
        return f"ld1r {{v{register}.8h}}, [{name}], {by}"

    def weights_at(self, load: Load, half: int = 0) -> str:
        following, step = divmod(load.step, self.chunk.steps)
        offset = self.offset_of_weights(step, load.index, half)
        return f"[{NEXT_WEIGHTS if following else WEIGHTS}, #{offset}]"


def _spread(scalars: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Scalar instructions beside vector ones, the first lines that nothing else pairs with."""
    found, left = [], list(scalars)
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        found.append(line)
        alone = [text.split(" ")[0] in ("eor", "cnt", "uadalp") for text in (line, after)]
        if left and all(alone):
            found.append(left.pop(0))
    return [*found, *left]
