"""The kernel of ``packed_global_avg_pool``: a vector of each plane over all pixels, in LLVM IR.

Bit p of all bytes is shifted to the plane's place and added to the p-th of eight vectors of bytes:
three instructions for 16 channels. These hold the sums of 255 // (2^bits - 1) pixels, then they are
added to wider ones. At the end the eight are interleaved: channel 8 i + p is lane i of the p-th.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_ops.operators._llvm_function import Function


@dataclass(frozen=True)
class PoolSums:
    """``size`` bytes of planes of ``plane`` bytes, ``pixels`` of them, ``unroll`` in the loop.

    Of the channels ``channels`` are there; their means are (``scale`` S + ``offset``) / pixels,
    where S is the sum of codes.
    """

    pixels: int
    bits: int
    plane: int
    size: int
    channels: int
    scale: int
    offset: int
    unroll: int

    @property
    def block(self) -> int:
        """Pixels whose codes a byte can sum up."""
        return 255 // (2**self.bits - 1)

    def function(self) -> Function:
        """Of pointers to the first pixel and the image's means, and the first byte of planes."""
        f = Function(("x", "y"), ("byte",))
        x = f.pointer("%x", "%byte")
        blocks, rest = divmod(self.pixels, self.block)
        if self.pixels <= self.block:
            self._store(f, self._count(f, x, self.pixels), "i8")
            return f
        wide = "i16" if self.pixels * (2**self.bits - 1) < 1 << 16 else "i32"

        def add(x: str, sums: list[str]) -> list[str]:
            return self._add_wide(f, sums, self._count(f, x, self.block), wide)

        step = self.block * self.bits * self.plane
        zeros = ["zeroinitializer"] * 8
        kind = f"<{self.size} x {wide}>"
        sums = f.loop(blocks, {x: step}, zeros, kind, add)
        if rest:
            counts = self._count(f, f.pointer(x, blocks * step), rest)
            sums = self._add_wide(f, sums, counts, wide)
        self._store(f, sums, wide)
        return f

    @property
    def kind(self) -> str:
        return f"<{self.size} x i8>"

    def _count(self, f: Function, x: str, pixels: int) -> list[str]:
        """Sums of codes of so many pixels, for each bit of a byte."""
        step = self.bits * self.plane
        whole = pixels // self.unroll

        def some(x: str, counts: list[str]) -> list[str]:
            for i in range(self.unroll):
                counts = self._pixel(f, x, i * step, counts)
            return counts

        counts = ["zeroinitializer"] * 8
        counts = f.loop(whole, {x: self.unroll * step}, counts, self.kind, some)
        for i in range(whole * self.unroll, pixels):
            counts = self._pixel(f, x, i * step, counts)
        return counts

    def _pixel(self, f: Function, x: str, offset: int, counts: list[str]) -> list[str]:
        kind, found = self.kind, list(counts)
        for plane in range(self.bits):
            bits = f.load(kind, x, offset + plane * self.plane)
            for p in range(8):
                how, by = ("lshr", p - plane) if p > plane else ("shl", plane - p)
                moved = f.value(f"{how} {kind} {bits}, splat (i8 {by})") if by else bits
                own = f.value(f"and {kind} {moved}, splat (i8 {1 << plane})")
                found[p] = f.value(f"add {kind} {found[p]}, {own}")
        return found

    def _add_wide(self, f: Function, sums: list[str], counts: list[str], wide: str) -> list[str]:
        kind = f"<{self.size} x {wide}>"
        added = [f.value(f"zext {self.kind} {count} to {kind}") for count in counts]
        return [f.value(f"add {kind} {a}, {b}") for a, b in zip(sums, added, strict=True)]

    def _store(self, f: Function, sums: list[str], element: str) -> None:
        """The means, of exact sums: one division, which rounds once."""
        length = self.size
        while len(sums) > 1:  # 0 and 4, 1 and 5, ...; then 0, 4 and 2, 6; then even and odd
            half = len(sums) // 2
            sums = [
                f.interleave(a, b, element, length)
                for a, b in zip(sums[:half], sums[half:], strict=True)
            ]
            length *= 2
        kind, floats = f"<{length} x i32>", f"<{length} x float>"
        value = sums[0]
        if element != "i32":
            value = f.value(f"zext <{length} x {element}> {value} to {kind}")
        value = f.value(f"mul {kind} {value}, splat (i32 {self.scale})")
        value = f.value(f"add {kind} {value}, splat (i32 {self.offset})")
        value = f.value(f"sitofp {kind} {value} to {floats}")
        value = f.value(f"fdiv {floats} {value}, splat (float {float(self.pixels):e})")
        y = f.pointer("%y", f.value("shl i32 %byte, 5"))
        f.store_first(value, "float", 4, length, self.channels, y, 0)
