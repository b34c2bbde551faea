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
    ``zeros``: bytes after them that are set to zero in each plane. ``biased``: T and its bounds
    lack the same number, so that they may be below zero.
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
    biased: bool = False

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
        element, size = f"i{self.y_bits}", self.y_bits // 8
        kind = f"<{LANES} x {element}>"
        offsets = f.load(kind, "%offsets")
        for p, value in enumerate(sums):
            if self.y_bits != self.sum_bits:
                extend = "sext" if self.biased else "zext"
                cast = extend if self.y_bits > self.sum_bits else "trunc"
                value = f.value(f"{cast} {self._kind} {value} to {kind}")
            if self.factor == 2:
                value = f.value(f"add {kind} {value}, {value}")
            value = f.value(f"sub {kind} {offsets}, {value}")
            f.store_first(value, element, size, LANES, self.lanes, first, p * self.y_step)

    def _store_bits(self, f: Function, sums: Sequence[str], first: str) -> None:
        """A byte of each pixel and plane; two pixels make a mask."""
        size = self.sum_bits // 8 * LANES
        levels = range(2**self.out_bits - 1)
        bounds = [f.load(self._kind, "%bounds", level * size) for level in levels]
        pairs = -(-len(sums) // 2)
        whole = 1 << (pairs - 1).bit_length()  # as many as ``mask_bytes`` takes
        padded = [*sums, *[sums[-1]] * (2 * whole - len(sums))]
        masks = [
            self._planes(f, pair, bounds) for pair in zip(padded[::2], padded[1::2], strict=True)
        ]
        # Of two planes together: they share the rounds of additions.
        for start in range(0, self.out_bits, 2):
            planes = range(start, min(start + 2, self.out_bits))
            bits = mask_bytes(f, [mask[plane] for plane in planes for mask in masks], self.isa)
            count = 2 * whole * len(planes)
            flips = f.splat("i8", count, f.load("i8", "%flips"))
            bits = f.value(f"xor <{count} x i8> {bits}, {flips}")
            for i, plane in enumerate(planes):
                for p in range(len(sums)):
                    byte = f.value(f"extractelement <{count} x i8> {bits}, i32 {2 * whole * i + p}")
                    self._store_byte(f, byte, first, p * self.y_step + plane * self.plane_step)

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
        order = "slt" if self.biased else "ult"
        bits: list[list[str]] = []  # of each plane, the most significant first, of each pixel
        for plane in reversed(range(self.out_bits)):
            middle = bounds[2**plane - 1 :: 2 ** (plane + 1)]
            chosen = [
                self._select(f, [pixel_bits[p] for pixel_bits in bits], middle)
                for p in range(len(sums))
            ]
            pairs = zip(sums, chosen, strict=True)
            bits.append([f.value(f"icmp {order} {self._kind} {a}, {b}") for a, b in pairs])
        joined = [f.join(of_pixels, "i1", LANES) for of_pixels in reversed(bits)]
        return [f.value(f"sext <16 x i1> {value} to {MASK}") for value in joined]

    def _select(self, f: Function, bits: Sequence[str], bounds: list[str]) -> str:
        """Of 2^n falling bounds the one at a code of n bits, the most significant first."""
        for bit in reversed(bits):
            bounds = [
                f.value(f"select <{LANES} x i1> {bit}, {self._kind} {above}, {self._kind} {below}")
                for below, above in zip(bounds[::2], bounds[1::2], strict=True)
            ]
        return bounds[0]
