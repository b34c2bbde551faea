"""The kernel of ``packed_add``: a vector of each plane of some pixels, in LLVM IR.

Codes are added by full adders of whole vectors of bits: N planes make N + 1. Whether the sum S
reaches the channel's bound u, in planes too, is found from the lowest plane up: where S and u
differ, S decides. That is 2 + 4 operations for 128 channels of one bit: 17.6 modelled codes a cycle
on A72 (28x28), where sums as bytes, before anything is compared with them, come to 1.9.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import LANES, MASK, OWN_BITS, plane_masks
from tvm_ops.operators._packed import bits_type, choose, inverse


@dataclass(frozen=True)
class AddTile:
    """``size`` bytes of planes of ``plane`` bytes, of ``channels`` channels that there are.

    ``out_bits`` bits, or for 0 int8 sums of ``total`` channels a pixel: ``scale`` S + ``offset``.
    """

    pixels: int
    bits: int
    out_bits: int
    plane: int
    size: int
    channels: int
    total: int = 0
    scale: int = 1
    offset: int = 0

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("x", "residual", *(("bounds", "flips") if self.out_bits else ()), "y")

    def function(self) -> Function:
        """Of pointers to the first pixel, and the first byte of the planes."""
        f = Function(self.arguments, ("byte",))
        at = {
            name: f.pointer(f"%{name}", "%byte")
            for name in self.arguments
            if self.out_bits or name != "y"
        }
        bounds = self._bounds(f, at) if self.out_bits else []
        for pixel in range(self.pixels):
            first = pixel * self.bits * self.plane
            sums = self._sum(f, *(self._load(f, at[name], first) for name in ("x", "residual")))
            if self.out_bits:
                self._store_codes(f, at, pixel, [self._reaches(f, sums, b) for b in bounds])
            else:
                self._store_sums(f, pixel, sums)
        return f

    @property
    def kind(self) -> str:
        return bits_type(self.size)

    def _load(self, f: Function, base: str, first: int) -> list[str]:
        return [f.load(self.kind, base, first + p * self.plane) for p in range(self.bits)]

    def _bounds(self, f: Function, at: dict[str, str]) -> list[list[str]]:
        planes = self.bits + 1
        return [
            [
                f.load(self.kind, at["bounds"], (level * planes + p) * self.plane)
                for p in range(planes)
            ]
            for level in range(2**self.out_bits - 1)
        ]

    def _sum(self, f: Function, a: list[str], b: list[str]) -> list[str]:
        kind = self.kind
        sums = [f.value(f"xor {kind} {a[0]}, {b[0]}")]
        carry = f.value(f"and {kind} {a[0]}, {b[0]}")
        for p, q in zip(a[1:], b[1:], strict=True):
            differ = f.value(f"xor {kind} {p}, {q}")
            sums.append(f.value(f"xor {kind} {differ}, {carry}"))
            carry = choose(f, kind, differ, carry, p)
        return [*sums, carry]

    def _reaches(self, f: Function, sums: list[str], bound: list[str]) -> str:
        kind = self.kind
        reaches = f.value(f"or {kind} {sums[0]}, {inverse(f, kind, bound[0])}")
        for p, q in zip(sums[1:], bound[1:], strict=True):
            differ = f.value(f"xor {kind} {p}, {q}")
            reaches = choose(f, kind, differ, p, reaches)
        return reaches

    def _store_codes(self, f: Function, at: dict[str, str], pixel: int, levels: list[str]) -> None:
        flips = f.load(self.kind, at["flips"])
        for p, value in enumerate(plane_masks(f, levels, self.kind)):
            flipped = f.value(f"xor {self.kind} {value}, {flips}")
            f.store(self.kind, flipped, at["y"], (pixel * self.out_bits + p) * self.plane)

    def _store_sums(self, f: Function, pixel: int, sums: list[str]) -> None:
        """Each plane's bits, spread to a byte each, count as much as the plane does."""
        f_y = f.pointer("%y", f.value("shl i32 %byte, 3"))
        vector = f"<{self.size} x i8>"
        planes = [
            s if self.kind == vector else f.value(f"bitcast {self.kind} {s} to {vector}")
            for s in sums
        ]
        for first in range(0, self.channels, LANES):
            lanes = [min((first + i) // 8, self.size - 1) for i in range(LANES)]
            total = f"splat (i8 {self.offset})"
            for p, plane in enumerate(planes):
                spread = f.shuffle(plane, "i8", self.size, lanes)
                own = f.value(f"and {MASK} {spread}, {OWN_BITS}")
                is_set = f.value(f"icmp ne {MASK} {own}, zeroinitializer")
                worth = f"splat (i8 {self.scale << p})"
                term = f.value(
                    f"select <{LANES} x i1> {is_set}, {MASK} {worth}, {MASK} zeroinitializer"
                )
                total = f.value(f"add {MASK} {total}, {term}")
            count = min(LANES, self.channels - first)
            f.store_first(total, "i8", 1, LANES, count, f_y, pixel * self.total + first)
