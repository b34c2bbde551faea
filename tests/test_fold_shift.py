"""Mean and shift: a network that computes with powers of two, reproduced exactly."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest

from tvm_ops.fold import fold_shift_norm, power_of_two
from tvm_ops.operators._glue import shift_codes

FLOATS = np.float32


def test_power_of_two_is_the_nearest_exponent() -> None:
    getcontext().prec = 60
    generator = np.random.default_rng(0)
    x = np.exp2(generator.uniform(-100, 100, 300)).astype(FLOATS)
    around = FLOATS(np.sqrt(0.5))  # the mantissa where rounding changes
    edge = np.array([np.nextafter(around, FLOATS(0)), around, np.nextafter(around, FLOATS(1))])
    x = np.concatenate([x, edge, edge * FLOATS(2.0**40), [1, 2, 0.5, 1e-45, 3e38]]).astype(FLOATS)
    for value, exponent in zip(x, power_of_two(x), strict=True):
        exact = Decimal(float(value)).ln() / Decimal(2).ln()
        assert abs(exact - int(exponent)) < Decimal("0.5")


def layer(channels: int, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "weight_scale": np.exp2(generator.uniform(-6, 0, channels)).astype(FLOATS),
        "mean": generator.normal(0, 2, channels).astype(FLOATS),
        "var": np.exp2(generator.uniform(-1, 6, channels)).astype(FLOATS),
    }


def network(
    y: np.ndarray, weight_scale: np.ndarray, mean: np.ndarray, var: np.ndarray, bits: int
) -> np.ndarray:
    """What is trained: float32, values of the codes as activations, next codes out."""
    weight = FLOATS(2) ** power_of_two(weight_scale)
    norm = FLOATS(2) ** power_of_two(FLOATS(1) / np.sqrt(var + FLOATS(1e-5)))
    limit = (2**bits - weight).astype(FLOATS)  # (2^(wb + N) - 1) 2^-wb
    quantized = np.clip(np.round(mean / weight) * weight, -limit, limit)
    return (y.astype(FLOATS) * weight - quantized) * norm


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_unipolar_codes_are_the_networks_own(bits: int) -> None:
    parameters = layer(300, bits)
    form = fold_shift_norm(**parameters, bits=bits)
    assert {array.dtype for array in form} == {np.dtype(np.int32)}
    y = np.arange(-2000, 2001)[:, None].repeat(300, axis=1)
    z = network(y, **parameters, bits=bits)
    wanted = np.clip(np.floor(z + FLOATS(0.5)), 0, 2**bits - 1)
    np.testing.assert_array_equal(shift_codes(y, *form, bits), wanted)
    assert len({*wanted.ravel()}) == 2**bits


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_bipolar_codes_are_the_networks_own(bits: int) -> None:
    parameters = layer(300, bits)
    form = fold_shift_norm(**parameters, bits=bits, polarity="bipolar")
    y = np.arange(-2000, 2001)[:, None].repeat(300, axis=1)
    top = FLOATS(2**bits - 1)
    z = (network(y, **parameters, bits=bits) + top) / FLOATS(2)
    wanted = np.clip(np.floor(z + FLOATS(0.5)), 0, top)
    np.testing.assert_array_equal(shift_codes(y, *form, bits), wanted)


def test_riptides_unit_of_activations_is_a_fraction() -> None:
    """Activations c / (2^N - 1): the mean is worth (2^N - 1) 2^wb, as in the paper."""
    scales = np.array([0.24, 0.24], FLOATS)
    form = fold_shift_norm(scales, np.array([0.5, 9]), np.array([1.0, 1.0]), 2, step=1 / 3)
    assert form.shift.tolist() == [2, 2]
    assert form.mu.tolist() == [6, 2 ** (2 + 2) - 1]  # 0.5 * 3 * 4; the largest of wb + N bits
