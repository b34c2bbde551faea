"""packed_global_avg_pool at the ends of its counters, its one rounding, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.few_bits import TARGETS, check_equal, task_of
from tvm_ops.errors import InputError
from tvm_ops.operators import packed_global_avg_pool as operator


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_sums_around_the_ends_of_bytes_and_of_16_bits(
    bits: int, target: str, tmp_path: Path
) -> None:
    """All codes at the top, at zero, and all but one, of the pixels that a byte holds and more."""
    top = 2**bits - 1
    held = 255 // top
    for pixels in (held, held + 1, 65535 // top, 65535 // top + 1):
        key = f"packed_global_avg_pool-n1_h1_w{pixels}_c9_a{bits}_bipolar-u8"
        x = np.zeros((1, 1, pixels, 9), np.uint8)
        x[..., ::2] = top
        x[:, :, pixels // 2, ::3] = 1
        check_equal(task_of(key, target), {"x": x}, tmp_path)


def test_means_are_the_nearest_floats() -> None:
    w = task_of("packed_global_avg_pool-n1_h7_w7_c50_a1_bipolar-u8").workload
    x = np.arange(49)[:, None] < np.arange(50)  # each number of ones
    y = operator.reference(w, {"x": x.astype(np.uint8).reshape(1, 7, 7, 50)})[0]
    for ones, mean in enumerate(y):
        exact = Fraction(2 * ones - 49, 49)
        error = abs(Fraction(float(mean)) - exact)
        for other in (np.nextafter(mean, np.float32(d)) for d in (-9, 9)):
            assert error <= abs(Fraction(float(other)) - exact)


@pytest.mark.parametrize(
    ("key", "why"),
    [("h1_w1_c8_a1", "polarity missing"), ("h1_w1_c8_a4_bipolar", "a_bits 4"),
     ("h3000_w900_c1_a3_bipolar", "every channel's sum may reach 18900000; below 16777216")],
)  # fmt: skip
def test_keys_that_are_none(key: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        task_of(f"packed_global_avg_pool-n1_{key}-u8")


def test_codes_out_of_range_name_the_channel() -> None:
    w = task_of("packed_global_avg_pool-n1_h1_w1_c3_a1_bipolar-u8").workload
    x = np.array([0, 1, 7], np.uint8).reshape(1, 1, 1, 3)
    with pytest.raises(InputError, match="x: channel 2 has 7, 1 bits hold 0 to 1"):
        operator.pack(w, {}, {"x": x})
