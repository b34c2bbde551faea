"""Arrays on their way to a kernel and back: what fits a workload, and channels in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.errors import InputError

Array = NDArray[Any]


def check_arrays(w: Any, arrays: dict[str, Array]) -> None:
    """Raises ``InputError`` for what is no array or no argument, of another shape or type.

    ``w`` is a workload with ``arguments`` and ``array_shapes``; where it has ``array_dtypes``, the
    types are these, else they are any numbers.
    """
    dtypes: dict[str, str] = getattr(w, "array_dtypes", {})
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise InputError(f"'{name}' is a {type(array).__name__}, not an array of numpy's")
        expected = w.array_shapes.get(name)
        if expected is None:
            raise InputError(f"'{name}' is no argument; {w.shape_key} has {', '.join(w.arguments)}")
        if array.shape != expected:
            raise InputError(f"'{name}' has shape {array.shape}, {w.shape_key} has {expected}")
        if array.dtype.kind not in "fiu":
            raise InputError(f"'{name}' is of type {array.dtype.str}, not of numbers")
        if array.dtype != dtypes.get(name, array.dtype):
            raise InputError(f"'{name}' is {array.dtype}, {w.shape_key} has {dtypes[name]}")


def blocked_shape(shape: tuple[int, int, int, int], c: int) -> tuple[int, ...]:
    """The shape of an NCHW array in blocks of ``c`` channels."""
    n, channels, h, w = shape
    return shape if c == 1 else (n, -(-channels // c), h, w, c)


def to_blocks(array: Array, c: int) -> Array:
    """An NCHW array in blocks of ``c`` channels, zeros in the last ones; contiguous."""
    if c == 1:
        return np.ascontiguousarray(array)
    n, channels, h, w = array.shape
    padded = np.pad(array, ((0, 0), (0, -channels % c), (0, 0), (0, 0)))
    return np.ascontiguousarray(padded.reshape(n, -1, c, h, w).transpose(0, 1, 3, 4, 2))


def from_blocks(array: Array, channels: int) -> Array:
    """The inverse of ``to_blocks``; an NCHW array is returned as it is."""
    if array.ndim == 4:
        return array
    n, blocks, h, w, c = array.shape
    return array.transpose(0, 1, 4, 2, 3).reshape(n, blocks * c, h, w)[:, :channels]


def image_layouts(w: Any) -> dict[str, str]:
    """The axes of x, residual and y of a convolution: ``n ci h w``, in blocks ``n ci/4 h w 4``."""

    def axes(channel: str, c: int) -> str:
        return f"n {channel} h w" if c == 1 else f"n {channel}/{c} h w {c}"

    y = axes("co", w.block[1])
    return {"x": axes("ci", w.block[0]), "residual": y, "y": y}
