"""The type of sums: every combination of codes for small k, and the ends of the types."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tvm_ops.errors import InputError
from tvm_ops.operators._accumulator import accumulator_dtype, largest_sum, sum_dtype
from tvm_ops.operators._bits import POLARITIES, bipolar_values, values

CASES = [
    (k, a, w) for k, a, w in product(range(1, 5), (1, 2, 3), (1, 2)) if 2 ** (k * (a + w)) <= 2**16
]


def all_codes(k: int, bits: int) -> np.ndarray:
    """[2^(k bits), k]"""
    return np.stack(np.unravel_index(np.arange(2 ** (k * bits)), [2**bits] * k), axis=-1)


def weighted_differences(x: np.ndarray, w: np.ndarray, a_bits: int, w_bits: int) -> np.ndarray:
    """T[x, w] as the kernels count it."""
    total = np.zeros((len(x), len(w)), np.int64)
    for i, j in product(range(a_bits), range(w_bits)):
        total += ((x[:, None] >> i & 1) ^ (w[None] >> j & 1)).sum(axis=-1) << (i + j)
    return total


@pytest.mark.parametrize(("k", "a_bits", "w_bits"), CASES)
def test_largest_sum_is_reached_and_never_passed(k: int, a_bits: int, w_bits: int) -> None:
    x, w = all_codes(k, a_bits), all_codes(k, w_bits)
    largest = largest_sum(k, a_bits, w_bits)
    differences = weighted_differences(x, w, a_bits, w_bits)
    assert (differences.min(), differences.max()) == (0, largest)
    for polarity in POLARITIES:
        y = values(x, a_bits, polarity) @ bipolar_values(w, w_bits).T
        assert np.abs(y).max() == largest
        if polarity == "bipolar":
            constant, factor = np.full(len(w), largest), 2
        else:
            constant, factor = (2**a_bits - 1) * w.sum(axis=-1), 1  # sum 2^(i+j) popcount(w_j)
        assert constant.max() <= largest
        np.testing.assert_array_equal(y, constant - factor * differences)


@pytest.mark.parametrize(("a_bits", "w_bits"), list(product((1, 2, 3, 8), (1, 2))))
def test_the_type_changes_where_the_extremes_stop_fitting(a_bits: int, w_bits: int) -> None:
    each = (2**a_bits - 1) * (2**w_bits - 1)
    for dtype, largest in (("int16", 2**15 - 1), ("int32", 2**30 - 1)):
        k = largest // each
        assert accumulator_dtype(k, a_bits, w_bits) == dtype
        assert np.iinfo(dtype).max >= k * each and np.iinfo(dtype).min <= -k * each
    assert accumulator_dtype((2**15 - 1) // each + 1, a_bits, w_bits) == "int32"
    with pytest.raises(InputError, match=r"every channel sums \d+ products .* int32"):
        accumulator_dtype((2**30 - 1) // each + 1, a_bits, w_bits)


def test_extremes_summed_in_the_type_itself() -> None:
    for k, dtype in ((32767, np.int16), (32768, np.int32)):
        assert accumulator_dtype(k, 1, 1) == np.dtype(dtype).name
        for sign in (-1, 1):
            assert np.full(k, sign, dtype).sum(dtype=dtype) == sign * k


def test_every_step_of_the_largest_sum_stays_within_int32() -> None:
    largest = 2**30 - 1
    assert sum_dtype(largest) == "int32"
    assert 2 * largest <= 2**31 - 1 and largest - 2 * largest >= -(2**31)
    with pytest.raises(InputError, match="sums reach 1073741824"):
        sum_dtype(largest + 1)
