"""Few-bit convolution by register tiles: blocks [``pack_input``, ``table``,] ``tile``.

A tile is P neighbouring output pixels, over row ends, x 8 output channels; the last tile of an
image ends with it, so that some pixels may be computed twice and none is asked whether it exists.
Chunks (``_bitserial_chunk``) are all taps of as many 64-bit words of one plane of x as fit 31
steps: 3x3, 128 channels is one of 18. Weights of 8 channels, 64 bytes a step, stay in the L1 while
all pixels pass (512 channels at 7x7: 4.6 KB).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_ops.operators._bitserial import MAX_STEPS, WIDE_CHANNELS, FewBitWorkload
from tvm_ops.operators._bitserial_asm import MAX_OFFSET
from tvm_ops.operators._bitserial_borders import is_corrected
from tvm_ops.operators._bitserial_chunk import CHANNELS, PIXELS_APART, WORD, Chunk
from tvm_ops.operators._bitserial_glue import Glue
from tvm_ops.operators._bitserial_pack import factor, sum_bits
from tvm_ops.operators._bitserial_tile import MAX_UNROLLED, AnyTile, Part, Tile, with_end
from tvm_ops.operators._bitserial_wide_glue import MIXED, WideGlue
from tvm_ops.operators._bitserial_wide_tile import WideTile
from tvm_ops.operators._conv_tiles import Axis
from tvm_ops.operators._layout import Array

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Tiled:
    """Sizes of a workload under the knobs ``pixels``, ``x``, ``duplicated``, ``k_bits``.

    ``x`` is where tiles read: "direct"ly, from rows "padded" with zero bits, or from panels
    ("im2col") of a tile's pixels; copies may have each word twice. ``emitter`` is a ``Tile``'s.
    ``k_bits`` is a chunk's: tiles have 8 output channels with 64, 32 with 16. ``runs`` as a tile's.
    """

    w: FewBitWorkload
    pixels: Axis
    x: str
    duplicated: bool
    emitter: str
    isa: str
    k_bits: int = 64
    runs: int = 1

    @classmethod
    def of(cls, w: FewBitWorkload, knobs: dict[str, Any]) -> Self:
        assembly = knobs["sketch"] == "assembly"
        order = "in_order" if knobs.get("in_order") else "out_of_order"
        return cls(
            w,
            Axis(w.out_h * w.out_w, knobs["pixels"] * knobs["runs"]),
            knobs["x"],
            knobs["duplicated"],
            order if assembly else "intrinsics",
            "aarch64" if assembly else knobs["isa"],
            knobs["k_bits"] if assembly else 64,
            knobs["runs"],
        )

    bias = starts = 0

    @property
    def sum_bits(self) -> int:
        return sum_bits(self.w)

    def arranged(self, weights: Array) -> Array:
        """As they are."""
        return weights

    @property
    def lanes(self) -> int:
        """Output channels of a tile."""
        return WIDE_CHANNELS if self.k_bits == 16 else CHANNELS

    @property
    def order(self) -> tuple[int, ...]:
        """Which channel of a tile each of its sums is of, sum by sum."""
        is_mixed = self.k_bits == 16 and self.w.glue != "acc"
        return MIXED if is_mixed else tuple(range(self.lanes))

    @property
    def channels(self) -> int:
        """Output channels of a group."""
        return self.w.co // self.w.groups

    @property
    def tiles(self) -> int:
        """Of a group's output channels."""
        return -(-self.channels // self.lanes)

    @property
    def cut(self) -> tuple[int, int]:
        """(rows of the kernel, words) of a chunk."""
        found = self.w.wide_cut if self.k_bits == 16 else self.w.cut
        assert found
        return found

    @property
    def words(self) -> int:
        """Of a chunk, for each tap."""
        return self.cut[1]

    @property
    def blocks(self) -> int:
        """Of words, in a plane."""
        return -(-self.w.group_words // self.words)

    @property
    def row_parts(self) -> int:
        """Chunks that the rows of the kernel make."""
        return self.w.kernel[0] // self.cut[0]

    @property
    def steps(self) -> int:
        """Of 64 positions, of a chunk."""
        return self.cut[0] * self.w.kernel[1] * self.words

    @property
    def size(self) -> int:
        """Bytes of a word of what the tiles read."""
        return 2 * WORD if self.duplicated else WORD

    @property
    def times(self) -> int:
        """How often each word is there."""
        return 2 if self.duplicated else 1

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """[n, group, row, plane, block, column, word], or [n, group, tile, plane, part, panel].

        A panel is what a tile reads of a chunk. Planes lie within a row: 256 channels at 14x14 have
        16 KB each, a way of the A72's L1 cache, so that planes apart would throw each other out.
        """
        w = self.w
        if self.x == "im2col":
            panel = self.steps * self.pixels.tile * self.times
            parts = self.row_parts * self.blocks
            return w.n, w.groups, self.pixels.tiles, w.a_bits, parts, panel
        rows, cols = w.h + 2 * w.pad[0], w.w + 2 * w.pad[1]
        return w.n, w.groups, rows, w.a_bits, self.blocks, cols, self.words * self.times

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """[group, co tile, plane, part, step, co in tile], uint64 or uint16 as ``k_bits``.

        Part: (row part, block).
        """
        w, parts, steps = self.w, self.row_parts * self.blocks, self.steps * 64 // self.k_bits
        return w.groups, self.tiles, w.w_bits, parts, steps, self.lanes

    @property
    def column(self) -> int:
        """Bytes from a column of what the tiles read to the next."""
        if self.x == "direct":
            return int(np.prod(self.w.kernel_input_shape[3:])) * WORD
        return self.words * self.size

    @property
    def row(self) -> int:
        """Bytes from a row to the next."""
        if self.x == "direct":
            return self.column * self.w.w
        return int(np.prod(self.packed_shape[3:])) * WORD

    @property
    def chunk(self) -> Chunk:
        pixels = self.pixels.tile // self.runs
        if self.x == "im2col":
            offsets = [s * pixels * self.size for s in range(self.steps)]
        else:
            offsets = [
                i * self.row + j * self.column + k * self.size
                for i in range(self.cut[0])
                for j in range(self.w.kernel[1])
                for k in range(self.words)
            ]
        starts = range(0, WORD, self.k_bits // 8)
        offsets = [offset + start for offset in offsets for start in starts]
        planes = range(self.w.a_bits - 1, -1, -1) if self.are_planes_together else (0,)
        plane = self._strides[0]
        first = tuple(i * plane for i in planes)
        shared = self.x == "im2col"
        apart = self.are_planes_together and self.are_planes_apart
        return Chunk(
            pixels, tuple(offsets), first, shared, self.duplicated, self.k_bits, apart=apart
        )

    @property
    def are_planes_together(self) -> bool:
        """Whether a chunk is of all planes of x: where bytes and immediates have room for them."""
        w, parts = self.w, self.row_parts * self.blocks
        reach = w.a_bits * self._strides[0]
        if self.k_bits == 16:
            few = 4 * self.steps * w.a_bits <= MAX_UNROLLED
            return parts == w.w_bits == 1 and few
        near = not self.duplicated or reach <= MAX_OFFSET
        counted = self.steps * (1 if self.are_planes_apart else 2**w.a_bits - 1)
        return (parts == 1 or self.are_planes_apart) and near and counted <= MAX_STEPS

    @property
    def are_planes_apart(self) -> bool:
        """Whether a chunk of two planes adds up each by itself, as it has registers for that."""
        fits = self.pixels.tile // self.runs in PIXELS_APART
        out_of_order = self.emitter == "out_of_order"
        return self.w.a_bits == 2 and self.k_bits == 64 and out_of_order and fits

    @property
    def _strides(self) -> tuple[int, int, int]:
        """Bytes of x from a plane, a part of the kernel's rows, a block of words to the next."""
        blocks = self.blocks
        if self.x == "im2col":
            block = self.packed_shape[5] * WORD
            return block * self.row_parts * blocks, block * blocks, block
        row_part = self.cut[0] * self.row
        if self.x == "direct":
            return self.w.kernel_input_shape[4] * WORD, row_part, self.words * WORD
        block = int(np.prod(self.packed_shape[5:])) * WORD
        return block * blocks, row_part, block

    @property
    def parts(self) -> tuple[Part, ...]:
        """All chunks: planes of x, planes of weights, parts of the kernel's rows, of the words."""
        w, blocks, parts = self.w, self.blocks, self.row_parts * self.blocks
        plane, row_part, block = self._strides
        step = self.steps * self.lanes * WORD
        found = [
            Part(i * plane + r * row_part + b * block, (j * parts + r * blocks + b) * step, i + j)
            for i in range(1 if self.are_planes_together else w.a_bits)
            for j in range(w.w_bits)
            for r in range(self.row_parts)
            for b in range(blocks)
        ]
        return tuple(sorted(found, key=lambda part: -part.shift))

    @property
    def pixel_step(self) -> int | None:
        """Bytes from a pixel to the next where that is the same for all pixels of a tile."""
        w, tile = self.w, self.pixels.tile
        if self.x == "im2col":
            return 0
        (sh, sw), in_row = w.stride, w.out_w % tile == 0 and self.pixels.slots == self.pixels.size
        if in_row or tile == 1 or w.out_w * sw * self.column == sh * self.row:
            return sw * self.column
        return None

    @property
    def is_corrected(self) -> bool:
        return is_corrected(self.w)

    @property
    def has_table(self) -> bool:
        return self.pixel_step is None or self.is_corrected

    def tile(self, is_last: bool) -> AnyTile:
        """What one call computes; the last tile of channels has fewer, and what is after them."""
        w = self.w
        y_step = int(np.prod(w.kernel_output_shape[3:]))
        y_step *= np.dtype(w.output_dtype).itemsize
        acc = w.glue == "acc"
        glue = Glue(
            self.isa,
            w.out_bits,
            self.sum_bits,
            y_step,
            plane_step=0 if acc else y_step // w.out_bits,
            y_bits=np.dtype(w.output_dtype).itemsize * 8 if acc else 0,
            factor=factor(w),
            corrected=self.is_corrected,
            lanes=self.lanes,
            reloads=self.emitter in ("out_of_order", "carries"),
        )
        tile = self._tile_of(None if self.has_table else self.pixel_step, glue)
        if not is_last:
            return tile
        used = -(-w.co // 8)
        zeros = 0 if acc else glue.plane_step - used
        return with_end(tile, lanes=self.channels - (self.tiles - 1) * self.lanes, zeros=zeros)

    def _tile_of(self, pixel_step: int | None, glue: Glue) -> AnyTile:
        if self.k_bits == 64:
            return Tile(self.parts, pixel_step, glue, self.runs, self.chunk, self.emitter)
        wide = WideGlue(**vars(glue), signed=self.w.largest + 1 < 2**15)
        tile = WideTile(self.parts, pixel_step, wide, self.runs, self.chunk, self.emitter)
        return replace(tile, glue=replace(wide, given=tile.after))
