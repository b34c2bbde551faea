"""The micro-kernel of ``bitpack``: LLVM IR that quantizes and packs channels of several pixels.

Codes are found by halving: plane p of a channel is x >= t_j, where the planes above p say which j:
a comparison and 2^(planes above) - 1 choices a plane, 1 + 2 + 4 instructions for three bits, where
comparing with all thresholds takes 7 comparisons, 8 xors, and for floats 4 more narrowings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import LANES, mask_bytes

TYPES = {"f32": "float", "s8": "i8", "s16": "i16", "s32": "i32"}
SIZES = {"f32": 4, "s8": 1, "s16": 2, "s32": 4}
_LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Tile:
    """``channels`` of ``pixels`` pixels, ``at_once`` pixels side by side in a loop.

    They are those from the ``group``-fold of the function's last argument on. Steps from pixel to
    pixel, from plane to plane of y and from level to level of the thresholds are in bytes;
    ``zeros`` are the bytes of each plane after the channels. With ``ahead`` the next pixels are
    asked for while these are computed.
    """

    x: str
    group: int
    channels: int
    bits: int
    per_channel: bool
    isa: str
    pixels: int
    at_once: int
    ahead: bool
    x_step: int
    y_step: int
    plane: int
    level: int
    zeros: int

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """(first channel, channels): whole masks whose number is a power of two, then the rest."""
        found, first = [], 0
        while first < self.channels:
            rest = self.channels - first
            masks = rest // LANES
            size = LANES << masks.bit_length() - 1 if masks else rest
            found.append((first, size))
            first += size
        return found

    @cached_property
    def function(self) -> Function:
        """Of the pointers x, thresholds, y to a first pixel and channel, and the group's number."""
        f = Function(("x", "thresholds", "y"), ("group",))
        size = SIZES[self.x] * self.group
        steps = {"x": size, "thresholds": size * self.per_channel, "y": self.group // 8}
        x, bounds, y = (
            f.pointer(f"%{name}", f.value(f"mul i32 %group, {step}"))
            for name, step in steps.items()
        )
        thresholds = [self._thresholds(f, bounds, *piece) for piece in self.pieces]
        times, step = self.pixels // self.at_once, self.at_once * self.x_step
        last = f.pointer(x, (times - 1) * step)

        def body(x: str, y: str, _values: list[str]) -> list[str]:
            if self.ahead and times > 1:
                self._ask(f, x, last)
            for pixel in range(self.at_once):
                from_x = f.pointer(x, pixel * self.x_step)
                to_y = f.pointer(y, pixel * self.y_step)
                for piece, of_piece in zip(self.pieces, thresholds, strict=True):
                    self._piece(f, from_x, to_y, *piece, of_piece)
                self._zeros(f, to_y)
            return []

        f.loop(times, {x: step, y: self.at_once * self.y_step}, [], "", body)
        return f

    def _ask(self, f: Function, x: str, last: str) -> None:
        """Loads from each line of the next pixels, in order.

        LLVM has no order of its own for loads, and a prefetcher follows those that rise.
        """
        is_last = f.value(f"icmp eq ptr {x}, {last}")
        following = f.pointer(x, self.at_once * self.x_step)
        asked = f.value(f"select i1 {is_last}, ptr {x}, ptr {following}")
        for pixel in range(self.at_once):
            for line in range(0, self.channels * SIZES[self.x], _LINE):
                f.value(f"load volatile i8, ptr {f.pointer(asked, pixel * self.x_step + line)}")

    def _thresholds(self, f: Function, base: str, first: int, size: int) -> list[str]:
        """For each level a vector of the piece's thresholds."""
        kind, found = TYPES[self.x], []
        for level in range(2**self.bits - 1):
            if self.per_channel:
                at = level * self.level + first * SIZES[self.x]
                found.append(f.load(f"<{size} x {kind}>", base, at))
            else:
                one = f.load(kind, base, level * self.level)
                found.append(f.splat(kind, size, one))
        return [self._comparable(f, vector, size) for vector in found]

    @property
    def _by_integers(self) -> bool:
        """ARMv7's NEON compares floats below 1.2e-38 as zeros."""
        return self.x == "f32" and self.isa == "armv7"

    def _comparable(self, f: Function, vector: str, size: int) -> str:
        """The vector itself, or floats as integers of the same order.

        There -0 becomes -1 and 0 stays 0: a threshold of zero has to be -0, which both reach.
        """
        if not self._by_integers:
            return vector
        kind = f"<{size} x i32>"
        bits = f.value(f"bitcast <{size} x float> {vector} to {kind}")
        sign = f.value(f"ashr {kind} {bits}, splat (i32 31)")
        flips = f.value(f"and {kind} {sign}, splat (i32 {0x7FFFFFFF})")
        return f.value(f"xor {kind} {bits}, {flips}")

    def _loaded(self, f: Function, x: str, at: int, size: int) -> str:
        """x, of which a NaN is below every threshold or not comparable."""
        value = f.load(f"<{size} x {TYPES[self.x]}>", x, at)
        if not self._by_integers:
            return value
        value, kind = self._comparable(f, value, size), f"<{size} x i32>"
        number = f.value(f"icmp sle {kind} {value}, splat (i32 {0x7F800000})")
        least = f"{kind} splat (i32 {-(1 << 31)})"
        return f.value(f"select <{size} x i1> {number}, {kind} {value}, {least}")

    def _piece(
        self, f: Function, x: str, y: str, first: int, size: int, thresholds: list[str]
    ) -> None:
        """Loads a piece's x, stores its bytes of each plane."""
        value = self._loaded(f, x, first * SIZES[self.x], size)
        kind = f"<{size} x {'i32' if self._by_integers else TYPES[self.x]}>"
        compare = "fcmp oge" if "float" in kind else "icmp sge"
        above: list[str] = []  # the planes from the highest on
        for plane in reversed(range(self.bits)):
            options = thresholds[2**plane - 1 :: 2 ** (plane + 1)]
            for bit in reversed(above):  # the lowest known plane halves the options first
                pairs = zip(options[::2], options[1::2], strict=True)
                options = [
                    f.value(f"select <{size} x i1> {bit}, {kind} {more}, {kind} {less}")
                    for less, more in pairs
                ]
            above.append(f.value(f"{compare} {kind} {value}, {options[0]}"))
            self._store(f, above[-1], size, f.pointer(y, plane * self.plane + first // 8))

    def _store(self, f: Function, met: str, size: int, y: str) -> None:
        """A plane's bits, of whole masks or fewer than one's."""
        wide = f.value(f"sext <{size} x i1> {met} to <{size} x i8>")
        if size < LANES:
            zeros = f.join([wide, "zeroinitializer"], "i8", size)
            every = [min(lane, size) for lane in range(LANES)]
            masks = [f.shuffle(zeros, "i8", 2 * size, every)]
        else:
            masks = [f.lanes(wide, "i8", size, start, LANES) for start in range(0, size, LANES)]
        packed = mask_bytes(f, masks, self.isa)
        f.store_bytes(packed, 2 * len(masks), -(-size // 8), y)

    def _zeros(self, f: Function, y: str) -> None:
        """The bytes of each plane that have no channel."""
        for plane in range(self.bits if self.zeros else 0):
            at = plane * self.plane + -(-self.channels // 8)
            f.store(f"<{self.zeros} x i8>", "zeroinitializer", y, at)
