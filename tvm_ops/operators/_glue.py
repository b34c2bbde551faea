"""Glue in numpy: what makes codes of N bits of integer sums y[..., co], channel by channel.

*Threshold form*: 2^N - 1 ascending thresholds t and a sign for each channel, in units of y;
the code is how many j have y >= t_j (sign +1) or y <= t_j (sign -1).

*Shift form* (Fromm et al., "Riptide: Fast End-to-End Binarized Neural Networks", MLSys 2020, on
fused binary glue): clip((y - mu + 2^(s-1)) >> s, 0, 2^N - 1), a division by 2^s rounded half up;
without the rounding term for s = 0.

Which sums reach it: ``_accumulator`` allows |y| < 2^30. For those int32's ends are thresholds that
none or all of them meet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.errors import InputError

Array = NDArray[Any]
Shape = tuple[int, ...]

INT32 = np.iinfo(np.int32)
LARGEST_SHIFT = 31


def threshold_codes(y: Array, thresholds: Array, signs: Array, bits: int) -> Array:
    """Codes, uint8[..., co], of sums y[..., co].

    ``thresholds`` [co, 2^bits - 1], ``signs`` [co]; both have passed ``check_thresholds``.
    """
    codes = np.zeros(y.shape, np.uint8)
    for level in range(2**bits - 1):
        bound = thresholds[:, level]
        codes += np.where(signs > 0, y >= bound, y <= bound)
    return codes


def shift_codes(y: Array, mu: Array, shift: Array, bits: int) -> Array:
    """Codes, uint8[..., co], of sums y[..., co] of any integer type up to int32.

    ``mu`` and ``shift`` [co] have passed ``check_shift``. Computed in int64, where nothing wraps.
    """
    s = shift.astype(np.int64)
    shifted = (y.astype(np.int64) - mu.astype(np.int64) + _half(s)) >> s
    return np.clip(shifted, 0, 2**bits - 1).astype(np.uint8)


def glue_codes(glue: str, y: Array, arrays: dict[str, Array], bits: int) -> Array:
    """What ``glue``, thr or shift, makes of sums y[..., co]; y itself for acc."""
    if glue == "thr":
        return threshold_codes(y, arrays["thresholds"], arrays["signs"], bits)
    if glue == "shift":
        return shift_codes(y, arrays["mu"], arrays["shift"], bits)
    return y


def shift_thresholds(mu: Array, shift: Array, bits: int) -> Array:
    """The shift form as thresholds int32[co, 2^bits - 1]; the sign of each channel is +1.

    (y - mu + h) >> s >= j  <=>  y - mu + h >= j 2^s  <=>  y >= mu - h + j 2^s, as >> s is the
    floor of a division by 2^s; h is 2^(s-1), and 0 for s = 0. Where that is outside int32 it
    becomes int32's end: -2^31 is met by every int32, as what it stands for; 2^31 - 1 by no
    y < 2^31 - 1, and so by no sum that ``_accumulator`` allows.
    """
    s = shift.astype(np.int64)
    levels = np.arange(1, 2**bits, dtype=np.int64)
    exact = (mu.astype(np.int64) - _half(s))[:, None] + (levels << s[:, None])
    return np.clip(exact, INT32.min, INT32.max).astype(np.int32)


def _half(shift: Array) -> Array:
    """2^(s-1), which rounds to the nearest; 0 for s = 0."""
    return np.left_shift(1, shift) >> 1


def check_thresholds(thresholds: Array, signs: Array, channels: int, bits: int) -> None:
    """Raises ``InputError``, naming the first channel, unless they are a threshold form.

    ``thresholds`` [channels, 2^bits - 1] integers of 32 bits, ascending (equal ones allowed);
    ``signs`` [channels], +1 or -1. Any type of number, if the values are such.
    """
    _check_integers("thresholds", thresholds, (channels, 2**bits - 1), (INT32.min, INT32.max))
    falls = thresholds[:, 1:] < thresholds[:, :-1]
    if falls.any():
        channel = int(np.argwhere(falls)[0][0])
        raise InputError(f"thresholds: channel {channel} has {thresholds[channel]}, not ascending")
    _check_integers("signs", signs, (channels,), (-1, 1))
    if (signs == 0).any():
        raise InputError(f"signs: channel {int(np.argwhere(signs == 0)[0][0])} has 0, not +1 or -1")


def check_shift(mu: Array, shift: Array, channels: int) -> None:
    """Raises ``InputError``, naming the first channel, unless they are a shift form.

    ``mu`` [channels] integers of 32 bits, ``shift`` [channels] integers 0 .. 31.
    """
    _check_integers("mu", mu, (channels,), (INT32.min, INT32.max))
    _check_integers("shift", shift, (channels,), (0, LARGEST_SHIFT))


def _check_integers(name: str, array: Array, shape: Shape, limits: tuple[int, int]) -> None:
    """Whole numbers within ``limits``, of this shape; channels are the first axis."""
    if array.shape != shape:
        raise InputError(f"{name}: shape {list(array.shape)}, not {list(shape)} for the channels")
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: channel 0 has {array.dtype}, not integers")
    low, high = limits
    if array.dtype.kind == "f":  # float32 would round 2^31 - 1 up
        array = array.astype(np.float64)
    fits = (array >= low) & (array <= high) & (array == np.trunc(array))  # NaN fits nothing
    if not fits.all():
        at = tuple(np.argwhere(~fits)[0])
        raise InputError(
            f"{name}: channel {int(at[0])} has {array[at]}, not an integer of {low} to {high}"
        )
