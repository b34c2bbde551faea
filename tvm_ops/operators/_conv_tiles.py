"""What convolutions of channels in blocks share: the output in tiles, the order of weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._layout import Array
from tvm_ops.operators._neon_registers import LANES

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Axis:
    """One axis of the output in tiles, ``block`` of which make a block.

    What reaches over the end is moved back to end with the axis, the tile alone or (``together``)
    its whole block: some outputs are computed again, none is asked whether it exists.
    """

    size: int
    tile: int
    block: int = 1
    together: bool = False

    @property
    def tiles(self) -> int:
        """Rounded up to whole blocks."""
        return -(-self.size // (self.tile * self.block)) * self.block

    @property
    def slots(self) -> int:
        """Outputs of all tiles, those that are computed twice counted twice."""
        return self.tiles * self.tile

    def start(self, tile: Any) -> Any:
        """The first output of a tile; the tiles of a block follow each other."""
        from tvm import tirx

        if self.slots == self.size:
            return tile * self.tile
        if not self.together:
            return tirx.min(tile * self.tile, self.size - self.tile)
        step = self.tile * self.block
        first = tirx.min(tile // self.block * step, self.size - step)
        return first + tile % self.block * self.tile

    def position(self, slot: Any) -> Any:
        """The output's index of a slot."""
        return self.start(slot // self.tile) + slot % self.tile


@dataclass(frozen=True)
class Tiling:
    """Sizes of a workload under the knobs ``tile`` (rows, columns, vectors), ``block``, ``lanes``.

    A pointwise convolution is one row of h * w pixels, and ``block`` counts its tiles; else it
    counts rows of tiles. ``vectors`` are those of ``lanes`` channels of one group's output. ``x``
    is where tiles read the input: "direct"ly, from the "padded" rows of their block, from
    "panels" with a tile's pixels together, or, if it is NCHW of few channels, from padded rows
    with the channels "interleaved", so that a kernel row's factors are neighbours.
    """

    w: ConvWorkload
    lanes: int
    rows: Axis
    cols: Axis
    vectors: Axis
    x: str

    @classmethod
    def of(cls, w: ConvWorkload, knobs: dict[str, Any]) -> Self:
        lanes, (tile_h, tile_w, tile_v), block = knobs["lanes"], knobs["tile"], knobs["block"]
        rows, cols = Axis(w.out_h, tile_h, block, together=True), Axis(w.out_w, tile_w)
        if w.is_pointwise:
            rows, cols = Axis(1, 1), Axis(w.out_h * w.out_w, tile_w, block)
        per_group, c = w.co // w.groups, w.block[1]  # a block's last vectors are written too
        vectors = Axis(-(-per_group // c) * c // lanes, tile_v)
        return cls(w, lanes, rows, cols, vectors, knobs["x"])

    @property
    def together(self) -> int:
        """Channels that lie together in what the tiles read."""
        return self.w.ci if self.x == "interleaved" else self.w.block[0]

    @property
    def ci_blocks(self) -> int:
        """The input's blocks of channels, of one group."""
        return -(-self.w.ci // self.w.groups // self.together)

    @property
    def channels(self) -> int:
        """Of the output, with those that fill the last block of each group."""
        return self.w.groups * self.vectors.size * self.lanes

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """[group, co tile, ci block, kh, kw, ci in block, co in tile]."""
        w, tile_co = self.w, self.vectors.tile * self.lanes
        return w.groups, self.vectors.tiles, self.ci_blocks, *w.kernel, self.together, tile_co

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """Of what the tiles read if it is not x: [n, row block, ...] or [n, tile, ...].

        Interleaved rows are flat, whole vectors long, and the last factors' vector ends in them.
        """
        w, c = self.w, self.w.block[0]
        if self.x == "panels":
            return w.n, self.cols.tiles, self.ci_blocks * w.groups, self.cols.tile, c
        rows = self.rows.tile * self.rows.block
        rows = (rows - 1) * w.stride[0] + (w.kernel[0] - 1) * w.dilation[0] + 1
        blocks = self.rows.tiles // self.rows.block
        width = w.w + 2 * w.pad[1]
        if self.x == "interleaved":
            return w.n, blocks, rows, -(-(width * w.ci + LANES - 1) // LANES) * LANES
        return w.n, blocks, self.ci_blocks * w.groups, rows, width, c

    @property
    def x_shape(self) -> tuple[int, ...]:
        """x as the blocks see it: NCHW in blocks of one channel; in one row, if y's pixels are."""
        return _image(self.w.kernel_input_shape, self.w.is_pointwise and self.w.stride == (1, 1))

    @property
    def y_shape(self) -> tuple[int, ...]:
        """The same of y and residual; in one row where the convolution is pointwise."""
        return _image(self.w.kernel_output_shape, self.w.is_pointwise)


def _image(shape: tuple[int, ...], one_row: bool) -> tuple[int, ...]:
    n, channels, h, w, *block = shape
    return n, channels, *((1, h * w) if one_row else (h, w)), *(block or [1])


def pack_blocks(t: Tiling, shared: dict[str, Array], arrays: dict[str, Array]) -> dict[str, Array]:
    """``shared`` (x, residual) and what is given of weights, bias and slope, as ``t`` has them."""
    w, packed = t.w, dict(shared)
    co, ci, c = w.co // w.groups, w.ci // w.groups, t.together
    channels = t.vectors.size * t.lanes
    if "weights" in arrays:
        grouped = arrays["weights"].reshape(w.groups, co, ci, *w.kernel)
        rest = (0, channels - co), (0, t.ci_blocks * c - ci)
        grouped = np.pad(grouped, ((0, 0), *rest, (0, 0), (0, 0)))
        size = t.vectors.tile * t.lanes
        starts = [min(i * size, channels - size) for i in range(t.vectors.tiles)]
        tiles = np.stack([grouped[:, s : s + size] for s in starts], axis=1)
        tiles = tiles.reshape(w.groups, len(starts), size, t.ci_blocks, c, *w.kernel)
        packed["weights"] = np.ascontiguousarray(tiles.transpose(0, 1, 3, 5, 6, 4, 2), np.float32)
    for name in [name for name in ("bias", "slope") if name in arrays]:
        rows = arrays[name].reshape(w.groups, co)
        padded = np.pad(rows, ((0, 0), (0, channels - co)))
        packed[name] = padded.reshape(-1).astype(np.float32)
    return packed
