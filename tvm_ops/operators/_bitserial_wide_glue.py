"""The end of a few-bit tile of 32 output channels in LLVM IR: sums T to packed bits or sums y.

A pixel has four vectors of 8 sums. Bits are the top ones of bytes, which shifts with insertion
(`sri`) join: bit 7 of A over bit 7 of B, then neighbours over each other, twice. 32 bits of each of
four pixels take 29 instructions, the 16 comparisons among them. So a tile's channels lie ``MIXED``
in its sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_ops.operators._bitserial_glue import LANES, Glue
from tvm_ops.operators._bitserial_wide import CHANNELS
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import plane_masks

VECTORS = CHANNELS // LANES
WORD = CHANNELS // 8  # bytes of a pixel's bits
_SUMS, _BYTES = "<8 x i16>", "<16 x i8>"


def _mixed() -> tuple[int, ...]:
    """Byte 4 k + i of A (sums 0 to 15) and of B (16 to 31) become bits 7 - 2 i, 6 - 2 i of k."""
    return tuple(8 * (j // 4) + 7 - 2 * (j % 4) - half for half in (0, 1) for j in range(16))


MIXED = _mixed()


@dataclass(frozen=True)
class WideGlue(Glue):
    """A ``Glue`` for 32 channels and T of 16 bits; only ``lanes`` of them are in y.

    ``narrow``: T and all bounds are below 2^15, so that their difference has a sign.
    """

    narrow: bool = False

    def finish(self, f: Function, sums: Sequence[str], classes: Sequence[str]) -> None:
        """As ``Glue.finish``; each pixel has four vectors of sums."""
        first = f.pointer("%y", "%byte")
        if self.corrected:
            found = [v for place in classes for v in self._vectors(f, "%corrections", place)]
            pairs = zip(sums, found, strict=True)
            sums = [f.value(f"sub {_SUMS} {a}, {b}") for a, b in pairs]
        pixels = [list(sums[p : p + VECTORS]) for p in range(0, len(sums), VECTORS)]
        if self.out_bits:
            self._finish_bits(f, pixels, first)
        else:
            self._finish_sums(f, pixels, first)

    def _vectors(self, f: Function, base: str, place: int | str, kind: str = _SUMS) -> list[str]:
        """32 numbers from so many bytes behind a pointer on."""
        at, size = f.pointer(base, place), int(kind.split("i")[1][:-1])
        return [f.load(kind, at, v * size) for v in range(VECTORS)]

    def _finish_sums(self, f: Function, pixels: list[list[str]], first: str) -> None:
        element, size = f"i{self.y_bits}", self.y_bits // 8
        kind = f"<{LANES} x {element}>"
        offsets = self._vectors(f, "%offsets", 0, kind)
        for p, vectors in enumerate(pixels):
            for v, (value, offset) in enumerate(zip(vectors, offsets, strict=True)):
                if self.y_bits != 16:
                    value = f.value(f"zext {_SUMS} {value} to {kind}")
                if self.factor == 2:
                    value = f.value(f"add {kind} {value}, {value}")
                value = f.value(f"sub {kind} {offset}, {value}")
                count = min(LANES, max(0, self.lanes - LANES * v))
                at = p * self.y_step + LANES * v * size
                f.store_first(value, element, size, LANES, count, first, at)

    def _finish_bits(self, f: Function, pixels: list[list[str]], first: str) -> None:
        """Words of 32 bits; one of each plane and pixel."""
        size = 2 * CHANNELS
        bounds = [
            self._vectors(f, "%bounds", level * size) for level in range(2**self.out_bits - 1)
        ]
        by_pixel = [
            [self._planes(f, value, [b[v] for b in bounds]) for v, value in enumerate(vectors)]
            for vectors in pixels
        ]
        units = [
            [vector[plane] for vector in vectors]
            for plane in range(self.out_bits)
            for vectors in by_pixel
        ]
        flips = f.value(f"bitcast <4 x i32> {f.splat('i32', 4, f.load('i32', '%flips'))} to {_BYTES}")
        words = [f.value(f"xor {_BYTES} {value}, {flips}") for value in self._join(f, units)]
        for i in range(len(units)):
            plane, pixel = divmod(i, len(pixels))
            at = pixel * self.y_step + plane * self.plane_step
            self._store_word(f, words[i // 4], i % 4, first, at)

    def _planes(self, f: Function, value: str, bounds: list[str]) -> list[str]:
        """Masks of the bits of a vector's codes."""
        masks = []
        for bound in bounds:
            below = f.value(f"icmp ult {_SUMS} {value}, {bound}")
            masks.append(f.value(f"sext <8 x i1> {below} to {_SUMS}"))
        return plane_masks(f, masks, _SUMS)

    def _join(self, f: Function, units: list[list[str]]) -> list[str]:
        """Vectors of four words each, of units of 4 x 8 masks."""
        even, odd = range(0, 32, 2), range(1, 32, 2)

        def pick(a: str, b: str, lanes: range) -> str:
            return f.shuffle(f.join([a, b], "i8", 16), "i8", 32, lanes)

        def narrow(a: str, b: str) -> str:
            a, b = (f.value(f"bitcast {_SUMS} {m} to {_BYTES}") for m in (a, b))
            return pick(a, b, even)

        found = [self._insert(f, narrow(a, b), narrow(c, d), 1) for a, b, c, d in units]
        for shift in (2, 4):
            pairs = zip(found[::2], [*found[1::2], found[-1]], strict=False)
            found = [self._insert(f, pick(a, b, even), pick(a, b, odd), shift) for a, b in pairs]
        return found

    def _insert(self, f: Function, a: str, b: str, shift: int) -> str:
        """The first bits of a byte of a, then those of b."""
        operands = [(_BYTES, a), (_BYTES, b), ("i32", str(shift))]
        return f.call(_BYTES, "llvm.aarch64.neon.vsri.v16i8", *operands)

    def _store_word(self, f: Function, words: str, lane: int, first: str, at: int) -> None:
        """The bytes of a word that y has, then zeros."""
        count = -(-self.lanes // 8)
        if count == WORD:
            value = f.value(f"bitcast {_BYTES} {words} to <4 x i32>")
            word = f.value(f"extractelement <4 x i32> {value}, i32 {lane}")
            f.store("i32", word, first, at)
        else:
            bits = f.lanes(words, "i8", 16, WORD * lane, WORD)
            f.store_bytes(bits, WORD, count, first, at)
        for i in range(self.zeros):
            f.store("i8", "0", first, at + count + i)
