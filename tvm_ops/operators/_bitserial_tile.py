"""A few-bit tile: P pixels x 8 output channels, from packed planes to packed bits, as LLVM IR.

One call adds up all chunks (see ``_bitserial_chunk``) of its pixels, those of the most significant
planes first: what is there is doubled before planes of half the weight. It
finishes the sums T in registers: bits of T < bound, or sums y. The chunk's instructions come
from one of two emitters, the rest is the same for every instruction set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import groupby

from tvm_ops.operators._bitserial_asm import Assembly
from tvm_ops.operators._bitserial_chunk import Chunk
from tvm_ops.operators._bitserial_glue import Glue
from tvm_ops.operators._bitserial_ir import Intrinsics
from tvm_ops.operators._llvm_function import Function

MAX_UNROLLED = 80  # steps of a call without a loop: 22 KB with 5 pixels
MAX_UNROLLED_OUT_OF_ORDER = 160  # 41 KB of A72's 48; A53 has 32


@dataclass(frozen=True)
class Part:
    """Where one chunk lies, in bytes from the first one's x and weights; T gets it << ``shift``.

    A tile's parts are in the order of falling shifts, down to 0 by steps of 1.
    """

    x: int
    weights: int
    shift: int


@dataclass(frozen=True)
class AnyTile:
    """What one call computes.

    ``pixel_step``: bytes of x from a pixel to the next; None where a table has each one's place,
    and also (``glue.corrected``) that of its correction. ``runs``: a call adds up so many times as
    many pixels as registers have room for, one after the other, and finishes all of them together,
    so that few instructions wait for each other at the end.
    """

    parts: tuple[Part, ...]
    pixel_step: int | None
    glue: Glue
    runs: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the pointers that a call takes, in this order; then the number ``byte``.

        It is that of the bytes from y to the first pixel's first channel.
        """
        table = ("table",) if self.pixel_step is None else ()
        return "x", *table, "weights", *self.glue.arguments, "y"

    @property
    def name(self) -> str:
        return self.function.name

    @cached_property
    def function(self) -> Function:
        """The code; raises ``ValueError`` if registers or addresses do not suffice."""
        f = Function(self.arguments, ("byte",))
        sums, places = [], []
        for run in range(self.runs):
            pixels = range(run * self.pixels, (run + 1) * self.pixels)
            starts = [self._start(f, p) for p in pixels]
            sums += self.sums(f, [x for x, _ in starts], run)
            places += [place for _, place in starts]
        self.glue.finish(f, sums, places)
        return f

    @property
    def pixels(self) -> int:
        """Of a run."""
        raise NotImplementedError

    def sums(self, f: Function, pointers: list[str], run: int) -> list[str]:
        """The sums of 8 channels of each pixel, whose windows begin at the pointers."""
        raise NotImplementedError

    def _start(self, f: Function, pixel: int) -> tuple[str, str]:
        """Where a pixel's window begins, and, in bytes, its class of corrections."""
        if self.pixel_step is not None:
            return f.pointer("%x", pixel * self.pixel_step), ""
        columns = 2 if self.glue.corrected else 1
        at = 4 * columns * pixel
        place = f.load("i32", "%table", at + 4) if self.glue.corrected else ""
        return f.pointer("%x", f.load("i32", "%table", at)), place

    @property
    def table_name(self) -> str:
        return "tvm_ops_parts_" + sha256(repr(self._table_numbers).encode()).hexdigest()[:12]

    @property
    def _table_numbers(self) -> list[int]:
        return [n for part in self.parts for n in (part.x, part.weights)]

    @property
    def constants(self) -> list[str]:
        """In LLVM IR: the table that loops over parts read."""
        numbers = self._table_numbers
        values = ", ".join(f"i32 {n}" for n in numbers)
        return [f"@{self.table_name} = private constant [{len(numbers)} x i32] [{values}]"]


