"""Few-bit tensors: codes, what they mean, and how their bits lie in memory.

A tensor of ``bits`` bits has *codes* 0 .. 2^bits - 1. *Unipolar*, a code is the value; *bipolar*,
the value is 2 code - (2^bits - 1): -1, +1 for one bit, -3, -1, +1, +3 for two. Weights are bipolar.

**Bit order.** A packed tensor is [..., plane, word]. Plane p has bit p of each code, plane 0 the
least significant. Channel c is bit c % 8 of byte c // 8, the least significant bit first, and words
are little-endian: the same bytes for every type of word, which only rounds the channels up. The
bits of channels past the last one are zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.errors import CheckFailed, InputError

Array = NDArray[Any]

WORDS = {"u8": np.uint8, "u32": np.uint32, "u64": np.uint64}
"""Types of words, as they stand in a key."""

POLARITIES = ("unipolar", "bipolar")


def word_bits(word: str) -> int:
    """Bits of a type of word."""
    return np.dtype(WORDS[word]).itemsize * 8


def words(channels: int, word: str) -> int:
    """Words of one plane of a pixel."""
    return -(-channels // word_bits(word))


def packed_shape(shape: tuple[int, ...], bits: int, word: str) -> tuple[int, ...]:
    """[..., plane, word] of codes[..., channel]."""
    return *shape[:-1], bits, words(shape[-1], word)


def values(codes: Array, bits: int, polarity: str) -> Array:
    """What codes[...] mean, int32."""
    return codes.astype(np.int32) if polarity == "unipolar" else bipolar_values(codes, bits)


def bipolar_values(codes: Array, bits: int) -> Array:
    """2 code - (2^bits - 1), int32."""
    return 2 * codes.astype(np.int32) - (2**bits - 1)


def bipolar_codes(array: Array, bits: int, name: str, axis: int = 0) -> Array:
    """Codes, uint8, of bipolar values of any type.

    Raises ``InputError`` that names the first channel, along ``axis``, whose values are none.
    """
    top = 2**bits - 1
    allowed = range(-top, top + 1, 2)
    fits = np.zeros(array.shape, bool)
    for value in allowed:
        fits |= array == value  # NaN equals nothing
    if not fits.all():
        channel = int(np.argwhere(~fits)[0][axis])
        wrong = np.moveaxis(array, axis, 0)[channel][np.moveaxis(~fits, axis, 0)[channel]].flat[0]
        values = ", ".join(f"{v:+d}" for v in allowed)
        raise InputError(f"{name}: channel {channel} has {wrong}, which is none of {values}")
    return ((array.astype(np.int32) + top) // 2).astype(np.uint8)


def check_codes(codes: Array, bits: int, name: str) -> None:
    """Raises ``InputError`` that names the first channel (last axis) with a code out of range."""
    if not np.issubdtype(codes.dtype, np.integer):
        raise InputError(f"{name}: codes are integers, not {codes.dtype}")
    wrong = (codes < 0) | (codes >= 2**bits)
    if wrong.any():
        channel = int(np.argwhere(wrong)[0][-1])
        code = codes[..., channel][wrong[..., channel]].flat[0]
        raise InputError(
            f"{name}: channel {channel} has {code}, {bits} bits hold 0 to {2**bits - 1}"
        )


def pack_codes(codes: Array, bits: int, word: str) -> Array:
    """codes[..., channel] as words[..., plane, word]."""
    check_codes(codes, bits, "codes")
    unused = words(codes.shape[-1], word) * word_bits(word) - codes.shape[-1]
    padded = np.pad(codes.astype(np.uint8), [(0, 0)] * (codes.ndim - 1) + [(0, unused)])
    planes = np.stack([padded >> p & 1 for p in range(bits)], axis=-2)
    packed = np.packbits(planes, axis=-1, bitorder="little")
    return packed.view(np.dtype(WORDS[word]).newbyteorder("<")).astype(WORDS[word], copy=False)


def unpack_codes(packed: Array, channels: int) -> Array:
    """words[..., plane, word] as codes[..., channel], uint8.

    Raises ``CheckFailed`` where a bit past the last channel is set: whatever counts bits would
    count it.
    """
    stored = np.ascontiguousarray(packed, packed.dtype.newbyteorder("<"))
    planes = np.unpackbits(stored.view(np.uint8), axis=-1, bitorder="little")
    unused = np.argwhere(planes[..., channels:])
    if len(unused):
        *at, bit = unused[0].tolist()
        raise CheckFailed(
            f"bits past the last channel are set: {len(unused)}, first at {at} bit {channels + bit}"
        )
    planes = planes[..., :channels]
    weights = (1 << np.arange(packed.shape[-2], dtype=np.uint8))[:, None]
    return (planes * weights).sum(axis=-2, dtype=np.uint8)
