"""A trained network's float parameters: what they have to be, and the arithmetic they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tvm_ops.errors import InputError
from tvm_ops.operators._few_bits import MAX_BITS

Array = NDArray[Any]


@dataclass(frozen=True)
class BatchNorm:
    """((Y scale + bias) - mean) (gamma / sqrt(var + eps)) + beta, for each channel.

    In float32, each operation rounded by itself, in the order written; a ``scale`` or ``bias`` of
    None is no operation. Parameters are [co], ``scale`` may be one number.

    Raises ``InputError``, naming the first channel, where a parameter is not finite, var + eps not
    positive or the scale of Y zero or not finite: such a channel says nothing about the layer's
    input; and for parameters of another shape, or that are no numbers.
    """

    gamma: Array
    beta: Array
    mean: Array
    var: Array
    eps: float = 1e-5
    scale: Array | float | None = None
    bias: Array | None = None

    def __post_init__(self) -> None:
        shape = require_channels("mean", self.mean)
        for name in ("gamma", "beta", "mean", "var"):
            object.__setattr__(self, name, floats(name, getattr(self, name), shape))
        if self.bias is not None:
            object.__setattr__(self, "bias", floats("bias", self.bias, shape))
        if self.scale is not None:
            factor = floats("scale", self.scale, np.shape(self.scale) and shape)
            demand(factor != 0, "scale", np.asarray(self.scale), "a scale of zero")
            object.__setattr__(self, "scale", factor)
        eps = floats("eps", self.eps, ())
        demand(self.var + eps > 0, "var", self.var, f"not positive with eps {self.eps}")
        demand(self.multiplier != 0, "gamma", self.gamma, "a scale of zero")
        demand(np.isfinite(self.multiplier), "gamma", self.gamma, "a scale beyond float32")

    @property
    def multiplier(self) -> Array:
        """gamma / sqrt(var + eps), float32[co]."""
        with np.errstate(over="ignore"):
            return np.asarray(self.gamma / np.sqrt(self.var + np.float32(self.eps)))

    def __call__(self, y: Array) -> Array:
        """Float32[..., co] of sums y[..., co]; infinite where the network's would be."""
        z = y.astype(np.float32)
        with np.errstate(over="ignore"):
            if self.scale is not None:
                z = z * self.scale
            if self.bias is not None:
                z = z + self.bias
            return np.asarray((z - self.mean) * self.multiplier + self.beta)


def step_codes(z: Array, edges: ArrayLike) -> Array:
    """A quantizer: how many of the ascending ``edges`` z reaches (z >= edge), uint8 of z's shape.

    ``edges`` of [0] is the sign of a one-bit network, with +1 for zero. [co, level], they are each
    channel's own. Raises ``InputError``, naming the first channel, for edges that are not
    ascending, and for more than uint8 counts.
    """
    levels = np.asarray(edges)
    if levels.dtype.kind not in "iuf" or levels.ndim not in (1, 2) or not 0 < len(levels.T) < 256:
        shape = f"{levels.dtype} of shape {list(levels.shape)}"
        raise InputError(f"edges: {shape}, not 1 to 255 numbers, or such for each channel")
    rises = ~np.isnan(levels).any(axis=-1) & (levels[..., 1:] >= levels[..., :-1]).all(axis=-1)
    if not rises.all():
        channel = int(np.argmin(np.atleast_1d(rises)))
        row = ", ".join(map(str, np.atleast_2d(levels)[channel]))
        raise InputError(f"edges: channel {channel} has {row}: not ascending numbers")
    met = np.asarray(z)[..., None] >= levels.astype(np.float32)
    return np.asarray(met.sum(axis=-1, dtype=np.uint8))


def require_channels(name: str, array: Any) -> tuple[int, ...]:
    """The shape of an array [co] of one channel or more; raises ``InputError`` for others."""
    shape = np.shape(array)
    if len(shape) != 1 or shape[0] < 1:
        raise InputError(f"{name}: shape {list(shape)}, not a number for each channel")
    return shape


def floats(name: str, given: Any, shape: tuple[int, ...]) -> Array:
    """Float32 of ``shape``; raises ``InputError``, naming the first channel that is not finite."""
    array = np.asarray(given)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: {array.dtype} is no type of numbers")
    if array.shape != shape:
        raise InputError(f"{name}: shape {list(array.shape)}, the channels' is {list(shape)}")
    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    demand(np.isfinite(found), name, array, "not finite in float32")
    return found


def require_integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Raises ``InputError`` unless it is an integer, ``low`` to ``high``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        allowed = f"of {low} to {high}" if high is not None else f"of {low} or more"
        raise InputError(f"{name} {value!r} is not an integer {allowed}")


def require_bits(bits: Any) -> None:
    """Raises ``InputError`` for numbers of bits that codes do not have."""
    require_integer("bits", bits, 1, MAX_BITS)


def demand(holds: Array, name: str, array: Array, fault: str) -> None:
    """Raises ``InputError`` that names the first channel where it does not hold."""
    if not np.all(holds):
        channel = int(np.argwhere(~np.atleast_1d(holds))[0][0])
        value = np.broadcast_to(array, np.shape(holds)).ravel()[channel]
        where = f"channel {channel} has " if np.ndim(holds) or name == "scale" else ""
        raise InputError(f"{name}: {where}{value!s}, {fault}")
