"""Codes of two bits of a tile of 32 channels, as AArch64 assembly for the in-order core.

The same as ``WideGlue`` writes in LLVM IR, which takes twice the cycles, as LLVM spills sums. Each
vector of sums meets its three bounds; the signs are in bytes of two pixels' differences. The upper
bit is that of T < bound 1; the lower one that of T < bound 2 where the upper one is set, else of
T < bound 0, which `bit` chooses.
"""

from __future__ import annotations

from itertools import cycle

from tvm_ops.operators._bitserial_chunk import VECTORS
from tvm_ops.operators._in_order import Instruction, in_order
from tvm_ops.operators._llvm_function import Function

LEVELS, REGISTERS = 3, 32
SCRATCH = tuple(f"x{i}" for i in range(8, 16))
_SUMS = "<8 x i16>"
_MODIFIES = ("subhn2", "sri", "bit")
_LATENCY = {"sri": 4}  # cycles; 3 of all others


class Codes:
    """``lines`` for sums in v(4 pixel + vector), and the ``cycles`` that they take.

    ``y_step`` and ``plane_step`` as a ``Glue``'s. Operands: sums, then pointers of bounds, flips,
    and the first pixel's y.
    """

    def __init__(self, pixels: int, y_step: int, plane_step: int) -> None:
        self.pixels, self.y_step, self.plane_step = pixels, y_step, plane_step
        self._code: list[Instruction] = []
        used = VECTORS * pixels
        self._bounds, self._flips, self._y = (f"${used + i}" for i in range(3))
        self._free = list(range(used, REGISTERS))
        self._scratch = cycle(SCRATCH)
        planes = self._planes()
        flips = self._free.pop()
        text = f"ld1r {{v{flips}.4s}}, [{self._flips}]"
        self._code.append(Instruction(text, (), (f"v{flips}",), 4, 1, memory=True))
        for group in self._groups():
            self._store(group, [planes[plane][pair] for plane, pair in group], flips)
        self.lines, self.cycles = in_order(self._code)

    def call(self, f: Function, sums: list[str], pointers: list[str]) -> None:
        """Stores the codes of these sums."""
        count = len(sums)
        taken = [f"~{{v{i}}}" for i in range(count, REGISTERS)]
        taken += [f"~{{{register}}}" for register in (*SCRATCH, "memory")]
        outs = [f"=&{{v{i}}}" for i in range(count)]
        ins = ["r"] * len(pointers) + [str(i) for i in range(count)]
        operands = [("ptr", p) for p in pointers] + [(_SUMS, value) for value in sums]
        f.assembly(self.lines, ",".join([*outs, *ins, *taken]), _SUMS, count, operands)

    @property
    def _pairs(self) -> list[range]:
        """Pixels whose bytes share a vector."""
        return [range(p, min(p + 2, self.pixels)) for p in range(0, self.pixels, 2)]

    def _planes(self) -> list[list[int]]:
        """For both planes the registers of the pairs' bits, the upper four of each byte."""
        bounds = [self._free.pop(0) for _ in range(2 * LEVELS)]
        self._load_bounds(0, bounds)
        found = [self._signs(0, pair, bounds) for pair in self._pairs]
        for v in range(1, VECTORS):
            self._load_bounds(v, bounds)
            for pair, registers in zip(self._pairs, found, strict=True):
                signs = self._signs(v, pair, bounds)
                for to, sign in zip(registers, signs, strict=True):
                    self._add("sri", to, f"v{to}.16b, v{sign}.16b, #{v}", sign)
                self._free += signs
        for lower, upper, above in found:
            self._add("bit", lower, f"v{lower}.16b, v{above}.16b, v{upper}.16b", above, upper)
        self._free += bounds + [above for _, _, above in found]
        return [[lower for lower, _, _ in found], [upper for _, upper, _ in found]]

    def _load_bounds(self, v: int, registers: list[int]) -> None:
        """In halves of the datapath, one of them through an integer register."""
        for level in range(LEVELS):
            to, at = registers[v % 2 * LEVELS + level], 16 * (VECTORS * level + v)
            half, name = next(self._scratch), f"v{to}"
            low, high = (f"[{self._bounds}, #{at + start}]" for start in (0, 8))
            self._code += [
                Instruction(f"ldr d{to}, {low}", (), (name,), 4, 1, memory=True),
                Instruction(f"ldr {half}, {high}", (), (half,), 3, 0, memory=True),
                Instruction(f"ins {name}.d[1], {half}", (half, name), (name,), 3, 1),
            ]

    def _signs(self, v: int, pair: range, bounds: list[int]) -> list[int]:
        """Registers with the upper bytes of T - bound of a pair, for each level."""
        sums = [VECTORS * p + v for p in pair]
        found = [self._free.pop(0), self._free.pop(0), sums[0]]
        for name, lanes, value in zip(("subhn", "subhn2"), ("8b", "16b"), sums, strict=False):
            for level, to in enumerate(found):
                bound = bounds[v % 2 * LEVELS + level]
                self._add(name, to, f"v{to}.{lanes}, v{value}.8h, v{bound}.8h", value, bound)
        self._free += sums[1:]
        return found

    def _groups(self) -> list[list[tuple[int, int]]]:
        """(plane, pair) by two: of one plane, what is left of both together."""
        pairs = range(len(self._pairs))
        both = len(pairs) // 2 * 2
        groups = [[(plane, i), (plane, i + 1)] for plane in (1, 0) for i in pairs[:both:2]]
        return groups + [[(1, i), (0, i)] for i in pairs[both:]]

    def _store(self, group: list[tuple[int, int]], registers: list[int], flips: int) -> None:
        """The words of two pairs: neighbours' bits together."""
        a, b = registers
        even, odd = self._free.pop(0), self._free.pop(0)
        self._add("uzp1", even, f"v{even}.16b, v{a}.16b, v{b}.16b", a, b)
        self._add("uzp2", odd, f"v{odd}.16b, v{a}.16b, v{b}.16b", a, b)
        self._add("sri", even, f"v{even}.16b, v{odd}.16b, #4", odd)
        self._add("eor", even, f"v{even}.16b, v{even}.16b, v{flips}.16b", even, flips)
        for i, (plane, pair) in enumerate(group):
            for j, pixel in enumerate(self._pairs[pair]):
                place = self._address(pixel * self.y_step + plane * self.plane_step)
                text = f"st1 {{v{even}.s}}[{2 * i + j}], [{place}]"
                self._code.append(Instruction(text, (place, f"v{even}"), (), 1, 0, memory=True))

    def _address(self, at: int) -> str:
        """A register with y plus so many bytes, below 2^24."""
        base = self._y
        for part, shift in ((at & 0xFFF, ""), (at >> 12, ", lsl #12")):
            if part:
                to = next(self._scratch) if base == self._y else base
                reads = () if base == self._y else (base,)
                text = f"add {to}, {base}, #{part}{shift}"
                self._code.append(Instruction(text, reads, (to,), 1, 0))
                base = to
        return base

    def _add(self, name: str, to: int, operands: str, *reads: int) -> None:
        """An instruction of 128 bits."""
        read = [*reads, to] if name in _MODIFIES else list(reads)
        registers = tuple(f"v{r}" for r in read)
        self._code.append(
            Instruction(f"{name} {operands}", registers, (f"v{to}",), _LATENCY.get(name, 3))
        )
