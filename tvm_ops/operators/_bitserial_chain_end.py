"""The end of a chain of a few-bit tile: its counts, added to what the pixels' sums are so far.

T less what chains lack is a sum, over planes of 2^i and chains of each, of 2^(i + 1) carries and
2^i rests, the counts of what is left modulo 2, or less these. `sdot` adds four bytes to 32 bits,
each times a number. So neither a plane's sum nor its doubling takes an instruction, and sums begin
with what T is compared with, which takes none either.

Two neighbouring bytes are added before where they stay a byte, and a channel has one sum of 32
bits; else it has two, neighbours. Between two chains, which need all registers, sums are in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

from tvm_ops.operators._bitserial_carries import Carries, Chain
from tvm_ops.operators._llvm_function import Function

SIZE = 16  # of a vector of sums; of a plane's scales

Form = Literal["low", "high", "all"]


@dataclass(frozen=True)
class ChainCall:
    """A chain and its end as AArch64 inline assembly; its operands are pointers.

    ``x``, ``weights``, ``scales`` (4 bytes by which carries are multiplied, 4 by which rests are),
    ``before``: the sums so far, of each pixel, or, ``is_first``, what those of all begin with;
    ``after``: where they go. With ``form`` they are results instead: of each pixel a vector of 8
    "low" or "high" halves, or "all" 32 bits in two.
    """

    chain: Chain
    is_first: bool
    form: Form | None

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of pointers; in ``lines``, after a ``$``."""
        return "x", "weights", "scales", "before", *(() if self.form else ("after",))

    def write(self) -> tuple[list[str], list[int]]:
        """Lines, and the registers of the results."""
        chain = Carries(self.chain)
        carries, rests = chain.outputs
        scales, *free = (i for i in range(32) if i not in (*carries, *rests))
        lines = [*chain.lines, *(f"cnt v{i}.16b, v{i}.16b" for i in rests)]
        if self.chain.is_merged:
            lines += _pairs("addp", "16b", [*carries, *rests])
            carries, rests = carries[::2], rests[::2]
        lines.append(f"ldr q{scales}, [$scales]")
        sums = free[: len(carries)]
        for i, (total, *counts) in enumerate(zip(sums, carries, rests, strict=True)):
            at = SIZE * (i % self.chain.vectors if self.is_first else i)
            lines.append(f"ldr q{total}, [$before, #{at}]")
            lines += [
                f"sdot v{total}.4s, v{register}.16b, v{scales}.4b[{lane}]"
                for lane, register in enumerate(counts)
            ]
        after, results = self._results(sums)
        return [*lines, *after], results

    def _results(self, sums: list[int]) -> tuple[list[str], list[int]]:
        """What becomes of sums, and the registers of the results."""
        if not self.form:
            return [f"str q{total}, [$after, #{SIZE * i}]" for i, total in enumerate(sums)], []
        lines: list[str] = []
        if not self.chain.is_merged:
            lines += _pairs("addp", "4s", sums)
            sums = sums[::2]
        if self.form != "all":
            lines += _pairs("uzp1" if self.form == "low" else "uzp2", "8h", sums)
            sums = sums[::2]
        return lines, sums

    def call(self, f: Function, pointers: dict[str, str]) -> list[str]:
        """Results, <16 x i8>, of a call with ``operands``."""
        lines, results = self.write()
        clobbers = [f"~{{v{i}}}" for i in range(32) if i not in results]
        constraints = [
            *(f"=&{{v{i}}}" for i in results), *["r"] * len(self.operands), *clobbers, "~{memory}",
        ]  # fmt: skip
        names = {f"${name}": f"${len(results) + i}" for i, name in enumerate(self.operands)}
        text = [reduce(lambda t, n: t.replace(n, names[n]), names, line) for line in lines]
        operands = [("ptr", pointers[name]) for name in self.operands]
        return f.assembly(text, ",".join(constraints), "<16 x i8>", len(results), operands)


def _pairs(name: str, lanes: str, registers: list[int]) -> list[str]:
    """Instructions on neighbouring registers, whose results are in the first ones."""
    pairs = zip(registers[::2], registers[1::2], strict=True)
    return [f"{name} v{a}.{lanes}, v{a}.{lanes}, v{b}.{lanes}" for a, b in pairs]
