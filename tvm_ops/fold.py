"""From a trained network's float parameters to the integer glue of few-bit layers.

A layer's kernel sums codes to an integer Y for each output channel (the last axis). Between Y and
the next layer's codes the network has float arithmetic: a scale, a bias, a batch normalisation, an
activation, a quantization to N bits. Here that becomes

- thresholds (``fold_function``, ``fold_batch_norm``): exactly what the float arithmetic gives, for
  every Y. Thresholds are not solved for in reals but found by bisection on the network's own
  function over the integers, so that its roundings are theirs;
- a mean and a shift (``fold_shift_norm``): a network's own arithmetic only if it was trained with
  powers of two in place of its scales.

Y is in units of the kernel's values: bipolar codes count as -(2^a - 1) .. 2^a - 1 in steps of two,
unipolar ones as 0 .. 2^a - 1. A network whose activations are multiples d of these has a
``scale`` of d, times that of its weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tvm_ops.errors import InputError
from tvm_ops.fold_parameters import (
    BatchNorm,
    demand,
    floats,
    require_bits,
    require_channels,
    require_integer,
    step_codes,
)
from tvm_ops.operators._accumulator import sum_dtype
from tvm_ops.operators._bits import POLARITIES
from tvm_ops.operators._glue import INT32, check_shift, threshold_codes

__all__ = [
    "BatchNorm", "Shifts", "Thresholds", "fold_batch_norm", "fold_function", "fold_shift_norm",
    "power_of_two", "step_codes",
]  # fmt: skip

Array = NDArray[Any]
Codes = Callable[[Array], Array]
"""Of an array [..., co] its codes, integers 0 .. 2^N - 1, each channel by itself."""

WHOLE_RANGE = 2**17
"""Up to so many values of Y are all compared with the fold, more than any int16 sum has."""
_ROWS = 2**12  # of one comparison: 16 MB of float32 for 1024 channels


class Thresholds(NamedTuple):
    """The threshold form of ``operators/_glue.py``."""

    thresholds: Array
    """int32[co, 2^N - 1], ascending; int32's ends are met by all sums or by none"""
    signs: Array
    """int8[co], +1 or -1"""


class Shifts(NamedTuple):
    """The shift form of ``operators/_glue.py``."""

    mu: Array
    """int32[co]"""
    shift: Array
    """int32[co], 0 .. 31"""


def fold_batch_norm(norm: BatchNorm, quantize: Codes, largest: int, bits: int) -> Thresholds:
    """Thresholds that equal ``quantize(norm(Y))`` for each sum |Y| <= ``largest``.

    ``quantize`` is activation and quantization in one, such as ``step_codes`` with its edges.
    Raises as ``fold_function`` does.
    """
    return fold_function(lambda y: quantize(norm(y)), len(norm.mean), largest, bits)


def fold_function(codes: Codes, channels: int, largest: int, bits: int) -> Thresholds:
    """Thresholds and signs that equal ``codes(Y)`` for each sum |Y| <= ``largest``.

    ``codes`` takes int64[..., channels] and is monotone in each channel, rising or falling;
    ``largest`` is ``operators._accumulator.largest_sum``'s. A channel with one code everywhere gets
    thresholds that all sums meet or none.

    The result is held to ``codes`` over the whole range if it has at most ``WHOLE_RANGE`` values,
    else at as many evenly spread ones and beside each threshold. Raises ``InputError``, naming the
    first channel, if they differ, which is so if ``codes`` is not monotone, or if it gives no codes
    of ``bits`` (1 to 3); and if sums of ``largest`` are not proven safe.
    """
    require_integer("channels", channels, 1)
    require_integer("largest", largest, 1)
    require_bits(bits)
    sum_dtype(largest)
    codes = _checked(codes, bits)
    ends = codes(np.array([[-largest], [largest]]).repeat(channels, axis=1))
    signs = np.where(ends[1] >= ends[0], 1, -1).astype(np.int8)
    first = _bisect(lambda v: codes(signs * v), channels, largest, bits)
    # Sign -1: -Y >= t is Y <= -t, and what ascends in -Y descends in Y.
    never, always = first > largest, first <= -largest
    exact = np.where(never, INT32.max, np.where(always, INT32.min, first))
    falling = np.where(never, INT32.min, np.where(always, INT32.max, -first))[:, ::-1]
    thresholds = np.where(signs[:, None] > 0, exact, falling).astype(np.int32)
    folded = Thresholds(thresholds, signs)
    _compare(codes, folded, largest, bits)
    return folded


