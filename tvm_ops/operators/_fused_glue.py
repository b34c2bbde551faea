"""The kernel of ``fused_glue``: chunks of channels of a few pixels, in LLVM IR that TIR loops over.

A chunk's masks are bytes of whole 16 channels; what is left of the channels, with the zeros that
fill the word, is one chunk more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tvm_ops.operators._bits import word_bits, words
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import LANES, MASK, mask_bytes, plane_masks

_QUARTER = 4  # lanes of a vector of int32
_ROUNDING_SHIFT = {
    "aarch64": "llvm.aarch64.neon.srshl.v4i32",
    "armv7": "llvm.arm.neon.vrshifts.v4i32",
}


@dataclass(frozen=True)
class Chunks:
    """Sizes of a workload under the knobs; a call takes ``pixels`` pixels and one chunk."""

    total: int
    channels: int
    glue: str
    bits: int
    sums: str  # int16 or int32
    word: str
    pixels: int
    chunk: int
    isa: str

    @classmethod
    def of(cls, w: Any, knobs: dict[str, Any]) -> Chunks:
        return cls(
            w.n * w.h * w.w, w.c, w.glue, w.out_bits, w.sums_dtype, w.word,
            knobs["pixels"], knobs["chunk"], knobs["isa"],
        )  # fmt: skip

    @property
    def tiles(self) -> int:
        """The last one is moved back to end with the pixels."""
        return -(-self.total // self.pixels)

    @property
    def whole(self) -> int:
        """Chunks of which every channel is there."""
        return self.channels // self.chunk

    @property
    def plane(self) -> int:
        """Bytes of a plane of a pixel."""
        return words(self.channels, self.word) * word_bits(self.word) // 8

    @property
    def rest(self) -> int:
        """Bytes of a plane that whole chunks leave."""
        return self.plane - self.whole * self.chunk // 8

    @property
    def padded(self) -> int:
        """Channels that the parameters have: of the rest, masks in a power of two."""
        masks = -(-self.rest // 2)
        return self.whole * self.chunk + (LANES << (masks - 1).bit_length() if masks else 0)

    @property
    def size(self) -> int:
        """Bytes of a sum."""
        return 2 if self.sums == "int16" else 4

    @property
    def parameters(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of what the kernel takes for the glue."""
        if self.glue == "shift":
            return {"mu": ((self.padded,), "int32"), "shift": ((self.padded,), "int32")}
        bounds = (2**self.bits - 1, self.padded)
        return {
            "bounds": (bounds, self.sums),
            "flips": ((self.bits, self.padded // 8), "uint8"),
        }

    def function(self, rest: bool) -> Function:
        """Of a whole chunk, whose number is an argument, or of the rest."""
        names = ("x", *self.parameters, "y")
        return _Writer(self, Function(names, () if rest else ("chunk",)), rest).write()


class _Writer:
    def __init__(self, c: Chunks, f: Function, rest: bool) -> None:
        self.c, self.f, self.rest = c, f, rest
        self.masks = (c.padded - c.whole * c.chunk if rest else c.chunk) // LANES
        self.bytes = c.rest if rest else c.chunk // 8

    @cached_property
    def start(self) -> str:
        """The first channel."""
        if self.rest:
            return str(self.c.whole * self.c.chunk)
        return self.f.value(f"mul i32 %chunk, {self.c.chunk}")

    def at(self, base: str, per_channel: int, offset: int = 0) -> str:
        """The address of what belongs to the first channel; bytes (8 channels: -8)."""
        scale = f"mul i32 {self.start}, {per_channel}"
        if per_channel < 0:
            scale = f"sdiv exact i32 {self.start}, {-per_channel}"
        return self.f.pointer(self.f.pointer(f"%{base}", self.f.value(scale)), offset)

    def write(self) -> Function:
        c, f = self.c, self.f
        levels = self.thresholds if c.glue == "thr" else self.shifted
        for pixel in range(c.pixels):
            x = self.at("x", c.size, pixel * c.channels * c.size)
            masks = [levels(f.pointer(x, m * LANES * c.size), m) for m in range(self.masks)]
            for plane in range(c.bits):
                self.store(pixel, plane, mask_bytes(f, [m[plane] for m in masks], c.isa))
        return f

    def store(self, pixel: int, plane: int, bits: str) -> None:
        c, f = self.c, self.f
        length = 2 * self.masks
        if c.glue == "thr":
            flips = f.load(f"<{length} x i8>", self.at("flips", -8, plane * c.padded // 8))
            bits = f.value(f"xor <{length} x i8> {bits}, {flips}")
        y = self.at("y", -8, (pixel * c.bits + plane) * c.plane)
        f.store_bytes(bits, length, self.bytes, y)

    def there(self, mask: int) -> int:
        """How many of a mask's channels there are."""
        if not self.rest:
            return LANES
        left = self.c.channels - self.c.whole * self.c.chunk - mask * LANES
        return min(max(left, 0), LANES)

    def sums(self, x: str, lanes: int, count: int) -> str:
        element = f"i{8 * self.c.size}"
        return self.f.load_first(lanes, element, self.c.size, x, count)

    def thresholds(self, x: str, mask: int) -> list[str]:
        """Masks of the planes, but for the flips."""
        c, f = self.c, self.f
        kind = f"<{LANES} x i{8 * c.size}>"
        sums = self.sums(x, LANES, self.there(mask))
        levels = []
        for level in range(2**c.bits - 1):
            offset = (level * c.padded + mask * LANES) * c.size
            bound = f.load(kind, self.at("bounds", c.size, offset))
            met = f.value(f"icmp sge {kind} {sums}, {bound}")
            levels.append(f.value(f"sext <{LANES} x i1> {met} to {MASK}"))
        return plane_masks(f, levels)

    def shifted(self, x: str, mask: int) -> list[str]:
        c, f = self.c, self.f
        quarters = [self.quarter(x, mask * LANES, i) for i in range(0, LANES, _QUARTER)]
        wide = f.join(quarters, "i32", _QUARTER)
        codes = f.value(f"trunc <{LANES} x i32> {wide} to {MASK}")
        masks = []
        for plane in range(c.bits):
            bit = "<" + ", ".join([f"i8 {1 << plane}"] * LANES) + ">"
            kept = f.value(f"and {MASK} {codes}, {bit}")
            is_set = f.value(f"icmp ne {MASK} {kept}, zeroinitializer")
            masks.append(f.value(f"sext <{LANES} x i1> {is_set} to {MASK}"))
        return masks

    def quarter(self, x: str, first: int, lane: int) -> str:
        """Codes of four channels as int32: the difference saturates, the shift rounds."""
        c, f, kind = self.c, self.f, f"<{_QUARTER} x i32>"
        count = min(max(self.there(first // LANES) - lane, 0), _QUARTER)
        sums = self.sums(f.pointer(x, lane * c.size), _QUARTER, count)
        if c.sums == "int16":
            sums = f.value(f"sext <{_QUARTER} x i16> {sums} to {kind}")
        mu, shift = (f.load(kind, self.at(name, 4, (first + lane) * 4)) for name in ("mu", "shift"))
        difference = f.call(kind, "llvm.ssub.sat.v4i32", (kind, sums), (kind, mu))
        code = _rounding_shift(f, difference, shift, c.isa)
        code = f.call(kind, "llvm.smax.v4i32", (kind, code), (kind, "zeroinitializer"))
        top = "<" + ", ".join([f"i32 {2**c.bits - 1}"] * _QUARTER) + ">"
        return f.call(kind, "llvm.smin.v4i32", (kind, code), (kind, top))


def _rounding_shift(f: Function, value: str, shift: str, isa: str) -> str:
    """(value + 2^(s-1)) >> s, for s = 0 without the rounding term, with nothing lost on the way."""
    kind = f"<{_QUARTER} x i32>"
    if isa in _ROUNDING_SHIFT:
        left = f.value(f"sub {kind} zeroinitializer, {shift}")
        return f.call(kind, _ROUNDING_SHIFT[isa], (kind, value), (kind, left))
    # The floor, and one more where the highest bit that is shifted out is set.
    shifts = f.value(f"icmp ne {kind} {shift}, zeroinitializer")
    one = f.value(f"zext <{_QUARTER} x i1> {shifts} to {kind}")
    floor = f.value(f"ashr {kind} {value}, {shift}")
    before = f.value(f"sub {kind} {shift}, {one}")
    last = f.value(f"and {kind} {f.value(f'ashr {kind} {value}, {before}')}, {one}")
    return f.value(f"add {kind} {floor}, {last}")
