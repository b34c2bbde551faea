"""The register tile of ``binary_input_conv2d`` in LLVM IR: some pixels times vectors of channels.

Weights of +-1 need no multiplication: with m = 0 for +1 and -1 for -1, w x = (x ^ m) - m, so

    sum of w x  =  sum of (x ^ m)  +  (how many w are -1),

and the second term, a constant of the channel, goes into what the sum is compared with. Bytes of
two neighbouring taps lie side by side, for eight channels: ``eor``, and ``sadalp``, which adds
neighbours to int16, do 16 MACs. Cores with dot products (``dot``) multiply four taps of four
channels, 16 MACs in one instruction, to int32.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_ops.operators._input_assembly import InputAssembly
from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._mask_bits import LANES, MASK, mask_bytes, plane_masks

INT16_TAPS = 255  # of int8, at most 128 each: 32640
_MAX_BODY = {"aarch64": 256, "armv7": 128}  # products in the loop's body, for the I-cache
_SMALL_BODY = 64  # elsewhere, where a product is six instructions and LLVM takes seconds


@dataclass(frozen=True)
class InputTile:
    """What one call computes; offsets and steps are in bytes.

    The copy of x is int8, a kernel row's ``taps`` side by side, ``row`` apart; pixels are
    ``pixel`` apart. ``vectors`` are of 8 channels, of which ``channels`` there are.
    ``bits`` bits go to planes of ``plane`` bytes, of which this call writes ``bytes``; for 0 bits
    sums go to ``y_step`` bytes apart.
    """

    dot: bool
    isa: str
    rows: int
    taps: int
    row: int
    pixel: int
    pixels: int
    vectors: int
    channels: int
    sums: str  # int16 or int32, of the glue
    bits: int
    plane: int
    bytes: int
    acc: str = ""  # type of y, without glue
    by_assembly: bool = False

    @property
    def wide(self) -> bool:
        """Whether sums leave int16 while rows are summed up."""
        return not self.dot and self.rows * self.taps > INT16_TAPS

    @property
    def group(self) -> int:
        """Taps of one product."""
        return 4 if self.dot else 2

    @property
    def groups(self) -> int:
        """Of a row. An odd tap is added alone; what dot products have too much meets zeros."""
        return -(-self.taps // self.group) if self.dot else self.taps // 2

    @property
    def row_weights(self) -> int:
        """Bytes of a kernel row's weights."""
        own = 8 * self.vectors
        return own * (self.groups * self.group if self.dot else self.taps)

    def assembly(self, rows: int) -> InputAssembly:
        """The sums over so many rows."""
        return InputAssembly(
            rows, self.taps, self.row, self.pixel, self.pixels, self.vectors, self.row_weights
        )

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("x", "weights", *(("bounds", "flips") if self.bits else ("offsets",)), "y")

    def function(self) -> Function:
        """``offset`` is where the channels lie in a pixel of y, in bytes."""
        return _Writer(self, Function(self.arguments, ("offset",))).write()


