"""Thresholds with signs as what a kernel compares with: bounds, and codes to flip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.operators._bits import pack_codes

Array = NDArray[Any]


def fold_thresholds(
    thresholds: Array, signs: Array, bits: int, dtype: str, offset: Array | int = 0
) -> tuple[Array, Array]:
    """(bounds ``dtype`` [2^bits - 1, c], flips uint8 [c]) of ``_glue``'s threshold form.

    The code of y = sum + offset is that of the levels sum >= bound (``_mask_bits.plane_masks``),
    xor flips. A negative sign's y <= t is not (y >= t + 1): each of its levels flips. A bound above
    all values of ``dtype`` is met by none: it becomes the least value, which all meet, and flips.
    """
    negative = (signs < 0)[:, None]
    offsets = np.broadcast_to(np.asarray(offset, np.int64), signs.shape)[:, None]
    exact = thresholds.astype(np.int64) + negative - offsets
    info = np.iinfo(dtype)
    never = exact > info.max
    bounds = np.where(never, info.min, np.maximum(exact, info.min)).astype(dtype)
    flips = negative ^ never
    codes = np.zeros(len(signs), np.uint8)
    for bit in range(bits):
        chosen = flips[:, 2**bit - 1 :: 2**bit]
        codes |= (np.bitwise_xor.reduce(chosen, axis=1) << bit).astype(np.uint8)
    return np.ascontiguousarray(bounds.T), codes


def pad_bounds(bounds: Array, flips: Array, channels: int) -> tuple[Array, Array]:
    """Both for so many channels; the code of the added ones is 0 for every sum."""
    levels, given = bounds.shape
    wide = np.full((levels, channels), np.iinfo(bounds.dtype).min, bounds.dtype)
    wide[:, :given] = bounds
    top = levels  # every level is met: all bits are set
    return wide, np.pad(flips, (0, channels - given), constant_values=top)


def flip_bytes(flips: Array, bits: int) -> Array:
    """flips[c], c a multiple of 8, as bytes [plane, c / 8]."""
    return pack_codes(flips, bits, "u8")
