"""The end of a few-bit tile of 32 output channels in LLVM IR: sums T to packed bits or sums y.

A pixel has four vectors of 8 sums. Bits are the top ones of bytes, each of two pixels; shifts with
insertion (`sri`) put those of the four vectors one below the other, then those of neighbours. 32
bits of each of four pixels take 25 instructions, the 16 comparisons among them. So a tile's
channels lie ``MIXED`` in its sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tvm_ops.operators._bitserial_glue import LANES, Glue
from tvm_ops.operators._bitserial_wide import CHANNELS
from tvm_ops.operators._bitserial_wide_codes import Codes
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import plane_masks

VECTORS = CHANNELS // LANES
WORD = CHANNELS // 8  # bytes of a pixel's bits
MIXED = tuple(8 * (lane // 2) + 7 - 4 * (lane % 2) - v for v in range(4) for lane in range(LANES))

_T = TypeVar("_T")
_SUMS, _BYTES = "<8 x i16>", "<16 x i8>"
_EVEN, _ODD = range(0, 32, 2), range(1, 32, 2)
_EIGHTS = "<" + ", ".join(["i16 8"] * LANES) + ">"


@dataclass(frozen=True)
class WideGlue(Glue):
    """A ``Glue`` for 32 channels and T of 16 bits; only ``lanes`` of them are in y.

    ``signed``: T and all bounds are below 2^15, so that their difference has a sign. ``given``:
    registers in which the first level's bounds come, behind the sums, with ``is_assembly``.
    """

    signed: bool = False
    given: tuple[int, ...] = ()

    def finish(self, f: Function, sums: Sequence[str], classes: Sequence[str]) -> None:
        """As ``Glue.finish``; each pixel has four vectors of sums."""
        count = VECTORS * len(classes)
        sums, given = sums[:count], sums[count:]
        first = f.pointer("%y", "%byte")
        if self.corrected:
            found = [v for place in classes for v in self._vectors(f, "%corrections", place)]
            pairs = zip(sums, found, strict=True)
            sums = [f.value(f"sub {_SUMS} {a}, {b}") for a, b in pairs]
        pixels = [list(sums[p : p + VECTORS]) for p in range(0, len(sums), VECTORS)]
        if self.is_assembly:
            codes = Codes(len(pixels), self.y_step, self.plane_step, self.given)
            codes.call(f, [*sums, *given], ["%bounds", "%flips", first])
        elif self.out_bits:
            self._finish_bits(f, pixels, first)
        else:
            self._finish_sums(f, pixels, first)

    @property
    def is_assembly(self) -> bool:
        """Whether ``Codes`` finish."""
        return self.signed and (self.out_bits, self.lanes, self.zeros) == (2, CHANNELS, 0)

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
        levels = range(2**self.out_bits - 1)
        bounds = [self._vectors(f, "%bounds", level * size) for level in levels]
        is_signs = self.signed and self.out_bits == 1
        find = self._signs if is_signs else self._masks
        found = find(f, pixels, bounds)
        flips = f.splat("i32", 4, f.load("i32", "%flips"))
        flips = f.value(f"bitcast <4 x i32> {flips} to {_BYTES}")
        words = [f.value(f"xor {_BYTES} {value}, {flips}") for value in self._join(f, found)]
        for i in range(self.out_bits * len(pixels)):
            plane, pixel = divmod(i, len(pixels))
            at = pixel * self.y_step + plane * self.plane_step
            self._store_word(f, words[i // 4], i % 4, first, at)

    def _masks(
        self, f: Function, pixels: list[list[str]], bounds: list[list[str]]
    ) -> list[list[str]]:
        """Four vectors for each two of (plane, pixel), whose bytes' bits 7 are the plane's."""

        def planes(value: str, v: int) -> list[str]:
            masks = []
            for bound in bounds:
                below = f.value(f"icmp ult {_SUMS} {value}, {bound[v]}")
                masks.append(f.value(f"sext <8 x i1> {below} to {_SUMS}"))
            found = plane_masks(f, masks, _SUMS)
            return [f.value(f"bitcast {_SUMS} {mask} to {_BYTES}") for mask in found]

        by_pixel = [[planes(value, v) for v, value in enumerate(vectors)] for vectors in pixels]
        units = [
            [of_vector[plane] for of_vector in vectors]
            for plane in range(self.out_bits)
            for vectors in by_pixel
        ]
        return [
            [self._pick(f, *pair, _EVEN) for pair in zip(a, b, strict=True)]
            for a, b in _twos(units)
        ]

    def _signs(
        self, f: Function, pixels: list[list[str]], bounds: list[list[str]]
    ) -> list[list[str]]:
        """The same for one plane: upper bytes of T - bound, which `subhn` makes."""

        def upper(value: str, bound: str) -> str:
            value = f.value(f"sub {_SUMS} {value}, {bound}")
            value = f.value(f"lshr {_SUMS} {value}, {_EIGHTS}")
            return f.value(f"trunc {_SUMS} {value} to <8 x i8>")

        units = [[upper(*pair) for pair in zip(p, bounds[0], strict=True)] for p in pixels]
        return [
            [f.join(list(pair), "i8", LANES) for pair in zip(a, b, strict=True)]
            for a, b in _twos(units)
        ]

    def _join(self, f: Function, found: list[list[str]]) -> list[str]:
        """Vectors of four words each, of such vectors of two words each."""
        joined = []
        for top, *others in found:
            for shift, vector in enumerate(others, 1):
                top = self._insert(f, top, vector, shift)
            joined.append(top)
        return [
            self._insert(f, self._pick(f, a, b, _EVEN), self._pick(f, a, b, _ODD), 4)
            for a, b in _twos(joined)
        ]

    def _pick(self, f: Function, a: str, b: str, lanes: range) -> str:
        return f.shuffle(f.join([a, b], "i8", 16), "i8", 32, lanes)

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


def _twos(items: list[_T]) -> list[tuple[_T, _T]]:
    """By two; the last one twice if it has no other."""
    return list(zip(items[::2], [*items[1::2], items[-1]], strict=False))
