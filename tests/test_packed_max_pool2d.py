"""packed_max_pool2d for all pairs of codes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.few_bits import TARGETS, check_equal, task_of
from tvm_ops.errors import InputError
from tvm_ops.operators import packed_max_pool2d as operator


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_pair_of_codes(bits: int, target: str, tmp_path: Path) -> None:
    """One pair a channel: 4, 16 or 64 channels."""
    count = 4**bits
    first, second = np.divmod(np.arange(count, dtype=np.uint8), 2**bits)
    task = task_of(f"packed_max_pool2d-n1_h1_w2_c{count}_k1x2_s1_p0_a{bits}-u8", target)
    check_equal(task, {"x": np.stack([first, second])[None, None]}, tmp_path)


def test_largest_of_bipolar_values_is_that_of_codes() -> None:
    task = task_of("packed_max_pool2d-n1_h4_w4_c3_k2_s2_p0_a2-u8")
    x = operator.data(task.workload)["x"]
    largest = operator.reference(task.workload, {"x": x}).astype(np.int32)
    values = 2 * x.astype(np.int32) - 3
    assert np.array_equal(2 * largest - 3, values.reshape(1, 2, 2, 2, 2, 3).max(axis=(2, 4)))


@pytest.mark.parametrize(
    ("key", "why"),
    [("n1_h4_w4_c8_k2_s2_p2_a1", "pad 2 is not below the window's 2"),
     ("n1_h4_w4_c8_k5_s2_p0_a1", "window 5 is above"),
     ("n1_h9_w99_c8_k1x99_s1_p0_a1", "a window of 99 pixels"),
     ("n1_h4_w4_c8_k2_s2_p0_a4", "a_bits 4"),
     ("n1_h4_w4_c8_k2_s2_a1", "pad missing")],
)  # fmt: skip
def test_keys_that_are_none(key: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        task_of(f"packed_max_pool2d-{key}-u8")


def test_codes_out_of_range_name_the_channel() -> None:
    w = task_of("packed_max_pool2d-n1_h2_w2_c3_k2_s2_p0_a1-u8").workload
    x = np.zeros((1, 2, 2, 3), np.uint8)
    x[0, 1, 0, 2] = 2
    with pytest.raises(InputError, match="x: channel 2 has 2, 1 bits hold 0 to 1"):
        operator.pack(w, {}, {"x": x})