def _checked(codes: Codes, bits: int) -> Codes:
    """``codes`` as int64; it raises ``InputError``, naming the first channel, for other numbers."""
    top = 2**bits - 1

    def call(y: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is checked
            found = np.asarray(codes(y))
        if found.shape != y.shape or found.dtype.kind not in "biuf":
            given = f"{found.dtype} of shape {list(found.shape)}"
            raise InputError(f"codes of sums {list(y.shape)}: {given}, not integers of theirs")
        fits = (found >= 0) & (found <= top) & (found == np.rint(found))
        if not fits.all():
            row, channel = map(int, np.argwhere(~fits)[0])
            wrong = f"code {found[row, channel]} at {y[row, channel]}"
            raise InputError(f"channel {channel} has {wrong}, {bits} bits hold 0 to {top}")
        return found.astype(np.int64)

    return call


def _bisect(rising: Codes, channels: int, largest: int, bits: int) -> Array:
    """The least v of -largest .. largest with a code >= j, [channels, j]; else largest + 1."""
    levels = np.arange(1, 2**bits)[:, None]
    low = np.full((2**bits - 1, channels), -largest, np.int64)
    high = np.full_like(low, largest + 1)
    while (low < high).any():
        middle = np.minimum((low + high) >> 1, largest)  # where low == high it may be past the end
        met = rising(middle) >= levels
        high = np.where(met & (low < high), middle, high)
        low = np.where(met | (low >= high), low, middle + 1)
    return low.T


def _compare(codes: Codes, folded: Thresholds, largest: int, bits: int) -> None:
    """Raises ``InputError``, naming a channel, where the fold is not the function."""
    if 2 * largest < WHOLE_RANGE:
        points = np.arange(-largest, largest + 1)
    else:
        beside = folded.thresholds.astype(np.int64).ravel() + np.array([[-1], [0], [1]])
        spread = np.linspace(-largest, largest, WHOLE_RANGE).astype(np.int64)
        points = np.union1d(spread, beside[np.abs(beside) <= largest])
    for start in range(0, len(points), _ROWS):
        y = points[start : start + _ROWS, None].repeat(len(folded.signs), axis=1)
        wanted, found = codes(y), threshold_codes(y, *folded, bits)
        if (wanted != found).any():
            row, channel = map(int, np.argwhere(wanted != found)[0])
            raise InputError(
                f"channel {channel} has code {wanted[row, channel]} at {y[row, channel]}, where a "
                f"monotone function of {bits} bits would have {found[row, channel]}"
            )


def power_of_two(x: ArrayLike) -> Array:
    """round(log2 x) of positive float32, int32: exactly, with no logarithm.

    x = m 2^e with 1/2 <= m < 1 rounds up to e if m >= sqrt(1/2), that is m^2 >= 1/2, which float64
    decides exactly for the 24 bits of m; equality would need an irrational m. Raises
    ``InputError``, naming the first channel, for others.
    """
    positive = floats("x", x, np.shape(x))
    demand(positive > 0, "x", positive, "not positive")
    mantissa, exponent = np.frexp(positive.astype(np.float64))
    return np.asarray(exponent - (mantissa * mantissa < 0.5)).astype(np.int32)


def fold_shift_norm(
    weight_scale: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    bits: int,
    *,
    eps: float = 1e-5,
    step: float = 1.0,
    polarity: str = "unipolar",
) -> Shifts:
    """Mean and shift of a layer with Riptide's scales; ``weight_scale`` is mean|w|, all [co].

    Fromm et al., "Riptide: Fast End-to-End Binarized Neural Networks", MLSys 2020, on fused binary
    glue: weights are +-2^-wb with wb = -round(log2 mean|w|); batch normalisation is a subtraction
    of the mean and a product with 2^r, r = round(log2 (1 / sqrt(var + eps))), in float32. With
    activations of ``step`` a unit, in and out, the network's next code is

        round_half_up(((step 2^-wb Y - mean) 2^r) / step)      clipped to 0 .. 2^N - 1
        = (Y - mu + 2^(s-1)) >> s,    s = wb - r,    mu = mean 2^wb / step

    and mu is rounded (half to even) and clipped to wb + N bits and a sign, |mu| <= 2^(wb + N) - 1.
    Bipolar, the quotient is a value v = 2 code - (2^N - 1), so code = round_half_up((v + 2^N - 1)
    / 2): s = wb - r + 1 and mu is less by (2^N - 1) 2^(s-1).

    The powers of two and mu *replace* the scales of a network with a batch norm: for that one it is
    an approximation. A network that computes these itself while it is trained is reproduced
    exactly: in float32, with a power of two for ``step`` and |Y - mu| < 2^23, nothing rounds.

    Raises ``InputError``, naming the first channel: a weight scale that is zero, negative or not
    finite, a mean or variance that is none, a shift outside 0 .. 31 (1 .. 31 bipolar); and for
    other shapes, bits that are not 1 to 3, a ``step`` that is not positive.
    """
    if polarity not in POLARITIES:
        raise InputError(f"polarity '{polarity}' is none of {', '.join(POLARITIES)}")
    require_bits(bits)
    demand(floats("step", step, ()) > 0, "step", np.asarray(step), "not positive")
    shape = require_channels("weight_scale", weight_scale)
    given = {"weight_scale": weight_scale, "mean": mean, "var": var}
    scales, means, variances = (floats(name, array, shape) for name, array in given.items())
    demand(scales != 0, "weight_scale", scales, "a scale of zero")
    demand(scales > 0, "weight_scale", scales, "not positive")
    total = variances + floats("eps", eps, ())
    demand(total > 0, "var", variances, f"not positive with eps {eps}")
    weight_bits = -power_of_two(scales).astype(np.int64)
    shift = weight_bits - power_of_two(np.float32(1) / np.sqrt(total))
    limit = np.ldexp(1.0, np.clip(weight_bits + bits, 0, 31)) - 1
    mu = np.clip(np.round(np.ldexp(means.astype(np.float64), weight_bits) / step), -limit, limit)
    if polarity == "bipolar":
        shift = shift + 1
        demand(shift > 0, "shift", shift, "not 1 to 31")
        mu = mu - np.ldexp(float(2**bits - 1), shift - 1)
    check_shift(mu, shift, len(scales))
    return Shifts(mu.astype(np.int32), shift.astype(np.int32))
