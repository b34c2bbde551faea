"""Whether a kernel computed the right thing: the largest error of floats, equality of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def largest_error(result: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest absolute difference; infinite where the result is no number."""
    difference = np.abs(result.astype(np.float64) - expected.astype(np.float64))
    return float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max())


def what_differs(result: NDArray[Any], expected: NDArray[Any]) -> str | None:
    """How many values are not equal, and the first of them; None where all are."""
    differ = result != expected
    if not differ.any():
        return None
    first = tuple(int(i) for i in np.argwhere(differ)[0])
    return (
        f"{int(differ.sum())} of {differ.size} values differ, first at {list(first)}: "
        f"{result[first]}, not {expected[first]}"
    )
