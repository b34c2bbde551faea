"""Folding float parameters to thresholds: bit for bit over the whole range of a sum."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tvm_ops.errors import InputError
from tvm_ops.fold import BatchNorm, fold_batch_norm, fold_function, step_codes
from tvm_ops.operators._accumulator import largest_sum
from tvm_ops.operators._bits import POLARITIES, bipolar_values, values
from tvm_ops.operators._glue import check_thresholds, threshold_codes

LOW, HIGH = -(2**31), 2**31 - 1
K3X3 = largest_sum(9 * 64, 2, 1)
EDGES = {1: [0.0], 2: [-0.7, 0.1, 0.9], 3: [-1.5, -1, -0.5, 0, 0.5, 1, 1.5]}
FLOATS = np.float32


def random_norm(channels: int, seed: int, **changed: object) -> BatchNorm:
    """Scales of both signs; every fourth variance tiny, every fifth mean an integer."""
    generator = np.random.default_rng(seed)
    gamma = generator.normal(0, 1, channels).astype(FLOATS)
    mean = generator.normal(0, 200, channels).astype(FLOATS)
    mean[::5] = np.round(mean[::5])
    var = generator.uniform(1, 40000, channels).astype(FLOATS)
    var[::4] = 1e-12
    beta = generator.normal(0, 1, channels).astype(FLOATS)
    beta[::5] = 0
    return BatchNorm(**{"gamma": gamma, "beta": beta, "mean": mean, "var": var} | changed)


def whole_range(largest: int, channels: int) -> np.ndarray:
    return np.arange(-largest, largest + 1)[:, None].repeat(channels, axis=1)


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize(("largest", "channels"), [(9, 400), (K3X3, 400), (32767, 24)])
@pytest.mark.parametrize("scaled", [False, True])
def test_batch_norm_folds_exactly(bits: int, largest: int, channels: int, scaled: bool) -> None:
    generator = np.random.default_rng(largest)
    changed = {}
    if scaled:
        changed["scale"] = generator.uniform(0.01, 3, channels).astype(FLOATS)
        changed["bias"] = generator.normal(0, 10, channels).astype(FLOATS)
    norm = random_norm(channels, seed=bits, **changed)

    def network(y: np.ndarray) -> np.ndarray:
        return step_codes(norm(y), EDGES[bits])

    folded = fold_batch_norm(norm, lambda z: step_codes(z, EDGES[bits]), largest, bits)
    check_thresholds(*folded, channels, bits)
    assert {*folded.signs} == {-1, 1}
    y = whole_range(largest, channels)
    np.testing.assert_array_equal(threshold_codes(y, *folded, bits), network(y))


def test_the_arithmetic_is_float32_in_the_order_that_is_stated() -> None:
    """Each operation in Python's floats of 64 bits, rounded to 32 before the next one."""
    norm = random_norm(50, 1, scale=np.float32(0.3), bias=np.linspace(-1, 1, 50, dtype=FLOATS))
    found = norm(whole_range(20, 50))
    for channel in range(50):
        gamma, beta, mean, var, bias = (
            float(a[channel]) for a in (norm.gamma, norm.beta, norm.mean, norm.var, norm.bias)
        )
        root = FLOATS(np.sqrt(float(FLOATS(var + float(FLOATS(1e-5))))))
        multiplier = FLOATS(gamma / float(root))
        for y in range(-20, 21):
            z = FLOATS(float(FLOATS(y * float(FLOATS(0.3)))) + bias)
            z = FLOATS(float(FLOATS(float(z) - mean)) * float(multiplier))
            assert found[y + 20, channel] == FLOATS(float(z) + beta)


