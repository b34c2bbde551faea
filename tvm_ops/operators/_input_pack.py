"""Weights and glue of ``binary_input_conv2d`` as its kernel takes them."""

from __future__ import annotations

import numpy as np

from tvm_ops.operators import _glue
from tvm_ops.operators._bounds import flip_bytes, fold_thresholds, pad_bounds
from tvm_ops.operators._input_conv import InputConv
from tvm_ops.operators._layout import Array


def pack_weights(c: InputConv, negative: Array) -> Array:
    """Of [co, kh, kw, ci], whether -1: masks of 0 and -1, for dot products +-1, 0 past the taps."""
    tile, tiles = c.tile(False), c.tiles[0]
    channels = 8 * c.vectors
    rows = negative.reshape(c.w.co, tile.rows, tile.taps)
    values = np.where(rows, -1, 1 if c.dot else 0).astype(np.int8)
    taps = tile.groups * tile.group
    unused = (tiles * channels - c.w.co, 0, max(0, taps - tile.taps))
    values = np.pad(values, [(0, u) for u in unused])
    split = values.reshape(tiles, channels, tile.rows, -1).transpose(0, 2, 1, 3)
    grouped = split[..., :taps].reshape(tiles, tile.rows, channels, tile.groups, tile.group)
    in_order = grouped.transpose(0, 1, 3, 2, 4).reshape(tiles, tile.rows, -1)
    last = split[..., taps:].transpose(0, 1, 3, 2).reshape(tiles, tile.rows, -1)
    return np.ascontiguousarray(np.concatenate([in_order, last], axis=-1))


def pack_glue(c: InputConv, negative: Array, arrays: dict[str, Array]) -> dict[str, Array]:
    """bounds and flips, or offsets; raises ``InputError`` that names the channel."""
    w, tiles, channels = c.w, c.tiles[0], 8 * c.vectors
    offsets = _offsets(c, negative)
    if w.glue == "acc":
        padded = np.pad(offsets, (0, tiles * channels - w.co)).astype(w.output_dtype)
        return {"offsets": padded.reshape(tiles, channels)}
    if w.glue == "shift":
        thresholds = _glue.shift_thresholds(arrays["mu"], arrays["shift"], w.out_bits)
        signs = np.ones(w.co, np.int8)
    else:
        thresholds, signs = arrays["thresholds"], arrays["signs"]
    folded = fold_thresholds(thresholds, signs, w.out_bits, c.sums, offsets)
    bounds, flips = pad_bounds(*folded, tiles * channels)
    levels = bounds.reshape(-1, tiles, channels).transpose(1, 0, 2)
    planes = flip_bytes(flips, w.out_bits).reshape(w.out_bits, tiles, c.vectors)
    return {
        "bounds": np.ascontiguousarray(levels),
        "flips": np.ascontiguousarray(planes.transpose(1, 0, 2)),
    }


def _offsets(c: InputConv, negative: Array) -> Array:
    """y less the kernel's own sum: -m of each -1, and 128 w of each byte that is x - 128."""
    counts = negative.reshape(c.w.co, -1).sum(axis=1, dtype=np.int64)
    of_bytes = 128 if c.w.image == "u8" else 0
    of_signs = 0 if c.dot else 1
    return np.asarray(of_bytes * (c.w.k - 2 * counts) + of_signs * counts)