class _Writer:
    def __init__(self, t: InputTile, f: Function) -> None:
        self.t, self.f = t, f
        self.kind = "<4 x i32>" if t.dot else "<8 x i16>"
        self.accumulators = t.pixels * t.vectors * (2 if t.dot else 1)

        self.y = f.pointer("%y", "%offset")

    def write(self) -> Function:
        t, f = self.t, self.f
        if t.wide:
            sums = self.wide_sums()
        else:
            zeros = ["zeroinitializer"] * self.accumulators
            sums = self.row_loop("%x", "%weights", t.rows, zeros)
        joined = self.sixteens(sums)
        if t.bits:
            self.store_codes(joined)
        else:
            self.store_sums(joined)
        return f

    def wide_sums(self) -> list[str]:
        """int32 sums, to which those of as many rows as int16 holds are added."""
        t, f = self.t, self.f
        step = INT16_TAPS // t.taps
        total = ["zeroinitializer"] * self.accumulators
        for first in range(0, t.rows, step):
            x = f.pointer("%x", first * t.row)
            weights = f.pointer("%weights", first * t.row_weights)
            zeros = ["zeroinitializer"] * self.accumulators
            part = self.row_loop(x, weights, min(step, t.rows - first), zeros)
            wide = [f.value(f"sext <8 x i16> {value} to <8 x i32>") for value in part]
            total = [f.value(f"add <8 x i32> {a}, {b}") for a, b in zip(total, wide, strict=True)]
        return total

    def row_loop(self, x: str, weights: str, rows: int, start: list[str]) -> list[str]:
        """Sums over kernel rows."""
        t, f = self.t, self.f
        if t.by_assembly:
            rows_of = t.assembly(rows)
            if not rows_of.fits:
                raise ValueError(f"no registers or immediates for {rows_of}")
            pointers = [("ptr", x), ("ptr", weights)]
            return f.assembly(rows_of.lines(), rows_of.constraints, self.kind, len(start), pointers)

        def body(x: str, weights: str, sums: list[str]) -> list[str]:
            most = _MAX_BODY.get(t.isa, _SMALL_BODY) // len(sums)
            unroll = max(1, min(t.groups, most))
            whole = t.groups // unroll
            step = (t.group * unroll, 8 * t.vectors * t.group * unroll)

            def some(x: str, weights: str, sums: list[str]) -> list[str]:
                for i in range(unroll):
                    sums = self.product(x, weights, i, sums)
                return sums

            sums = f.loop(whole, {x: step[0], weights: step[1]}, sums, self.kind, some)
            for i in range(whole * unroll, t.groups):
                sums = self.product(x, weights, i, sums)
            return self.last_tap(x, weights, sums) if t.taps % 2 and not t.dot else sums

        return f.loop(rows, {x: t.row, weights: t.row_weights}, start, self.kind, body)

    def product(self, x: str, weights: str, i: int, sums: list[str]) -> list[str]:
        """Adds the group ``i`` of taps from ``x`` on."""
        t, f = self.t, self.f
        element, lanes = ("i32", 4) if t.dot else ("i16", 8)
        splats = [
            f.splat(element, lanes, f.load(element, x, p * t.pixel + i * t.group))
            for p in range(t.pixels)
        ]
        taps = [f.value(f"bitcast <{lanes} x {element}> {s} to {MASK}") for s in splats]
        registers = self.accumulators // t.pixels
        found = list(sums)
        for v in range(registers):
            w = f.load(MASK, weights, (i * registers + v) * 16)
            for p in range(t.pixels):
                found[p * registers + v] = self.multiply_add(found[p * registers + v], taps[p], w)
        return found

    def multiply_add(self, total: str, x: str, w: str) -> str:
        t, f = self.t, self.f
        if t.dot:
            name = "llvm.aarch64.neon.sdot.v4i32.v16i8"
            return f.call(self.kind, name, (self.kind, total), (MASK, x), (MASK, w))
        signed = f.value(f"xor {MASK} {x}, {w}")
        if t.isa == "armv7":
            name = "llvm.arm.neon.vpadals.v8i16.v16i8"
            return f.call(self.kind, name, (self.kind, total), (MASK, signed))
        if t.isa == "aarch64":
            pairs = f.call(self.kind, "llvm.aarch64.neon.saddlp.v8i16.v16i8", (MASK, signed))
            return f.value(f"add {self.kind} {total}, {pairs}")
        for first in (0, 1):
            half = f.shuffle(signed, "i8", LANES, range(first, LANES, 2))
            total = f.value(
                f"add {self.kind} {total}, {f.value(f'sext <8 x i8> {half} to {self.kind}')}"
            )
        return total

    def last_tap(self, x: str, weights: str, sums: list[str]) -> list[str]:
        """Of an odd number."""
        t, f = self.t, self.f
        found = list(sums)
        taps = [
            f.splat("i8", 8, f.load("i8", x, p * t.pixel + t.taps - 1)) for p in range(t.pixels)
        ]
        for v in range(t.vectors):
            w = f.load("<8 x i8>", weights, t.groups * t.vectors * 16 + v * 8)
            for p in range(t.pixels):
                signed = f.value(f"xor <8 x i8> {taps[p]}, {w}")
                wide = f.value(f"sext <8 x i8> {signed} to {self.kind}")
                at = p * t.vectors + v
                found[at] = f.value(f"add {self.kind} {found[at]}, {wide}")
        return found

    def sixteens(self, sums: list[str]) -> list[list[str]]:
        """For each pixel its sums of 16 channels each."""
        t, f = self.t, self.f
        lanes, element = (4, "i32") if t.dot else (8, "i32" if t.wide else "i16")
        per_pixel = len(sums) // t.pixels
        many = LANES // lanes
        return [
            [
                f.join(sums[i : i + many], element, lanes)
                for i in range(first, first + per_pixel, many)
            ]
            for first in range(0, len(sums), per_pixel)
        ]

    def store_codes(self, sums: list[list[str]]) -> None:
        t, f = self.t, self.f
        size = 2 if t.sums == "int16" else 4
        kind = f"<{LANES} x i{8 * size}>"
        padded = 8 * t.vectors
        planes: list[list[str]] = [[] for _ in range(t.bits)]
        for pixel in sums:
            for m, total in enumerate(pixel):
                levels = []
                for level in range(2**t.bits - 1):
                    bound = f.load(kind, "%bounds", (level * padded + m * LANES) * size)
                    met = f.value(f"icmp sge {kind} {total}, {bound}")
                    levels.append(f.value(f"sext <{LANES} x i1> {met} to {MASK}"))
                for plane, mask in zip(planes, plane_masks(f, levels), strict=True):
                    plane.append(mask)
        for p, masks in enumerate(planes):
            self.store_plane(p, masks)

    def store_plane(self, plane: int, masks: list[str]) -> None:
        """All pixels' masks become bytes together."""
        t, f = self.t, self.f
        there = len(masks)
        missing = (1 << (there - 1).bit_length()) - there
        bits = mask_bytes(f, masks + ["zeroinitializer"] * missing, t.isa)
        length = 2 * (there + missing)
        flips = f.load(f"<{t.vectors} x i8>", "%flips", plane * t.vectors)
        for pixel in range(t.pixels):
            own = f.lanes(bits, "i8", length, pixel * t.vectors, t.vectors)
            own = f.value(f"xor <{t.vectors} x i8> {own}, {flips}")
            y = (pixel * t.bits + plane) * t.plane
            f.store_bytes(own, t.vectors, min(t.bytes, t.vectors), self.y, y)
            for byte in range(t.vectors, t.bytes):
                f.store("i8", "0", self.y, y + byte)

    def store_sums(self, sums: list[list[str]]) -> None:
        """y = sum + offset; in int16, where y fits, what wraps on the way is right again."""
        t, f = self.t, self.f
        size = 2 if t.acc == "int16" else 4
        kind = f"<{LANES} x i{8 * size}>"
        summed = 4 if t.dot or t.wide else 2
        for p, pixel in enumerate(sums):
            for m, total in enumerate(pixel):
                if summed != size:
                    how = "sext" if size > summed else "trunc"
                    total = f.value(f"{how} <{LANES} x i{8 * summed}> {total} to {kind}")
                offset = f.load(kind, "%offsets", m * LANES * size)
                y = f.value(f"add {kind} {total}, {offset}")
                count = min(LANES, t.channels - m * LANES)
                start = (p * t.plane) + m * LANES * size
                f.store_first(y, f"i{8 * size}", size, LANES, count, self.y, start)
