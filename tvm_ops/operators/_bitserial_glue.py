"""The end of a few-bit tile in LLVM IR: from sums T of 8 channels to packed bits or sums y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import MASK, mask_bytes

LANES = 8


@dataclass(frozen=True)
class Glue:
    """``out_bits`` planes of bits, or (0) sums y of ``y_bits``; what they are made of.

    Bits: the code is how many of 2^out_bits - 1 falling ``bounds`` [level, 8] have T < bound, its
    planes xor'ed with ``flips``. Sums: y = ``offsets`` [8] - ``factor`` T. ``corrected``:
    T is less by what ``corrections`` has at the pixel's class. ``y_step``: bytes of y from a pixel
    to the next; ``plane_step``: from a plane to the next. ``lanes``: of 8 channels, how many y has;
    ``zeros``: bytes after them that are set to zero in each plane. ``reloads``: bounds that a
    selection writes over are loaded again.
    """

    isa: str
    out_bits: int
    sum_bits: int
    y_step: int
    plane_step: int = 0
    y_bits: int = 0
    factor: int = 1
    corrected: bool = False
    lanes: int = LANES
    zeros: int = 0
    reloads: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the pointers."""
        own = ("bounds", "flips") if self.out_bits else ("offsets",)
        return (*own, *(("corrections",) if self.corrected else ()))

    @property
    def _kind(self) -> str:
        return f"<{LANES} x i{self.sum_bits}>"

    def finish(self, f: Function, sums: Sequence[str], classes: Sequence[str]) -> None:
        """Stores what becomes of the pixels' sums; ``classes`` are places of corrections."""
        first = f.pointer("%y", "%byte")
        if self.corrected:
            found = [f.load(self._kind, "%corrections", place) for place in classes]
            pairs = zip(sums, found, strict=True)
            sums = [f.value(f"sub {self._kind} {a}, {b}") for a, b in pairs]
        if self.out_bits:
            self._store_bits(f, sums, first)
        else:
            self._store_sums(f, sums, first)

    def _store_sums(self, f: Function, sums: Sequence[str], first: str) -> None:
        kind = f"<{LANES} x i{self.y_bits}>"
        offsets = f.load(kind, "%offsets")
        for p, value in enumerate(sums):
            if self.y_bits != self.sum_bits:
                cast = "zext" if self.y_bits > self.sum_bits else "trunc"
                value = f.value(f"{cast} {self._kind} {value} to {kind}")
            if self.factor == 2:
                value = f.value(f"add {kind} {value}, {value}")
            value = f.value(f"sub {kind} {offsets}, {value}")
            self._store_y(f, value, first, p)

    def _store_y(self, f: Function, value: str, first: str, pixel: int) -> None:
        at = pixel * self.y_step
        f.store_first(value, f"i{self.y_bits}", self.y_bits // 8, LANES, self.lanes, first, at)

    def _store_bits(self, f: Function, sums: Sequence[str], first: str) -> None:
        """A byte of each pixel and plane."""
        bounds = self._bounds(f)
        padded = [*sums, *[sums[-1]] * (len(sums) % 2)]  # two pixels make a mask
        pairs = list(zip(padded[::2], padded[1::2], strict=True))
        masks = [self._planes(f, pair, bounds) for pair in pairs]
        # Of two planes together: they share the rounds of additions.
        for start in range(0, self.out_bits, 2):
            planes = range(start, min(start + 2, self.out_bits))
            bits = mask_bytes(f, [mask[plane] for plane in planes for mask in masks], self.isa)
            count = 2 * len(masks) * len(planes)
            places = [(plane, p) for plane in planes for p in range(len(padded))]
            for (plane, p), byte in zip(places, self._bytes(f, bits, count), strict=True):
                if p < len(sums):
                    at = p * self.y_step + plane * self.plane_step
                    self._store_byte(f, byte, first, at)

    def _bounds(self, f: Function) -> list[str]:
        """Of each level."""
        size = self.sum_bits // 8 * LANES
        return [f.load(self._kind, "%bounds", n * size) for n in range(2**self.out_bits - 1)]

    def _bytes(self, f: Function, bits: str, count: int) -> list[str]:
        """The bytes of a vector, in order, with the channels that are to be flipped."""
        flips = f.splat("i8", count, f.load("i8", "%flips"))
        bits = f.value(f"xor <{count} x i8> {bits}, {flips}")
        return one_by_one(f, bits, count)

    def _store_byte(self, f: Function, byte: str, first: str, at: int) -> None:
        f.store("i8", byte, first, at)
        for i in range(self.zeros):
            f.store("i8", "0", first, at + 1 + i)

    def _planes(self, f: Function, sums: Sequence[str], bounds: list[str]) -> list[str]:
        """Masks of the bits of two pixels' codes, the least significant first.

        From the most significant one on, as in a binary search: it says between which two bounds
        the next one decides. So two bits are two comparisons and a selection for each pixel, where
        a comparison with each of the three bounds, and two xors for each two pixels, would be more.
        """
        bits: list[list[str]] = []  # of each plane, the most significant first, of each pixel
        for plane in reversed(range(self.out_bits)):
            levels = range(2**plane - 1, len(bounds), 2 ** (plane + 1))
            chosen = [
                self._select(f, [pixel_bits[p] for pixel_bits in bits], bounds, levels)
                for p in range(len(sums))
            ]
            bits.append(self._below(f, sums, chosen))
        return self._joined(f, bits[::-1])

    def _below(
        self, f: Function, sums: Sequence[str], bounds: Sequence[str], order: str = "ult"
    ) -> list[str]:
        """Whether each sum is below its bound."""
        pairs = zip(sums, bounds, strict=True)
        return [f.value(f"icmp {order} {self._kind} {a}, {b}") for a, b in pairs]

    def _joined(self, f: Function, bits: Sequence[list[str]]) -> list[str]:
        """Masks of planes' bits of two pixels."""
        joined = [f.join(of_pixels, "i1", LANES) for of_pixels in bits]
        return [f.value(f"sext <16 x i1> {value} to {MASK}") for value in joined]

    def _select(
        self, f: Function, bits: Sequence[str], bounds: list[str], levels: Sequence[int]
    ) -> str:
        """Of 2^n levels' bounds the one at a code of n bits, the most significant first."""
        found = [bounds[level] for level in levels]
        for n, bit in enumerate(reversed(bits)):
            pairs = zip(levels[::2], found[::2], found[1::2], strict=False)
            if n == 0 and self.reloads and self.sum_bits == 16:
                found = [self._insert(f, bit, above, level) for level, _, above in pairs]
            else:
                kind = self._kind
                found = [
                    f.value(f"select <{LANES} x i1> {bit}, {kind} {above}, {kind} {below}")
                    for _, below, above in pairs
                ]
        return found[0]

    def _insert(self, f: Function, bit: str, above: str, level: int) -> str:
        """The bound of a level, or the other one where the bit is set.

        A selection (`bsl`, `bit`) writes over one of the three that it reads, all of which others
        need: LLVM copies one, on the pipes that all wait for. A load beside them costs nothing,
        but in order, where it takes the A53 two cycles.
        """
        mask = f.value(f"sext <{LANES} x i1> {bit} to {self._kind}")
        at = f.pointer("%bounds", 2 * LANES * level)
        text = "ldr ${0:q}, [$1]\\0Abit $0.16b, $2.16b, $3.16b"
        operands = f"ptr {at}, {self._kind} {above}, {self._kind} {mask}"
        return f.value(f'call {self._kind} asm "{text}", "=&w,r,w,w"({operands})')


def one_by_one(f: Function, bits: str, count: int) -> list[str]:
    """The bytes of a vector."""
    return [f.value(f"extractelement <{count} x i8> {bits}, i32 {i}") for i in range(count)]