@dataclass(frozen=True)
class Tile(AnyTile):
    """Of chunks. ``emitter``: "in_order", "out_of_order" (AArch64 assembly) or "intrinsics"."""

    chunk: Chunk
    emitter: str

    @property
    def pixels(self) -> int:
        return self.chunk.pixels

    def sums(self, f: Function, pointers: list[str], run: int) -> list[str]:
        if not self._emitter.fits:
            raise ValueError(f"no registers or addresses for {self}")
        return self._all_parts(f, pointers[: self.chunk.pointers])

    @property
    def _emitter(self) -> Assembly | Intrinsics:
        if self.emitter == "intrinsics":
            return Intrinsics(self.chunk, self.glue.isa)
        return Assembly(self.chunk, self.emitter == "in_order")

    def _part(self, f: Function, pointers: list[str], weights: str) -> list[str]:
        """A chunk's sums of each pixel, of the glue's type."""
        sums = self._emitter.call(f, pointers, weights)
        if self.glue.sum_bits == 16:
            return sums
        return [f.value(f"zext <8 x i16> {value} to <8 x i32>") for value in sums]

    def _all_parts(self, f: Function, pointers: list[str]) -> list[str]:
        """The sum of all chunks, doubled before those of half the weight."""
        most = MAX_UNROLLED_OUT_OF_ORDER if self.emitter == "out_of_order" else MAX_UNROLLED
        few = len(self.parts) * self.chunk.steps <= most
        sums: list[str] = []
        for shift, group in groupby(self.parts, lambda part: part.shift):
            parts = list(group)
            if few or len(parts) == 1:
                for part in parts:
                    sums = self._add(f, pointers, part.x, part.weights, sums)
            else:
                sums = self._loop(f, pointers, parts, sums)
            if shift:  # at once, as the end waits for these
                sums = [f.value(f"add {self._kind} {value}, {value}") for value in sums]
        return sums

    def _add(
        self, f: Function, pointers: list[str], x: int | str, weights: int | str, sums: list[str]
    ) -> list[str]:
        """``sums``, none at first, with those of a chunk."""
        moved = [f.pointer(pointer, x) for pointer in pointers]
        found = self._part(f, moved, f.pointer("%weights", weights))
        pairs = zip(sums, found, strict=True)
        return [f.value(f"add {self._kind} {a}, {b}") for a, b in pairs] if sums else found

    def _loop(
        self, f: Function, pointers: list[str], parts: list[Part], sums: list[str]
    ) -> list[str]:
        """``sums`` with those of many chunks, in a loop over their places in ``table``."""

        def add(entry: str, before: list[str]) -> list[str]:
            x, weights = (f.load("i32", entry, 4 * i) for i in range(2))
            return self._add(f, pointers, x, weights, before)

        sums = sums or ["zeroinitializer"] * self.chunk.pixels
        first = f.pointer(f"@{self.table_name}", 8 * self.parts.index(parts[0]))
        return f.loop(len(parts), {first: 8}, sums, self._kind, add)

    @property
    def _kind(self) -> str:
        """Of the sums of a pixel."""
        return f"<8 x i{self.glue.sum_bits}>"


def module(tiles: Sequence[AnyTile]) -> str:
    """LLVM IR that defines several tiles, what they call and read."""
    lines = [
        line for tile in tiles for line in (*tile.constants, *tile.function.llvm().splitlines())
    ]
    once = {line: None for line in lines if line.startswith(("@", "declare"))}
    own = {tile.function.name: tile.function.llvm() for tile in tiles}
    bodies = [line for text in own.values() for line in text.splitlines() if line not in once]
    return "\n".join([*once, *bodies])


def with_end(tile: AnyTile, lanes: int, zeros: int) -> AnyTile:
    """The same tile with so many channels, and bytes of zeros behind them."""
    return replace(tile, glue=replace(tile.glue, lanes=lanes, zeros=zeros))
