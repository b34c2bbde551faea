"""Winograd's minimal filtering F(m, 3): the matrices, and straight-line code that applies them.

Construction after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015),
sections 3 and 4, by Cook-Toom interpolation at 0, +-1, +-2, +-1/2 and infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TAPS = 3
# Points in pairs +-p share all their even and all their odd terms.
# Errors of the largest output, float32, 256 channels of N(0, 1): m = 2 1e-6, 4 8e-6, 5 1.3e-5,
# 6 1.6e-5; m = 7 has 1e-4 at best and is left out.
_POINTS = {
    2: [0, 1, -1],
    4: [0, 1, -1, 2, -2],
    5: [0.5, -0.5, 1, -1, 2, -2],
    6: [0, 1, -1, 2, -2, 0.5, -0.5],
}
Matrix = NDArray[np.float64]


class Matrices(NamedTuple):
    """y = inverse @ ((weights @ g) * (input @ d)) for m outputs of 3 taps, m + 2 elements."""

    input: Matrix  # B^T, [m + 2, m + 2]
    weights: Matrix  # G, [m + 2, 3]
    inverse: Matrix  # A^T, [m, m + 2]


@cache
def matrices(m: int) -> Matrices:
    """F(m, 3) for m = 2, 4, 5, 6."""
    points = np.array(_POINTS[m], dtype=np.float64)
    size = m + TAPS - 1
    inverse, weights, transform = (
        np.zeros((m, size)),
        np.zeros((size, TAPS)),
        np.zeros((size, size)),
    )
    for j, p in enumerate(points):
        others = np.delete(points, j)
        inverse[:, j] = p ** np.arange(m)
        weights[j] = p ** np.arange(TAPS) / np.prod(p - others)
        transform[j, : size - 1] = np.poly(others)[::-1]
    inverse[m - 1, -1] = 1
    weights[-1, -1] = 1
    transform[-1] = np.poly(points)[::-1]
    return Matrices(transform, weights, inverse)


def transform_weights(m: tuple[int, int], weights: NDArray[Any]) -> Matrix:
    """u[e, co, ci] = G g G^T in float64, e = row * columns + column, from OIHW of 3x3."""
    both = np.kron(matrices(m[0]).weights, matrices(m[1]).weights)
    taps = weights.astype(np.float64).reshape(-1, TAPS * TAPS)
    u: Matrix = both @ taps.T
    return u.reshape(-1, *weights.shape[:2])


Bind = Callable[[Any], Any]


def apply_2d(
    rows: Matrix, cols: Matrix, load: Callable[[int, int], Any], bind: Bind
) -> list[list[Any]]:
    """rows @ d @ cols^T for d[r][c] = load(r, c), as scalar expressions; ``bind`` names a value."""
    columns = []
    for c in range(cols.shape[1]):
        values = [bind(load(r, c)) for r in range(rows.shape[1])]
        columns.append([bind(e) for e in apply_1d(rows, values, bind)])
    result = []
    for r in range(rows.shape[0]):
        result.append(apply_1d(cols, [column[r] for column in columns], bind))
    return result


def apply_1d(matrix: Matrix, values: Sequence[Any], bind: Bind) -> list[Any]:
    """matrix @ values with what rows or columns of a pair +-p have in common computed once."""
    matrix, values = _combine_column_pairs(matrix, list(values), bind)
    signs = (-1.0) ** np.arange(matrix.shape[1])
    result: list[Any] = [None] * len(matrix)
    for i, row in enumerate(matrix):
        if result[i] is not None:
            continue
        twin = [j for j in range(i + 1, len(matrix)) if np.array_equal(matrix[j], row * signs)]
        if twin and np.any(row[::2]) and np.any(row[1::2]):
            even = bind(_dot(np.where(signs > 0, row, 0), values))
            odd_row = np.where(signs < 0, row, 0)
            scale = odd_row[np.nonzero(odd_row)[0][-1]]
            odd = bind(_dot(odd_row / scale, values))
            result[i] = even + _scaled(scale, odd)
            result[twin[0]] = even - _scaled(scale, odd)
        else:
            result[i] = _dot(row, values)
    return result


def _combine_column_pairs(
    matrix: Matrix, values: list[Any], bind: Bind
) -> tuple[Matrix, list[Any]]:
    """Columns that differ by the sign of odd rows only (A^T has them) become sum and difference."""
    signs = (-1.0) ** np.arange(len(matrix))
    columns, combined = [], []
    skip = set()
    for j in range(matrix.shape[1]):
        twin = [
            k
            for k in range(j + 1, matrix.shape[1])
            if k not in skip and np.array_equal(matrix[:, k], matrix[:, j] * signs)
        ]
        if j in skip:
            continue
        column = matrix[:, j]
        if twin and np.any(column[1::2]) and np.any(column[::2]):
            skip.add(twin[0])
            columns += [np.where(signs > 0, column, 0), np.where(signs < 0, column, 0)]
            combined += [bind(values[j] + values[twin[0]]), bind(values[j] - values[twin[0]])]
        else:
            columns.append(column)
            combined.append(values[j])
    return np.stack(columns, axis=1), combined


def _dot(row: Matrix, values: Sequence[Any]) -> Any:
    """Terms with coefficient 1 first, so that each further term is one fused multiply-add."""
    order = sorted(map(int, np.nonzero(row)[0]), key=lambda i: (row[i] != 1, -i))
    total = _scaled(row[order[0]], values[order[0]])
    for i in order[1:]:
        if row[i] < 0:
            total = total - _scaled(-row[i], values[i])
        else:
            total = total + _scaled(row[i], values[i])
    return total


def _scaled(factor: float, value: Any) -> Any:
    from tvm import tirx

    return value if factor == 1 else value * tirx.const(float(factor), "float32")
