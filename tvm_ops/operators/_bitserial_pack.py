"""From trained parameters to what the few-bit kernels take: weights, bounds on T, corrections.

T = sum of 2^(i + j) popcount(x_i ^ w_j) over planes i of x and j of weights. With bipolar codes of
x, all pads being code 0, y = A - 2 T with A = K (2^a - 1)(2^w - 1); with unipolar ones y = A - T
with A = sum of 2^(i + j) popcount(w_j). So y >= t is T <= floor((A - t) / m), m = 2 or 1. Exact
zeros for the pads of bipolar codes add (2^a - 1) times the weights that fall outside to y.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tvm_ops.operators import _bits, _glue
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._bitserial_borders import corrections, is_corrected
from tvm_ops.operators._bitserial_reference import check
from tvm_ops.operators._layout import Array


def factor(w: FewBitWorkload) -> int:
    """m of y = A - m T."""
    return 1 if w.polarity == "unipolar" else 2


def sum_bits(w: FewBitWorkload) -> int:
    """Of the type that T is held in: T and the bound that none reaches, T + 1, fit it."""
    return 16 if w.largest + 1 < 2**16 else 32


def constants(w: FewBitWorkload, weights: Array) -> Array:
    """A [co], int64."""
    if w.polarity != "unipolar":
        return np.full(w.co, w.largest, np.int64)
    codes = _bits.bipolar_codes(weights, w.w_bits, "weights")
    return (2**w.a_bits - 1) * codes.reshape(w.co, -1).sum(axis=1, dtype=np.int64)


def bounds(w: FewBitWorkload, arrays: dict[str, Array]) -> tuple[Array, Array]:
    """bounds [co, level], falling, and flips [co], 0 or 1.

    The code is how many levels have (T < bound), its planes xor'ed with flip: y <= t, of a negative
    sign, is T >= ceil((A - t) / m), so the count of those with T < that is turned over.
    """
    thresholds, signs = arrays.get("thresholds"), arrays.get("signs")
    if thresholds is None or signs is None:
        thresholds = _glue.shift_thresholds(arrays["mu"], arrays["shift"], w.out_bits)
        signs = np.ones(w.co, np.int8)
    room = constants(w, arrays["weights"])[:, None] - thresholds.astype(np.int64)
    m = factor(w)
    rising = room // m + 1  # T < floor(room / m) + 1
    falling = -(-room // m)  # T < ceil(room / m)
    found = np.where(signs[:, None] > 0, rising, falling)
    return np.clip(found, 0, w.largest + 1), (signs < 0).astype(np.uint8)


class Order(Protocol):
    """In which order a kernel takes its weights; its channels may be those of all groups."""

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """[group, tile, plane of the weights, part, step, channel]: 64 or 16 bits each."""

    @property
    def order(self) -> tuple[int, ...]:
        """Which of a tile's channels comes first, and so on, but for ``flips``."""

    @property
    def row_parts(self) -> int:
        """Into how many parts the kernel's rows are cut, and ``blocks``, each pixel's words."""

    @property
    def blocks(self) -> int: ...

    @property
    def words(self) -> int:
        """64-bit words of a block."""

    @property
    def bias(self) -> int:
        """What sums lack of T; 0 unless they begin with ``starts``."""

    @property
    def sum_bits(self) -> int:
        """Of the sums' type."""

    @property
    def starts(self) -> int:
        """How many numbers of 32 bits a tile's sums begin with, or 0: they begin with zero."""

    def arranged(self, weights: Array) -> Array:
        """``weights_shape`` as the kernel takes it."""


def pack(w: FewBitWorkload, order: Order, arrays: dict[str, Array]) -> dict[str, Array]:
    """x in words, and ``pack_parameters``; raises ``InputError`` that names the channel."""
    check(w, arrays)
    packed = {}
    if "x" in arrays:
        packed["x"] = _bits.pack_codes(arrays["x"], w.a_bits, w.word)
    if "weights" in arrays:
        packed |= pack_parameters(w, order, arrays)
    return {name: np.ascontiguousarray(array) for name, array in packed.items()}


