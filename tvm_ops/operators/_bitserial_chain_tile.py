"""A few-bit tile of chains (``_bitserial_carries``): P pixels x 8 output channels, as LLVM IR."""

from __future__ import annotations

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

    Carries of a plane weigh as much as the last sums modulo 2, the rests, of the plane above:
    T = 2 (sum of 2^i carries_i + sum of 2^(i - 1) rests_i, i > 0) + rests_0. What weighs 2^(i + 1)
    is doubled before that of 2^i is added. Neighbours of all carries are added once, at the end.
    Rests are added before the next plane's carries where these are one vector a pixel, too: so the
    end, which all wait for, is one addition shorter.
    """

    chain: Chain

    @property
    def pixels(self) -> int:
        return self.chain.pixels

    def sums(self, f: Function, pointers: list[str], run: int) -> list[str]:
        """Less ``bias`` for each part."""
        x = f.pointer(pointers[0], run * self.chain.size)
        sign = "sub" if self.chain.is_rest_negated else "add"
        carries: list[str] = []
        above: list[str] = []  # rests that are not in carries yet
        for shift, parts in groupby(self.parts, lambda part: part.shift):
            carries = _add(f, carries, carries)
            if above and self.chain.vectors == 1:
                carries, above = _add(f, carries, above, sign), []
            carries, rests = self._plane(f, x, list(parts), carries)
            if shift:
                above = _add(f, _add(f, above, above), rests)
        for _ in range(self.chain.vectors.bit_length() - 1):
            carries = [_add_pairs(f, *two) for two in zip(carries[::2], carries[1::2], strict=True)]
        total = _add(f, carries, above, sign) if above else carries
        return _add(f, _add(f, total, total), rests, sign)

    def _plane(
        self, f: Function, x: str, parts: list[Part], carries: list[str]
    ) -> tuple[list[str], list[str]]:
        """Sums of ``carries``, none at first, and a plane's; its rests, a vector a pixel."""
        if len(parts) <= _MAX_UNROLLED:
            rests: list[str] = []
            for part in parts:
                found = self._part(f, x, part.x, part.weights)
                carries, rests = _add(f, carries, found[0]), _add(f, rests, found[1])
            return carries, rests
        count = self.pixels * self.chain.vectors

        def add(entry: str, before: list[str]) -> list[str]:
            at, weights = (f.load("i32", entry, 4 * i) for i in range(2))
            carries, rests = self._part(f, x, at, weights)
            return _add(f, before, [*carries, *rests])

        first = f.pointer(f"@{self.table_name}", 8 * self.parts.index(parts[0]))
        zeros = ["zeroinitializer"] * (count + self.pixels)
        before = [*carries, *zeros[len(carries) :]]
        sums = f.loop(len(parts), {first: 8}, before, _SUMS, add)
        return sums[:count], sums[count:]

    def _part(
        self, f: Function, x: str, at: int | str, weights: int | str
    ) -> tuple[list[str], list[str]]:
        """Carries and rests of a chain, of 16 bits."""
        found = Carries(self.chain).call(f, f.pointer(x, at), f.pointer("%weights", weights))
        carries = [_widen(f, "saddlp", value) for value in found[0]]
        return carries, [_widen(f, "uaddlp", value) for value in found[1]]


def _add(f: Function, a: list[str], b: list[str], name: str = "add") -> list[str]:
    """Of a, which may be none, and b."""
    return [f.value(f"{name} {_SUMS} {i}, {j}") for i, j in zip(a, b, strict=True)] if a else b


def _widen(f: Function, name: str, value: str) -> str:
    """Neighbouring bytes added to 16 bits."""
    return f.call(_SUMS, f"llvm.aarch64.neon.{name}.v8i16.v16i8", (_BYTES, value))


def _add_pairs(f: Function, a: str, b: str) -> str:
    """Neighbours of a, then of b."""
    return f.call(_SUMS, "llvm.aarch64.neon.addp.v8i16", (_SUMS, a), (_SUMS, b))
