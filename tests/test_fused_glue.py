"""fused_glue at the ends of its types, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.few_bits import TARGETS, check_equal, draw, task_of
from tvm_ops.errors import InputError
from tvm_ops.operators import fused_glue
from tvm_ops.operators._bounds import flip_bytes, fold_thresholds, pad_bounds
from tvm_ops.template import default_knobs

ENDS = {"s16": (-(2**15), 2**15 - 1), "s32": (-(2**31), 2**31 - 1)}


def every_int16(channels: int) -> Any:
    """[1, 256, 256, channels], each channel has them all."""
    values = np.arange(-(2**15), 2**15, dtype=np.int16).reshape(1, 256, 256, 1)
    return np.repeat(values, channels, axis=-1)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_shift_form_for_every_int16(bits: int, tmp_path: Path) -> None:
    """Every shift, with mu that makes x - mu reach or pass int32's ends where that is exact."""
    shift = np.repeat(np.arange(32, dtype=np.int32), 3)
    low = np.where(shift <= 31 - bits, -(2**31), 2**15 - 2**31)
    mu = np.select(
        [np.arange(96) % 3 == i for i in (0, 1)], [low, draw(bits, -999, 999, 96)], 2**31 - 1
    )
    task = task_of(f"fused_glue-n1_h256_w256_c96_shift{bits}-s16u64")
    check_equal(task, {"x": every_int16(96), "mu": mu, "shift": shift}, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_shift_form_at_the_ends_of_int32(target: str, bits: int, tmp_path: Path) -> None:
    """Sums next to int32's ends and to each step of the code."""
    shift = np.repeat(np.arange(32, dtype=np.int32), 4)
    least = np.where(shift <= 31 - bits, -(2**31), 0)
    mu = np.maximum(draw(bits, -(2**31), 2**31 - 1, 128), least).astype(np.int32)
    mu[::4], mu[1::4] = least[::4], 2**31 - 1
    steps = mu.astype(np.int64) + (np.arange(-1, 2**bits + 1)[:, None] << shift.astype(np.int64))
    half = np.left_shift(1, shift.astype(np.int64)) >> 1
    near = [steps - half + d for d in (-1, 0, 1)]
    ends = [np.full((2, 128), end) for end in ENDS["s32"]]
    x = np.clip(np.concatenate([*near, *ends]), *ENDS["s32"]).astype(np.int32)[None, None]
    key = f"fused_glue-n1_h1_w{x.shape[2]}_c128_shift{bits}-s32u32"
    check_equal(task_of(key, target), {"x": x, "mu": mu, "shift": shift}, tmp_path)


@pytest.mark.parametrize("sums", ["s16", "s32"])
@pytest.mark.parametrize("target", TARGETS)
def test_thresholds_at_the_ends_of_types(sums: str, target: str, tmp_path: Path) -> None:
    """Every pair of sum and threshold near an end, both signs; int16 sums, wider thresholds too."""
    ends = [e + d for e in (*ENDS["s16"], *ENDS["s32"]) for d in (-1, 0, 1)]
    kept = [e for e in ends if ENDS["s32"][0] <= e <= ENDS["s32"][1]]
    thresholds = np.repeat(np.array(kept, np.int32), 2)[:, None]
    signs = np.tile(np.array([-1, 1], np.int8), len(kept))
    x = [e for e in kept if ENDS[sums][0] <= e <= ENDS[sums][1]]
    dtype = fused_glue.SUMS[sums]
    sums_of = np.repeat(np.array(x, dtype)[None, None, :, None], len(signs), axis=-1)
    task = task_of(f"fused_glue-n1_h1_w{len(x)}_c{len(signs)}_thr1-{sums}u8", target)
    check_equal(task, {"x": sums_of, "thresholds": thresholds, "signs": signs}, tmp_path)


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_fold_is_exact(bits: int, dtype: str) -> None:
    """Bounds and flips against numpy, for all sums of a small range and thresholds beyond it."""
    info = np.iinfo(dtype)
    thresholds = np.sort(draw(bits, info.min - 9, info.max + 9, 40, 2**bits - 1), axis=1)
    signs = np.tile(np.array([-1, 1], np.int8), 20)
    offset = draw(7, -5, 5, 40)
    sums = np.arange(info.min, info.max + 1, 1 if dtype == "int8" else 13)[:, None]
    bounds, flips = pad_bounds(*fold_thresholds(thresholds, signs, bits, dtype, offset), 43)
    met = sums[..., None, None].astype(np.int64)[:, 0] >= bounds
    expected = fused_glue._glue.threshold_codes(sums + offset, thresholds, signs, bits)
    by_xor = np.zeros(met.shape[::2], np.uint8)
    for bit in range(bits):
        by_xor |= (
            np.bitwise_xor.reduce(met[:, 2**bit - 1 :: 2**bit], axis=1).astype(np.uint8) << bit
        )
    assert np.array_equal((by_xor ^ flips)[:, :40], expected)
    assert (by_xor ^ flips)[:, 40:].max() == 0


def test_flips_are_packed_as_codes_are() -> None:
    assert flip_bytes(np.array([1, 0, 2, 3, 0, 0, 0, 1], np.uint8), 2).tolist() == [[0x89], [0x0C]]


def refused(key: str, **arrays: Any) -> str:
    task = task_of(key)
    with pytest.raises(InputError) as caught:
        fused_glue.pack(task.workload, default_knobs(task), arrays)
    return str(caught.value)


def test_what_cannot_be_used_names_the_channel() -> None:
    zeros, ones = np.zeros(3, np.int32), np.ones(3, np.int32)
    shift = "fused_glue-n1_h1_w1_c3_shift2-s16u8"
    assert "shift: channel 1 has 32" in refused(shift, mu=zeros, shift=np.array([0, 32, 1]))
    message = refused(shift, mu=np.array([0, 0, -(2**31)]), shift=np.array([31, 29, 30]))
    assert "mu: channel 2 has -2147483648 with shift 30" in message
    assert "exact for shifts up to 29" in message
    key = "fused_glue-n1_h1_w1_c3_thr2-s16u8"
    falling = np.array([[1, 2, 3], [3, 2, 1], [0, 0, 0]])
    assert "channel 1" in refused(key, thresholds=falling, signs=ones)
    assert "signs: channel 2 has 0" in refused(
        key, thresholds=falling[[0, 0, 0]], signs=np.array([1, 1, 0])
    )
    assert "'x' is int32" in refused(key, x=np.zeros((1, 1, 1, 3), np.int32))


@pytest.mark.parametrize(
    "key",
    ["n1_h1_w1_c3_thr4-s16u8", "n1_h1_w1_c3-s16u8", "n1_h1_w1_thr1-s16u8", "n1_h1_w1_c3_thr1-s8u8",
     "n1_h1_w1_c3_thr1-s16u16", "n1_h1_w1_c0_thr1-s16u8", "n1_h1_w1_c3_thr1_shift1-s16u8"],
)  # fmt: skip
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(InputError):
        task_of(f"fused_glue-{key}")
