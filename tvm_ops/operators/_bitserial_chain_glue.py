"""The end of a few-bit tile of chains in LLVM IR: from sums that began with bounds to bits or y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_ops.operators._bitserial_chain_end import Form
from tvm_ops.operators._bitserial_glue import LANES, Glue, one_by_one
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import MASK

_MOVED = 8  # bytes that leave the vector registers together


@dataclass(frozen=True)
class ChainGlue(Glue):
    """A ``Glue`` whose sums are y, or T less the last bound; all others are less by that one, too.

    Nothing is flipped. ``form``: what sums of 32 bits leave, the "high" half where one bit is the
    sign.
    """

    form: Form = "low"

    @property
    def arguments(self) -> tuple[str, ...]:
        bounds = ("bounds",) if self.out_bits > 1 else ()
        return "starts", *bounds, *(("corrections",) if self.corrected else ())

    def _store_sums(self, f: Function, sums: Sequence[str], first: str) -> None:
        for p, value in enumerate(sums):
            self._store_y(f, value, first, p)

    def _bounds(self, f: Function) -> list[str]:
        size = self.sum_bits // 8 * LANES
        levels = range(2**self.out_bits - 2)
        loaded = [f.load(self._kind, "%bounds", level * size) for level in levels]
        return [*loaded, "zeroinitializer"]

    def _planes(self, f: Function, sums: Sequence[str], bounds: list[str]) -> list[str]:
        """As ``Glue._planes``, but of two planes the lower one is xor'ed with the upper one.

        That says that T is between the first bound and the last, which is one comparison of
        numbers without a sign; no bound is selected.
        """
        if self.form == "high":
            return [self._below_zero(f, sums)]
        if self.out_bits != 2:
            return super()._planes(f, sums, bounds)
        first, second = ([bound] * len(sums) for bound in bounds[:2])
        upper = self._below(f, sums, second)
        return self._joined(f, [super()._below(f, sums, first), upper])

    def _below(
        self, f: Function, sums: Sequence[str], bounds: Sequence[str], order: str = "slt"
    ) -> list[str]:
        return super()._below(f, sums, bounds, order)

    def _below_zero(self, f: Function, sums: Sequence[str]) -> str:
        """Mask of what is below zero, by upper bytes: of two pixels one comparison, not two."""
        found = [f.value(f"bitcast {self._kind} {value} to {MASK}") for value in sums]
        top = f.shuffle(f.join(found, "i8", 16), "i8", 32, range(1, 32, 2))
        below = f.value(f"icmp slt {MASK} {top}, zeroinitializer")
        return f.value(f"sext <16 x i1> {below} to {MASK}")

    def _bytes(self, f: Function, bits: str, count: int) -> list[str]:
        """By words: each byte's own move takes the pipes that all wait for.

        64@56 has 8 of them beside 761 vector instructions for one bit, 16 beside 1521 for two.
        Fewer than a word come as soon one by one, and then next to nothing is done beside: with one
        pixel, one bit, 64@56 takes 4 % longer by words.
        """
        found = (_by_words if count >= _MOVED else one_by_one)(f, bits, count)
        if self.out_bits != 2:
            return found
        lower, upper = found[: count // 2], found[count // 2 :]
        return [f.value(f"xor i8 {a}, {b}") for a, b in zip(lower, upper, strict=True)] + upper


def _by_words(f: Function, bits: str, count: int) -> list[str]:
    whole = -(-count // _MOVED)
    bits = f.shuffle(bits, "i8", count, [i % count for i in range(_MOVED * whole)])
    vector = f.value(f"bitcast <{_MOVED * whole} x i8> {bits} to <{whole} x i64>")
    words = [f.value(f"extractelement <{whole} x i64> {vector}, i32 {i}") for i in range(whole)]
    # No instruction, but without it LLVM takes bytes from the vector again.
    words = [f.value(f'call i64 asm "", "=r,0"(i64 {word})') for word in words]
    shifted = [f.value(f"lshr i64 {words[i // _MOVED]}, {8 * (i % _MOVED)}") for i in range(count)]
    return [f.value(f"trunc i64 {byte} to i8") for byte in shifted]