def test_thresholds_solved_for_in_reals_would_differ() -> None:
    """Why they are found by bisection: rounding decides sums that lie at an edge."""
    generator = np.random.default_rng(0)
    channels = 2000
    mean = generator.integers(-100, 100, channels).astype(FLOATS)
    steps = generator.integers(1, 50, channels)
    gamma = generator.uniform(0.5, 2, channels).astype(FLOATS)
    var = np.full(channels, 2.0, FLOATS)
    plain = BatchNorm(gamma, np.zeros(channels, FLOATS), mean, var)
    beta = (-plain.multiplier * steps.astype(FLOATS)).astype(FLOATS)
    norm = BatchNorm(gamma, beta, mean, var)
    folded = fold_batch_norm(norm, lambda z: step_codes(z, [1e-6]), 200, 1)
    reals = [
        Fraction(float(m))
        + (Fraction(FLOATS(1e-6).item()) - Fraction(float(b))) / Fraction(float(f))
        for m, b, f in zip(mean, beta, norm.multiplier, strict=True)
    ]
    solved = np.array([-(-r.numerator // r.denominator) for r in reals])
    different = solved != folded.thresholds[:, 0]
    assert np.abs(solved - folded.thresholds[:, 0]).max() == 1 and different.sum() > 0


@pytest.mark.parametrize("gamma", [1.0, -1.0])
def test_a_sum_exactly_on_the_edge_reaches_it(gamma: float) -> None:
    mean = np.array([-7, 0, 12], FLOATS)
    norm = BatchNorm(np.full(3, gamma, FLOATS), np.zeros(3, FLOATS), mean, np.ones(3, FLOATS))
    folded = fold_batch_norm(norm, lambda z: step_codes(z, [0]), 20, 1)
    assert folded.thresholds[:, 0].tolist() == [-7, 0, 12]
    assert folded.signs.tolist() == [int(gamma)] * 3
    codes = threshold_codes(np.array([[-7, 0, 12]]), *folded, 1)
    assert codes.tolist() == [[1, 1, 1]]


def test_thresholds_that_all_sums_meet_or_none() -> None:
    beta = np.array([100, -100, 0], FLOATS)
    flat = {"mean": np.zeros(3, FLOATS), "var": np.ones(3, FLOATS), "beta": beta}
    norm = BatchNorm(gamma=np.full(3, 0.1, FLOATS), **flat)

    def quantize(z: np.ndarray) -> np.ndarray:
        return step_codes(z, [0, 2.95, 7])

    folded = fold_batch_norm(norm, quantize, 50, 2)
    assert folded.thresholds.tolist() == [[LOW] * 3, [HIGH] * 3, [0, 30, HIGH]]
    falling = fold_batch_norm(BatchNorm(-norm.gamma, **flat), quantize, 50, 2)
    assert falling.thresholds.tolist() == [[LOW] * 3, [HIGH] * 3, [LOW, -30, 0]]
    assert falling.signs.tolist() == [1, 1, -1]


@pytest.mark.parametrize("polarity", POLARITIES)
def test_polarity_and_scale_of_a_layer_of_codes(polarity: str) -> None:
    """A layer as a network has it, with activations d (unit), against integer sums of codes."""
    generator = np.random.default_rng(4)
    bits, channels, k, unit = 2, 30, 72, FLOATS(0.25)
    codes = generator.integers(0, 4, (500, k))
    weights = generator.integers(0, 2, (k, channels))
    sums = values(codes, bits, polarity) @ bipolar_values(weights, 1)
    activations = values(codes, bits, polarity).astype(FLOATS) * unit
    plain = random_norm(channels, 9, mean=generator.normal(0, 5, channels).astype(FLOATS))
    z = plain(activations @ bipolar_values(weights, 1).astype(FLOATS))  # exact: unit is 2^-2
    scaled = BatchNorm(plain.gamma, plain.beta, plain.mean, plain.var, scale=unit)
    quantize = lambda z: step_codes(z, EDGES[2])  # noqa: E731
    folded = fold_batch_norm(scaled, quantize, largest_sum(k, bits, 1), 2)
    np.testing.assert_array_equal(threshold_codes(sums, *folded, 2), quantize(z))


def test_the_widest_sums_are_folded_too() -> None:
    largest = 2**30 - 1
    norm = random_norm(16, 3, mean=np.linspace(-1e9, 1e9, 16), var=np.geomspace(1, 1e18, 16))
    folded = fold_batch_norm(norm, lambda z: step_codes(z, EDGES[3]), largest, 3)
    inside = np.abs(folded.thresholds) <= largest
    beside = np.where(inside, folded.thresholds, 0).T[:, None] + np.array([[-1], [0], [1]])
    y = np.clip(beside.reshape(-1, 16), -largest, largest)
    wanted = step_codes(norm(y), EDGES[3])
    np.testing.assert_array_equal(threshold_codes(y, *folded, 3), wanted)
    with pytest.raises(InputError, match="sums reach 1073741824"):
        fold_function(lambda y: y > 0, 1, largest + 1, 1)
