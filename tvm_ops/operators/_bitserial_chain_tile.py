"""A few-bit tile of chains (``_bitserial_carries``): P pixels x 8 output channels, as LLVM IR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tvm_ops.operators._bitserial_carries import Carries, Chain
from tvm_ops.operators._bitserial_tile import AnyTile, Part
from tvm_ops.operators._llvm_function import Function

_BYTES, _SUMS = "<16 x i8>", "<8 x i16>"
_MAX_UNROLLED = 4  # parts of a call without a loop: 4 KB each of 18 pairs


@dataclass(frozen=True)
class ChainTile(AnyTile):
    """Its parts are chains of the same length.

    Before the sums of a weight 2^i are added, those of 2^(i + 1) are doubled. Carries of a plane
    weigh as much as the last sums modulo 2 of the plane above, so that nothing is doubled twice.
    """

    chain: Chain

    @property
    def pixels(self) -> int:
        return self.chain.pixels

    def sums(self, f: Function, pointers: list[str], run: int) -> list[str]:
        """Less ``bias`` for each part."""
        x = f.pointer(pointers[0], run * self.chain.size)
        total: list[str] = []
        for _, group in groupby(self.parts, lambda part: part.shift):
            carries, rests = self._group(f, x, list(group))
            total = self._add(f, total, carries)
            total = self._add(f, total, total)
            total = self._add(f, total, rests, "sub" if self.chain.is_rest_negated else "add")
        if self.chain.rests == 2:
            return [_add_pairs(f, a, b) for a, b in zip(total[::2], total[1::2], strict=True)]
        return total

    def _group(self, f: Function, x: str, parts: list[Part]) -> tuple[list[str], list[str]]:
        """Sums of all carries and of all rests of one weight; ``chain.rests`` vectors a pixel."""
        count = self.pixels * self.chain.rests
        if len(parts) <= _MAX_UNROLLED:
            sums: list[str] = []
            for part in parts:
                sums = self._add(f, sums, self._part(f, x, part.x, part.weights))
        else:

            def add(entry: str, before: list[str]) -> list[str]:
                places = [f.load("i32", entry, 4 * i) for i in range(2)]
                return self._add(f, before, self._part(f, x, *places))

            first = f.pointer(f"@{self.table_name}", 8 * self.parts.index(parts[0]))
            zeros = ["zeroinitializer"] * (2 * count)
            sums = f.loop(len(parts), {first: 8}, zeros, _SUMS, add)
        return sums[:count], sums[count:]

    def _part(self, f: Function, x: str, at: int | str, weights: int | str) -> list[str]:
        """Carries, then rests, of 16 bits."""
        found = Carries(self.chain).call(f, f.pointer(x, at), f.pointer("%weights", weights))
        carries = [_widen(f, "saddlp", value) for value in found[0]]
        if self.chain.vectors > self.chain.rests:
            pairs = zip(carries[::2], carries[1::2], strict=True)
            carries = [_add_pairs(f, a, b) for a, b in pairs]
        rests = [_widen(f, "uaddlp", value) for value in found[1]]
        return [*carries, *rests]

    def _add(self, f: Function, a: Sequence[str], b: Sequence[str], name: str = "add") -> list[str]:
        if not a:
            return list(b)
        return [f.value(f"{name} {_SUMS} {i}, {j}") for i, j in zip(a, b, strict=True)]


def _widen(f: Function, name: str, value: str) -> str:
    """Neighbouring bytes added to 16 bits."""
    return f.call(_SUMS, f"llvm.aarch64.neon.{name}.v8i16.v16i8", (_BYTES, value))


def _add_pairs(f: Function, a: str, b: str) -> str:
    """Neighbours of a, then of b."""
    return f.call(_SUMS, "llvm.aarch64.neon.addp.v8i16", (_SUMS, a), (_SUMS, b))
