"""A few-bit tile: P pixels x 8 output channels, from packed planes to packed bits, as LLVM IR.

One call adds up all chunks (see ``_bitserial_chunk``) of its pixels, each shifted by its planes,
and finishes the sums T in registers: bits of T < bound, or sums y. The chunk's instructions come
from one of two emitters, the rest is the same text for every instruction set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from tvm_ops.operators._bitserial_asm import Assembly
from tvm_ops.operators._bitserial_chunk import Chunk
from tvm_ops.operators._bitserial_glue import Glue
from tvm_ops.operators._bitserial_ir import Intrinsics


@dataclass(frozen=True)
class Part:
    """Where one chunk lies, in bytes from the first one's x and weights; T gets it << ``shift``."""

    x: int
    weights: int
    shift: int


@dataclass(frozen=True)
class Tile:
    """What one call computes.

    ``pixel_step``: bytes of x from a pixel to the next; None where a table has each one's place,
    and also (``glue.corrected``) that of its correction. ``emitter``: "in_order", "out_of_order"
    (assembly for AArch64) or "intrinsics".
    """

    chunk: Chunk
    parts: tuple[Part, ...]
    pixel_step: int | None
    glue: Glue
    emitter: str

    @property
    def name(self) -> str:
        return "tvm_ops_bits_" + sha256(repr(self).encode()).hexdigest()[:12]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the pointers that a call takes, in this order; then y and a number of bytes.

        The bytes are from y to the first pixel's first channel.
        """
        table = ("table",) if self.pixel_step is None else ()
        return "x", *table, "weights", *self.glue.arguments

    @property
    def fits(self) -> bool:
        """Whether registers and addresses suffice."""
        return self._emitter.fits

    @property
    def _emitter(self) -> Assembly | Intrinsics:
        if self.emitter == "intrinsics":
            return Intrinsics(self.chunk, self.glue.isa)
        return Assembly(self.chunk, self.emitter == "in_order")

    def llvm(self) -> str:
        """LLVM IR that defines the function ``name``; raises ``ValueError`` if it does not fit."""
        if not self.fits:
            raise ValueError(f"no registers or addresses for {self}")
        pointers = ", ".join(f"ptr %{name}" for name in (*self.arguments, "y"))
        body = "\n".join(f"  {line}" if not line.endswith(":") else line for line in self._body())
        n = len(self.parts)
        rows = ", ".join(
            f"[3 x i32] [i32 {p.x}, i32 {p.weights}, i32 {p.shift}]" for p in self.parts
        )
        table = (
            f"@{self.name}_parts = private constant [{n} x [3 x i32]] [{rows}]\n" if n > 1 else ""
        )
        return (
            f"{table}define internal i32 @{self.name}({pointers}, i32 %byte) alwaysinline nounwind "
            f"{{\n{body}\n}}\n"
        )

    @property
    def declarations(self) -> list[str]:
        """Of what the function calls."""
        return sorted({*self._emitter.declarations, *self.glue.declarations})

    def _body(self) -> Iterator[str]:
        pixels = range(self.chunk.pixels)
        pointers = [f"%x{i}" for i in range(self.chunk.pointers)]
        yield "entry:"
        yield from self._pixels()
        if len(self.parts) == 1:
            yield from self._chunk("sums", "entry", pointers, "%weights", pixels)
        else:
            yield from self._loop(pointers)
        yield from self.glue.finish([f"%sums.{p}" for p in pixels])
        yield "ret i32 0"

    def _pixels(self) -> Iterator[str]:
        """%x0, ..., and the corrections' places %class0, ..."""
        for i in range(self.chunk.pixels if self.pixel_step is None else self.chunk.pointers):
            offset = str(i * (self.pixel_step or 0))
            if self.pixel_step is None:
                columns = 2 if self.glue.corrected else 1
                offset = f"%at{i}"
                yield f"%entry{i} = getelementptr i32, ptr %table, i32 {i * columns}"
                yield f"{offset} = load i32, ptr %entry{i}"
                if self.glue.corrected:
                    yield f"%entry{i}c = getelementptr i32, ptr %table, i32 {i * columns + 1}"
                    yield f"%class{i} = load i32, ptr %entry{i}c"
            if i < self.chunk.pointers:
                yield f"%x{i} = getelementptr i8, ptr %x, i32 {offset}"

    def _chunk(
        self, name: str, block: str, pointers: Sequence[str], weights: str, pixels: Sequence[int]
    ) -> Iterator[str]:
        """%name.0, ...: the chunk's sums of each pixel, of the glue's type."""
        yield from self._emitter.call(f"{name}.all", block, list(pointers), weights)
        wide = self.glue.sum_bits == 32
        kinds = ", ".join(self._emitter.result_kinds)
        for p in pixels:
            to = f"%{name}.{p}" + ("n" if wide else "")
            yield f"{to} = extractvalue {{{kinds}}} %{name}.all, {p}"
            if wide:
                yield f"%{name}.{p} = zext <8 x i16> {to} to <8 x i32>"

    def _loop(self, pointers: Sequence[str]) -> Iterator[str]:
        pixels, kind = range(self.chunk.pixels), f"<8 x i{self.glue.sum_bits}>"
        element, table = f"i{self.glue.sum_bits}", f"@{self.name}_parts"
        yield "br label %part"
        yield "part:"
        end = self._emitter.last_block("part.all", "part")
        yield f"%number = phi i32 [0, %entry], [%following, %{end}]"
        for p in pixels:
            yield f"%before.{p} = phi {kind} [zeroinitializer, %entry], [%sums.{p}, %{end}]"
        for i, name in enumerate(("px", "pw", "ps")):
            n = len(self.parts)
            place = f"ptr {table}, i32 0, i32 %number, i32 {i}"
            yield f"%{name}a = getelementptr [{n} x [3 x i32]], {place}"
            yield f"%{name} = load i32, ptr %{name}a"
        moved = [f"%moved{i}" for i in range(len(pointers))]
        for to, pointer in zip(moved, pointers, strict=True):
            yield f"{to} = getelementptr i8, ptr {pointer}, i32 %px"
        yield "%wpart = getelementptr i8, ptr %weights, i32 %pw"
        yield from self._chunk("part", "part", moved, "%wpart", pixels)
        shifted = any(part.shift for part in self.parts)
        if shifted:
            narrow = "%ps" if element == "i32" else "%psn"
            if element != "i32":
                yield "%psn = trunc i32 %ps to i16"
            yield f"%ps0 = insertelement {kind} poison, {element} {narrow}, i32 0"
            yield f"%psv = shufflevector {kind} %ps0, {kind} poison, <8 x i32> zeroinitializer"
        for p in pixels:
            value = f"%part.{p}"
            if shifted:
                yield f"%partshifted.{p} = shl {kind} {value}, %psv"
                value = f"%partshifted.{p}"
            yield f"%sums.{p} = add {kind} %before.{p}, {value}"
        yield "%following = add i32 %number, 1"
        yield f"%more = icmp ult i32 %following, {len(self.parts)}"
        yield "br i1 %more, label %part, label %finish"
        yield "finish:"


def module(tiles: Sequence[Tile]) -> str:
    """LLVM IR that defines several tiles."""
    declarations = sorted({d for tile in tiles for d in tile.declarations})
    return "\n".join([*declarations, *(tile.llvm() for tile in dict.fromkeys(tiles))])


def with_end(tile: Tile, lanes: int, zeros: int) -> Tile:
    """The same tile with so many channels, and bytes of zeros behind them."""
    return replace(tile, glue=replace(tile.glue, lanes=lanes, zeros=zeros))
