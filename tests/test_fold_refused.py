"""What has no fold: one line that names the parameter and the first channel; no warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tvm_ops.errors import InputError
from tvm_ops.fold import (
    BatchNorm,
    fold_batch_norm,
    fold_function,
    fold_shift_norm,
    power_of_two,
    step_codes,
)

pytestmark = pytest.mark.filterwarnings("error")


def refused(message: str, call: Callable[..., Any], *args: Any, **options: Any) -> None:
    with pytest.raises(InputError) as error:
        call(*args, **options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gamma": [1, 1, 0]}, "gamma: channel 2 has 0.0, a scale of zero"),
        ({"gamma": [1, 1e-30, 1], "var": [1, 1e38, 1]}, "gamma: channel 1 has 1e-30, a scale of"),
        ({"gamma": [1, 1e38, 1], "var": [1, 0, 1]}, "gamma: channel 1 has 1e+38, a scale beyond"),
        ({"gamma": [1, 1e300, 1]}, "gamma: channel 1 has 1e+300, not finite in float32"),
        ({"gamma": ["1", "1", "1"]}, "gamma: <U1 is no type of numbers"),
        ({"gamma": [1j, 1, 1]}, "gamma: complex128 is no type of numbers"),
        ({"gamma": None}, "gamma: object is no type of numbers"),
        ({"scale": [0, 1, 1]}, "scale: channel 0 has 0, a scale of zero"),
        ({"scale": 0.0}, "scale: channel 0 has 0.0, a scale of zero"),
        ({"scale": [1, np.inf, 1]}, "scale: channel 1 has inf, not finite in float32"),
        ({"scale": [1, 1]}, "scale: shape [2], the channels' is [3]"),
        ({"var": [1, -1, 1]}, "var: channel 1 has -1.0, not positive with eps 1e-05"),
        ({"eps": np.nan}, "eps: nan, not finite in float32"),
        ({"eps": 1e300}, "eps: 1e+300, not finite in float32"),
        ({"mean": [0, 0, np.nan]}, "mean: channel 2 has nan, not finite"),
        ({"mean": []}, "mean: shape [0], not a number for each channel"),
        ({"mean": [[0, 0, 0]]}, "mean: shape [1, 3], not a number for each channel"),
        ({"bias": [0, np.inf, 0]}, "bias: channel 1 has inf, not finite"),
        ({"beta": [0, 0]}, "beta: shape [2], the channels' is [3]"),
    ],
)
def test_batch_norms(changed: dict[str, Any], message: str) -> None:
    plain = {"gamma": [1, 1, 1], "beta": [0, 0, 0], "mean": [0, 0, 0], "var": [1, 1, 1]}
    refused(message, BatchNorm, **(plain | changed))


def test_a_network_that_overflows_is_folded_as_it_is() -> None:
    """Infinite, it is on one side of each edge; and nothing is said of it."""
    ones = np.ones(2, np.float32)
    norm = BatchNorm(ones * 1e38, ones, ones * 7, ones, scale=np.float32(1e38))
    folded = fold_batch_norm(norm, lambda z: step_codes(z, [0.0]), 1000, 1)
    assert folded.thresholds.tolist() == [[1], [1]]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([1.0, 0.0], "edges: channel 0 has 1.0, 0.0: not ascending numbers"),
        ([[0, 1], [2, 1]], "edges: channel 1 has 2, 1: not ascending numbers"),
        ([0.0, np.nan], "edges: channel 0 has 0.0, nan: not ascending numbers"),
        ([], "edges: float64 of shape [0], not 1 to 255 numbers"),
        (["a"], "edges: <U1 of shape [1], not 1 to 255 numbers"),
        (range(256), "edges: int64 of shape [256], not 1 to 255 numbers"),  # uint8 would wrap
    ],
)
def test_edges_of_a_quantizer(edges: Any, message: str) -> None:
    refused(message, step_codes, np.zeros((1, 2)), edges)


def test_edges_of_each_channel() -> None:
    assert step_codes(np.array([[1.5, 1.5]]), [[0, 1], [1, 2]]).tolist() == [[2, 1]]


def hswish(z: np.ndarray) -> np.ndarray:
    return z * np.clip(z + 3, 0, 6) / 6


NOT_MONOTONE = "where a monotone function of 2 bits would have"
NO_CODE = ", 2 bits hold 0 to 3"
REFUSED: list[tuple[str, Callable[[np.ndarray], np.ndarray], str]] = [
    ("falls and rises", lambda y: step_codes(hswish(y / 20), [-0.3, 0.2, 1]), NOT_MONOTONE),
    ("a bump", lambda y: y == 33, NOT_MONOTONE),
    ("a dip at the end", lambda y: np.where(y == 100, 0, y > 50), NOT_MONOTONE),
    ("more codes than bits hold", lambda y: np.clip(y, 0, 4), NO_CODE),
    ("codes below zero", lambda y: np.clip(y, -1, 3), NO_CODE),
    ("codes that a byte would wrap", lambda y: (y > 0) * 257, NO_CODE),
    ("not integers", lambda y: (y > 0) * 0.5, NO_CODE),
    ("not numbers", lambda y: np.where(y > 0, 1, np.nan), NO_CODE),
    ("infinities", lambda y: np.where(y > 0, np.inf, 0), NO_CODE),
]


@pytest.mark.parametrize(("what", "function", "message"), REFUSED, ids=[r[0] for r in REFUSED])
def test_functions_that_thresholds_cannot_be(what: str, function: Any, message: str) -> None:
    def network(y: np.ndarray) -> np.ndarray:
        """Channel 0 is sound."""
        return np.stack([y[..., 0] > 0, function(y[..., 1])], axis=-1)

    with pytest.raises(InputError, match=f"^channel 1 has code .*{message}"):
        fold_function(network, 2, 100, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "bits 0 is not an integer of 1 to 3"),
        ({"bits": 4}, "bits 4 is not an integer of 1 to 3"),
        ({"bits": 1.5}, "bits 1.5 is not an integer of 1 to 3"),
        ({"largest": 0}, "largest 0 is not an integer of 1 or more"),
        ({"largest": 2**30}, "sums reach 1073741824, int32 is proven safe to 1073741823"),
        ({"channels": 0}, "channels 0 is not an integer of 1 or more"),
        ({"codes": lambda y: y[..., 0] > 0}, "codes of sums [2, 1]: bool of shape [2]"),
        ({"codes": lambda y: None}, "codes of sums [2, 1]: object of shape []"),
    ],
)
def test_what_fold_function_is_given(options: dict[str, Any], message: str) -> None:
    plain = {"codes": lambda y: y > 0, "channels": 1, "largest": 10, "bits": 1}
    refused(message, fold_function, **(plain | options))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weight_scale": [1, 0, 1]}, "weight_scale: channel 1 has 0.0, a scale of zero"),
        ({"weight_scale": [1, 1, -1]}, "weight_scale: channel 2 has -1.0, not positive"),
        ({"weight_scale": [1, 1, 1e-10]}, "shift: channel 2 has 33, not an integer of 0 to 31"),
        ({"weight_scale": 1.0}, "weight_scale: shape [], not a number for each channel"),
        ({"mean": [np.inf, 0, 0]}, "mean: channel 0 has inf, not finite"),
        ({"mean": [0]}, "mean: shape [1], the channels' is [3]"),
        ({"var": [1, 0, -1]}, "var: channel 2 has -1.0, not positive with eps 1e-05"),
        ({"var": [1, 1e-4, 1]}, "shift: channel 1 has -7, not an integer of 0 to 31"),
        ({"var": 1.0}, "var: shape [], the channels' is [3]"),
        ({"bits": 0}, "bits 0 is not an integer of 1 to 3"),
        ({"step": 0.0}, "step: 0.0, not positive"),
        ({"step": np.nan}, "step: nan, not finite in float32"),
        ({"eps": np.inf}, "eps: inf, not finite in float32"),
        ({"polarity": "ternary"}, "polarity 'ternary' is none of unipolar, bipolar"),
    ],
)
def test_shift_norms(changed: dict[str, Any], message: str) -> None:
    plain = {"weight_scale": [1, 1, 1], "mean": [0, 0, 0], "var": [1, 1, 1], "bits": 2}
    refused(message, fold_shift_norm, **(plain | changed))


def test_bipolar_codes_need_a_shift() -> None:
    one = np.ones(1, np.float32)
    message = "shift: channel 0 has 0, not 1 to 31"
    refused(message, fold_shift_norm, one, one, one / 4, 1, polarity="bipolar")


def test_powers_of_two() -> None:
    refused("x: channel 1 has 0.0, not positive", power_of_two, [1.0, 0.0])
    refused("x: nan, not finite in float32", power_of_two, np.nan)
