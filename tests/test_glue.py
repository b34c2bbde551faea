"""Glue in numpy: thresholds and shifts, their equality, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_ops.errors import InputError
from tvm_ops.operators._glue import (
    check_shift,
    check_thresholds,
    shift_codes,
    shift_thresholds,
    threshold_codes,
)

LOW, HIGH = -(2**31), 2**31 - 1
BITS = (1, 2, 3)


def plus(channels: int) -> np.ndarray:
    return np.ones(channels, np.int8)


def test_codes_count_the_thresholds_that_are_met() -> None:
    thresholds = np.array([[-1, 0, 4], [-1, 0, 4]], np.int32)
    signs = np.array([1, -1], np.int8)
    y = np.array([-2, -1, 0, 3, 4, 5], np.int16)[:, None].repeat(2, axis=1)
    codes = threshold_codes(y, thresholds, signs, 2)
    assert codes.dtype == np.uint8
    assert codes.T.tolist() == [[0, 1, 2, 2, 3, 3], [3, 3, 2, 1, 1, 0]]


def test_a_shift_rounds_half_up_and_is_clipped() -> None:
    y = np.arange(-8, 9, dtype=np.int16)[:, None]
    mu, shift = np.array([1], np.int32), np.array([2], np.int32)
    expected = [min(max(int(np.floor((v - 1) / 4 + 0.5)), 0), 3) for v in range(-8, 9)]
    assert shift_codes(y, mu, shift, 2)[:, 0].tolist() == expected
    unshifted = shift_codes(y, mu, np.array([0], np.int32), 2)[:, 0]
    assert unshifted.tolist() == [min(max(v - 1, 0), 3) for v in range(-8, 9)]


@pytest.mark.parametrize("bits", BITS)
def test_shift_and_thresholds_agree_over_a_whole_range(bits: int) -> None:
    generator = np.random.default_rng(bits)
    shift = np.arange(32, dtype=np.int32).repeat(8)
    mu = generator.integers(-3000, 3000, shift.size).astype(np.int32)
    y = np.arange(-4000, 4001, dtype=np.int16)[:, None].repeat(shift.size, axis=1)
    thresholds = shift_thresholds(mu, shift, bits)
    check_thresholds(thresholds, plus(shift.size), shift.size, bits)
    expected = shift_codes(y, mu, shift, bits)
    np.testing.assert_array_equal(threshold_codes(y, thresholds, plus(shift.size), bits), expected)


@given(
    mu=st.one_of(st.integers(LOW, HIGH), st.sampled_from([LOW, LOW + 1, 0, HIGH - 1, HIGH])),
    shift=st.integers(0, 31),
    bits=st.sampled_from(BITS),
    data=st.data(),
)
def test_shift_and_thresholds_agree_for_every_int32(mu, shift, bits, data) -> None:
    """Both are held to Python's unbounded integers, next to each threshold and at the ends."""
    steps = [mu - (1 << shift >> 1) + (j << shift) for j in range(1, 2**bits)]
    near = [t + d for t in steps for d in (-1, 0, 1)] + [LOW, LOW + 1, 0, HIGH - 1]
    near.append(data.draw(st.integers(LOW, HIGH - 1)))
    y = [v for v in near if LOW <= v < HIGH]
    expected = [min(max((v - mu + (1 << shift >> 1)) >> shift, 0), 2**bits - 1) for v in y]
    column = np.array(y, np.int32)[:, None]
    form = np.array([mu], np.int32), np.array([shift], np.int32)
    assert shift_codes(column, *form, bits)[:, 0].tolist() == expected
    thresholds = shift_thresholds(*form, bits)
    assert threshold_codes(column, thresholds, plus(1), bits)[:, 0].tolist() == expected


def test_the_ends_of_int32_are_thresholds_that_all_or_none_meet() -> None:
    y = np.array([-(2**30) + 1, 0, 2**30 - 1], np.int32)[:, None].repeat(2, axis=1)
    signs = np.array([1, -1], np.int8)
    for end, expected in ((LOW, [1, 0]), (HIGH, [0, 1])):
        codes = threshold_codes(y, np.full((2, 1), end, np.int32), signs, 1)
        assert codes.tolist() == [expected] * 3


GOOD = np.array([[0, 1, 2]] * 4)
WRONG_THRESHOLDS = [
    (GOOD[:3], "shape [3, 3], not [4, 3]"),
    (GOOD[:, :2], "shape [4, 2], not [4, 3]"),
    (np.array([[0, 1, 2]] * 2 + [[0, 3, 2]] * 2), "channel 2 has [0 3 2], not ascending"),
    (GOOD + np.array([[0], [0.5], [0], [0]]), "channel 1 has 0.5, not an integer"),
    (GOOD * [[1], [1], [1], [np.nan]], "channel 3 has nan, not an integer"),
    (GOOD + np.array([[0], [2**31 - 2], [0], [0]]), "channel 1 has 2147483648, not an integer"),
    (np.full((4, 3), 2.0**31, np.float32), "channel 0 has 2147483648.0, not an integer"),
    (GOOD.astype(str), "not integers"),
]


@pytest.mark.parametrize(("thresholds", "message"), WRONG_THRESHOLDS)
def test_wrong_thresholds_are_refused(thresholds: np.ndarray, message: str) -> None:
    with pytest.raises(InputError) as error:
        check_thresholds(thresholds, plus(4), 4, 2)
    assert str(error.value).startswith("thresholds: ") and message in str(error.value)


@pytest.mark.parametrize(
    ("signs", "message"),
    [
        ([1, 1, 0, -1], "signs: channel 2 has 0, not +1 or -1"),
        ([1, 1, 1, -3], "signs: channel 3 has -3"),
        ([1, 1], "signs: shape [2], not [4]"),
    ],
)
def test_wrong_signs_are_refused(signs: list[int], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_thresholds(GOOD, np.array(signs), 4, 2)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("mu", "shift", "message"),
    [
        ([0, 0], [0, 32], "shift: channel 1 has 32, not an integer of 0 to 31"),
        ([0, 0], [-1, 0], "shift: channel 0 has -1"),
        ([0, 0], [1], "shift: shape [1], not [2]"),
        ([0, 0.5], [1, 1], "mu: channel 1 has 0.5"),
        ([0, 2**31], [1, 1], "mu: channel 1 has 2147483648"),
    ],
)
def test_a_wrong_shift_is_refused(mu: list[float], shift: list[int], message: str) -> None:
    with pytest.raises(InputError) as error:
        check_shift(np.array(mu), np.array(shift), 2)
    assert message in str(error.value)


def test_what_is_right_passes() -> None:
    check_thresholds(np.array([[LOW, 0, 0], [HIGH] * 3]), np.array([1, -1]), 2, 2)
    check_shift(np.array([LOW, HIGH]), np.array([0, 31]), 2)
