"""packed_add: every pair of codes against every threshold, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.few_bits import TARGETS, check_equal, task_of
from tvm_ops.errors import InputError
from tvm_ops.operators import packed_add as operator


def every_pair(bits: int, channels: int) -> dict[str, Any]:
    """[1, codes, codes, channels], each channel has them all."""
    codes = np.arange(2**bits, dtype=np.uint8)
    x, residual = np.meshgrid(codes, codes)
    repeated = {"x": x, "residual": residual}
    return {n: np.repeat(a[None, ..., None], channels, axis=-1) for n, a in repeated.items()}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("polarity", ["unipolar", "bipolar"])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_pair_meets_every_threshold(
    bits: int, polarity: str, target: str, tmp_path: Path
) -> None:
    """Thresholds beyond all sums on both sides and int32's ends, both signs."""
    most = 2 * (2**bits - 1)
    ends = [-(2**31), 2**31 - 1]
    levels = np.array([ends[0], *range(-most - 2, most + 3), ends[1]], np.int32)
    channels = 2 * len(levels)
    side = 2**bits
    key = f"packed_add-n1_h{side}_w{side}_c{channels}_a{bits}_{polarity}_thr1-u8"
    signs = np.repeat(np.array([-1, 1], np.int8), len(levels))
    arrays = {"thresholds": np.tile(levels, 2)[:, None], "signs": signs}
    check_equal(task_of(key, target), every_pair(bits, channels) | arrays, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("polarity", ["unipolar", "bipolar"])
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_sum(bits: int, polarity: str, target: str, tmp_path: Path) -> None:
    side = 2**bits
    key = f"packed_add-n1_h{side}_w{side}_c21_a{bits}_{polarity}_acc-u32"
    check_equal(task_of(key, target), every_pair(bits, 21), tmp_path)


@pytest.mark.parametrize("channels", [8, 16, 64])
def test_neighbouring_pixels_of_one_plane_share_vectors(channels: int, tmp_path: Path) -> None:
    """12 pixels: vectors of 4, 4 and 2."""
    task = task_of(f"packed_add-n1_h3_w4_c{channels}_a1_bipolar_thr1-u8")
    assert operator.neighbours(task.workload) == {8: 4, 16: 4, 64: 2}[channels]
    check_equal(task, {}, tmp_path, pixels=1)


def refused(**arrays: Any) -> str:
    w = task_of("packed_add-n1_h1_w1_c3_a1_bipolar_thr2-u8").workload
    with pytest.raises(InputError) as caught:
        operator.pack(w, {}, operator.data(w) | arrays)
    return str(caught.value)


def test_what_cannot_be_used_names_the_channel() -> None:
    code = np.array([0, 1, 2], np.uint8).reshape(1, 1, 1, 3)
    assert "residual: channel 2 has 2" in refused(residual=code)
    falling = np.array([[0, 1, 2], [0, 2, 1], [0, 0, 0]])
    assert "thresholds: channel 1" in refused(thresholds=falling)
    assert "signs: channel 0 has 0" in refused(signs=np.array([0, 1, 1]))


@pytest.mark.parametrize(
    ("key", "why"),
    [("c8_a1_thr1", "polarity missing"), ("c8_a1_bipolar", "one of thr, acc"),
     ("c8_a4_bipolar_thr1", "a_bits 4"), ("c8_a1_bipolar_thr5", "out_bits 5"),
     ("c8_a1_bipolar_shift1", "'shift1' is no field")],
)  # fmt: skip
def test_keys_that_are_none(key: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        task_of(f"packed_add-n1_h4_w4_{key}-u8")
