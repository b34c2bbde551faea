"""Codes of two bits of a tile of 32 channels, as AArch64 assembly for the in-order core.

The same as ``WideGlue`` writes in LLVM IR, which takes twice the cycles, as LLVM spills sums. Each
vector of sums meets its three bounds; the signs are in bytes of two pixels' differences. The upper
bit is that of T < bound 1; the lower one that of T < bound 2 where the upper one is set, else of
T < bound 0, which `bit` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from tvm_ops.operators._bitserial_chunk import VECTORS
from tvm_ops.operators._in_order import Instruction, in_order
from tvm_ops.operators._llvm_function import Function

LEVELS, REGISTERS = 3, 32
SCRATCH = tuple(f"x{i}" for i in range(8, 16))
_SUMS = "<8 x i16>"
_MODIFIES = ("subhn2", "sri", "bit")
_LATENCY = {"sri": 4}  # cycles; 3 of all others

Place = tuple[int, int]  # of a word: plane, pixel


class Codes:
    """``lines`` for sums in v(4 pixel + vector), and the ``cycles`` that they take.

    ``y_step`` and ``plane_step`` as a ``Glue``'s. Operands: sums, then pointers of bounds, flips,
    and the first pixel's y. ``given``: registers that have the first level's bounds; in operands
    they come after the sums.
    """

    def __init__(
        self, pixels: int, y_step: int, plane_step: int, given: Sequence[int] = ()
    ) -> None:
        self.pixels, self.y_step, self.plane_step = pixels, y_step, plane_step
        self._given = list(given)
        self._code: list[Instruction] = []
        used = VECTORS * pixels
        self._bounds, self._flips_at, self._y = (f"${used + len(given) + i}" for i in range(3))
        self._free = [i for i in range(used, REGISTERS) if i not in given]
        self._scratch = cycle(SCRATCH)
        self._flips = 0
        self._all()
        self.lines, self.cycles = in_order(self._code)

    def call(self, f: Function, sums: list[str], pointers: list[str]) -> None:
        """Stores the codes of these sums, behind which are the given bounds."""
        registers = [*range(VECTORS * self.pixels), *self._given]
        count = len(registers)
        taken = [f"~{{v{i}}}" for i in range(REGISTERS) if i not in registers]
        taken += [f"~{{{register}}}" for register in (*SCRATCH, "memory")]
        outs = [f"=&{{v{i}}}" for i in registers]
        ins = ["r"] * len(pointers) + [str(i) for i in range(count)]
        operands = [("ptr", p) for p in pointers] + [(_SUMS, value) for value in sums]
        f.assembly(self.lines, ",".join([*outs, *ins, *taken]), _SUMS, count, operands)

    def _all(self) -> None:
        """Signs of all vectors, one below the other in a byte's upper half, then words.

        What is done is stored while other signs are not: a cycle stores one word. So a pixel
        without a neighbour comes last.
        """
        pairs = [range(p, p + 2) for p in range(0, self.pixels - 1, 2)]
        single = [self.pixels - 1] if self.pixels % 2 else []
        loaded = [level for level in range(LEVELS) if level or not self._given]
        turns = [[self._free.pop(0) for _ in loaded] for _ in range(2)]
        self._all_bounds = [dict(zip(loaded, turns[v % 2], strict=True)) for v in range(VECTORS)]
        for v, register in enumerate(self._given):
            self._all_bounds[v][0] = register
        bits = {p.start: [0] * LEVELS for p in pairs}
        alone: list[int] = []
        for v in range(VECTORS):
            self._load_bounds(v, loaded)
            if v + 1 == VECTORS:
                break
            for pixel in single:
                alone = self._add_single(v, pixel, alone)
            for pair in pairs:
                self._add_pair(v, pair, range(LEVELS), bits[pair.start])
            self._free += self._given[v : v + 1]
        for levels in ((1,), (0, 2)):  # the last vector's upper bits first
            for pair in pairs:
                self._add_pair(v, pair, levels, bits[pair.start])
            self._store_pairs(levels, pairs, bits)
        for pixel in single:
            alone = self._add_single(v, pixel, alone)
            self._store_single(pixel, alone)

    def _add_pair(self, v: int, pair: range, levels: Sequence[int], bits: list[int]) -> None:
        """Signs of two pixels below those of the vectors before; ``bits`` are their registers."""
        sums = [VECTORS * p + v for p in pair]
        for level in levels:
            # The last one takes the place of the sums.
            to = sums[0] if level == LEVELS - 1 else self._free.pop(0)
            for name, lanes, value in zip(("subhn", "subhn2"), ("8b", "16b"), sums, strict=True):
                self._subtract(name, to, lanes, value, v, level)
            bits[level] = self._below(v, bits[level], to)
        if LEVELS - 1 in levels:
            self._free.append(sums[1])

    def _add_single(self, v: int, pixel: int, bits: list[int]) -> list[int]:
        """The same for one pixel: levels 0 and 1 are halves of a register, level 2 of another."""
        value = VECTORS * pixel + v
        both = self._free.pop(0)
        self._subtract("subhn", both, "8b", value, v, 0)
        self._subtract("subhn2", both, "16b", value, v, 1)
        self._subtract("subhn", value, "8b", value, v, 2)
        found = [both, value]
        return [self._below(v, a, b) for a, b in zip(bits or found, found, strict=True)]

    def _subtract(self, name: str, to: int, lanes: str, value: int, v: int, level: int) -> None:
        bound = self._all_bounds[v][level]
        self._add(name, to, f"v{to}.{lanes}, v{value}.8h, v{bound}.8h", value, bound)

    def _below(self, v: int, bits: int, signs: int) -> int:
        """The register of both."""
        if v == 0:
            return signs
        self._add("sri", bits, f"v{bits}.16b, v{signs}.16b, #{v}", signs)
        self._free.append(signs)
        return bits

    def _load_bounds(self, v: int, levels: Sequence[int]) -> None:
        """In halves of the datapath through integer registers, of which two share a cycle.

        The first ones, that all wait for, at once: 2 cycles, but there 3 earlier.
        """
        for level in levels:
            to, at = self._all_bounds[v][level], 16 * (VECTORS * level + v)
            name = f"v{to}"
            low, high = (f"[{self._bounds}, #{at + start}]" for start in (0, 8))
            if v == 0 and not self._given:
                text = f"ldr q{to}, {low}"
                self._code.append(Instruction(text, (), (name,), 5, 1, memory=True, cycles=2))
                continue
            a, b = next(self._scratch), next(self._scratch)
            self._code += [
                Instruction(f"ldr {a}, {low}", (), (a,), 3, 0, memory=True),
                Instruction(f"ldr {b}, {high}", (), (b,), 3, 0, memory=True),
                Instruction(f"fmov d{to}, {a}", (a,), (name,), 3, 1),
                Instruction(f"ins {name}.d[1], {b}", (b, name), (name,), 3, 1),
            ]

    def _store_pairs(
        self, levels: Sequence[int], pairs: list[range], bits: dict[int, list[int]]
    ) -> None:
        """After level 1 the upper bits, where two pairs have them; then all others."""
        if levels == (1,):
            planes = [1] if len(pairs) == 2 else []
        else:
            planes = [0] if len(pairs) == 2 else [1, 0]
            for lower, upper, above in bits.values():
                self._add("bit", lower, f"v{lower}.16b, v{above}.16b, v{upper}.16b", above, upper)
        words = [(plane, p) for plane in planes for p in pairs]
        if words:
            registers = [bits[pair.start][plane] for plane, pair in words]
            self._store([(plane, pixel) for plane, pair in words for pixel in pair], registers)

    def _store_single(self, pixel: int, bits: list[int]) -> None:
        both, above = bits
        upper = self._free.pop(0)
        self._add("ext", upper, f"v{upper}.16b, v{both}.16b, v{both}.16b, #8", both)
        self._add("bit", both, f"v{both}.16b, v{above}.16b, v{upper}.16b", above, upper)
        self._store([(1, pixel), (1, -1), (0, pixel)], [upper, both])

    def _store(self, words: list[Place], registers: list[int]) -> None:
        """Words of two registers, in which neighbours' bits are joined; no pixel is below 0."""
        a, b = registers
        if not self._flips:
            self._flips = self._free.pop(0)
            text, name = f"ld1r {{v{self._flips}.4s}}, [{self._flips_at}]", f"v{self._flips}"
            self._code.append(Instruction(text, (), (name,), 4, 1, memory=True))
        even, odd = self._free.pop(0), self._free.pop(0)
        self._add("uzp1", even, f"v{even}.16b, v{a}.16b, v{b}.16b", a, b)
        self._add("uzp2", odd, f"v{odd}.16b, v{a}.16b, v{b}.16b", a, b)
        self._add("sri", even, f"v{even}.16b, v{odd}.16b, #4", odd)
        self._add("eor", even, f"v{even}.16b, v{even}.16b, v{self._flips}.16b", even, self._flips)
        for lane, (plane, pixel) in enumerate(words):
            if pixel >= 0:
                place = self._address(pixel * self.y_step + plane * self.plane_step)
                text = f"st1 {{v{even}.s}}[{lane}], [{place}]"
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