def pack_parameters(w: FewBitWorkload, order: Order, arrays: dict[str, Array]) -> dict[str, Array]:
    """weights as ``pack_weights``; bounds, flips or offsets, and corrections, by group and tile.

    For tiles of C = 8 or 32 channels: bounds [group, tile, level, C], flips [group, tile] with a
    channel a bit; offsets [group, tile, C]; corrections [class, group, tile, C]. Channels past the
    last: bits of zero.

    With S numbers that sums begin with: starts [group, tile, S], which are offsets, or less than
    zero by the last bound, so that there are only the other bounds, less that one. Nothing is
    flipped.
    """
    if order.starts:
        arrays = turned(arrays)
    weights = arrays["weights"]
    packed = {"weights": pack_weights(w, order, weights)}
    kind = np.dtype(f"uint{order.sum_bits}")
    if order.starts:
        packed |= _starts(w, order, arrays, kind)
    elif w.glue == "acc":
        packed["offsets"] = _by_tile(constants(w, weights), order).astype(w.output_dtype)
    else:
        found, flips = bounds(w, arrays)
        packed["bounds"] = np.moveaxis(_by_tile(found.T, order), 0, 2).astype(kind)
        bits = np.packbits(_by_tile(flips, order, mixed=False), axis=-1, bitorder="little")
        packed["flips"] = bits.view(f"<u{bits.shape[-1]}")[..., 0]
    if is_corrected(w):
        # Sums are corrected modulo 2^16 or 2^32: what a correction adds to T is below that again.
        times = -factor(w) if order.starts and w.glue == "acc" else 1
        packed["corrections"] = _by_tile(times * corrections(w, weights), order).astype(kind)
    return packed


def _starts(
    w: FewBitWorkload, order: Order, arrays: dict[str, Array], kind: np.dtype[Any]
) -> dict[str, Array]:
    """starts, and, of two levels and more, bounds."""
    packed = {}
    if w.glue == "acc":
        starts = _by_tile(constants(w, arrays["weights"]) - factor(w) * order.bias, order)
    else:
        # Past the last channel, where weights are zero, T is no less than its bound of 0.
        levels = _by_tile(bounds(w, arrays)[0].T, order)
        starts = order.bias - levels[-1]
        if len(levels) > 1:
            packed["bounds"] = np.moveaxis(levels[:-1] - levels[-1], 0, 2).astype(kind)
    spread = np.zeros((*starts.shape, order.starts // starts.shape[-1]), np.int32)
    spread[..., 0] = starts
    return {"starts": spread.reshape(*starts.shape[:2], order.starts)} | packed


def turned(arrays: dict[str, Array]) -> dict[str, Array]:
    """The same codes by channels of positive signs only: y <= t is -y >= -t."""
    signs, thresholds = arrays.get("signs"), arrays.get("thresholds")
    if signs is None or thresholds is None:
        return arrays
    weights = arrays["weights"]
    each = signs.astype(np.int64).reshape(-1, *[1] * (weights.ndim - 1))
    return arrays | {
        "weights": (weights * each).astype(weights.dtype),
        "thresholds": np.sort(thresholds.astype(np.int64) * signs[:, None], axis=1),
        "signs": np.ones_like(signs),
    }


def _by_tile(array: Array, order: Order, mixed: bool = True) -> Array:
    """[..., co] as [..., group, tile, channel], zeros where a group's last tile has no channel."""
    channels = order.weights_shape[-1]
    grouped = array.reshape(*array.shape[:-1], order.weights_shape[0], -1)
    unused = -grouped.shape[-1] % channels
    padded = np.pad(grouped, [(0, 0)] * (grouped.ndim - 1) + [(0, unused)])
    tiles = padded.reshape(*padded.shape[:-1], -1, channels)
    return tiles[..., list(order.order)] if mixed else tiles


def pack_weights(w: FewBitWorkload, order: Order, weights: Array) -> Array:
    """[group, tile, plane, (row part, block), (row, column, word), channel], uint64.

    Tiles of 32 channels have 16 bits of each by turns: uint16, (row, column, word, quarter). Words
    past ci are zero.
    """
    codes = _bits.bipolar_codes(weights, w.w_bits, "weights")
    packed = _bits.pack_codes(codes, w.w_bits, "u64")  # [co, kh, kw, plane, word]
    words = order.blocks * order.words
    packed = np.pad(packed, [(0, 0)] * 4 + [(0, words - packed.shape[-1])])
    # [kh, kw, plane, word, group, tile, channel]
    by_tile = _by_tile(np.moveaxis(packed, 0, -1), order)
    rows = order.row_parts, w.kernel[0] // order.row_parts
    sizes = (*rows, w.kernel[1], w.w_bits, order.blocks, order.words, *by_tile.shape[4:])
    ordered = by_tile.reshape(sizes).transpose(6, 7, 3, 0, 4, 1, 2, 5, 8)
    quarters = 512 // ordered.shape[-1] // 8  # bytes of a channel in a step
    found = np.ascontiguousarray(ordered)[..., None].view(f"<u{quarters}")
    found = np.ascontiguousarray(found.swapaxes(-1, -2)).reshape(order.weights_shape)
    return order.arranged(found)
