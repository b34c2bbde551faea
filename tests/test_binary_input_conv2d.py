"""binary_input_conv2d: sums at the ends of their types, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.few_bits import TARGETS, check_equal, draw, task_of
from tvm_ops.errors import InputError
from tvm_ops.operators import binary_input_conv2d as operator
from tvm_ops.operators._input_tile import INT16_TAPS
from tvm_ops.template import default_knobs

ENDS = {"u8": (0, 255), "s8": (-128, 127)}


def extremes(w: Any, seed: int) -> dict[str, Any]:
    """An image of ends, weights all of one sign in some channels, mixed in others."""
    shapes = w.array_shapes
    x = np.where(draw(seed, 0, 1, *shapes["x"]) > 0, *ENDS[w.image])
    x[:, : w.kernel[0]] = ENDS[w.image][seed % 2]
    weights = np.where(draw(seed + 1, 0, 1, *shapes["weights"]) > 0, 1, -1)
    weights[0::3], weights[1::3] = 1, -1
    return {"x": x.astype(w.image_dtype), "weights": weights.astype(np.int8)}


@pytest.mark.parametrize("target", [*TARGETS, "rpi4", "rpi5"])
@pytest.mark.parametrize("image", ["u8", "s8"])
@pytest.mark.parametrize("shape", ["ci3_h18_w8_co9_k17x5", "ci16_h6_w7_co9_k4"])
def test_sums_at_their_largest(shape: str, image: str, target: str, tmp_path: Path) -> None:
    """255 taps, the most that int16 holds on the way, and 256."""
    for glue in ("acc", "thr1"):
        task = task_of(f"binary_input_conv2d-n1_{shape}_s1_p0_{image}_{glue}-u8", target)
        assert abs(task.workload.k - INT16_TAPS) <= 1
        arrays = extremes(task.workload, seed=task.workload.k)
        if glue == "thr1":
            y = operator.sums(task.workload, arrays["x"], arrays["weights"])
            met = np.sort(y.reshape(-1, y.shape[-1]), axis=0)[-2].astype(np.int32)
            arrays |= {"thresholds": met[:, None], "signs": np.ones(len(met), np.int8)}
        check_equal(task, arrays, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
def test_every_pattern_of_weights(target: str, tmp_path: Path) -> None:
    """All 512 kernels of 3x3 on one channel, each sum as a number."""
    task = task_of("binary_input_conv2d-n1_ci1_h5_w6_co512_k3_s1_p1_s8_acc-u8", target)
    bits = np.arange(512)[:, None] >> np.arange(9) & 1
    weights = (2 * bits - 1).astype(np.int8).reshape(512, 3, 3, 1)
    check_equal(task, {"weights": weights}, tmp_path)


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
def test_assembly_of_short_rows(taps: int, tmp_path: Path) -> None:
    """One group or few, of an even or odd number of taps; each tile; one row, and two."""
    for rows, tile in [(1, [4, 4]), (2, [3, 2]), (2, [1, 6])]:
        key = f"n1_ci1_h4_w9_co50_k{rows}x{taps}_s1_p0_u8_acc-u8"
        task = task_of(f"binary_input_conv2d-{key}", "rpi4")
        check_equal(task, {}, tmp_path, sketch="assembly", tile=tile)


def test_pads_are_zero() -> None:
    w = task_of("binary_input_conv2d-n1_ci1_h1_w1_co1_k3_s1_p1_u8_acc-u8").workload
    x, weights = np.full((1, 1, 1, 1), 7, np.uint8), np.ones((1, 3, 3, 1), np.int8)
    assert operator.reference(w, {"x": x, "weights": weights}).tolist() == [[[[7]]]]


@pytest.mark.parametrize(
    ("key", "dtype"),
    [("ci3_k7_s2_p3_u8", "int32"), ("ci3_k7_s2_p3_s8", "int16"), ("ci2_k8_s1_p0_u8", "int16"),
     ("ci3_k3x43_s1_p0_u8", "int32")],
)  # fmt: skip
def test_type_of_sums(key: str, dtype: str) -> None:
    """int16 up to 128 taps of uint8 and 255 of int8."""
    ci, rest = key.split("_", 1)
    full = f"binary_input_conv2d-n1_{ci}_h50_w50_co4_{rest}_acc-u8"
    assert task_of(full).workload.output_dtype == dtype


def refused(**arrays: Any) -> str:
    task = task_of("binary_input_conv2d-n1_ci1_h3_w3_co3_k1_s1_p0_u8_thr1-u8")
    given = operator.data(task.workload) | arrays
    with pytest.raises(InputError) as caught:
        operator.pack(task.workload, default_knobs(task), given)
    return str(caught.value)


def test_what_cannot_be_used_names_the_channel() -> None:
    weights = np.array([1, 0, -1], np.int8).reshape(3, 1, 1, 1)
    assert "weights: channel 1 has 0, which is none of -1, +1" in refused(weights=weights)
    assert "signs: channel 2 has 3" in refused(signs=np.array([1, -1, 3], np.int8))
    assert "thresholds: channel 1 has 0.5" in refused(thresholds=np.array([[1], [0.5], [2]]))


@pytest.mark.parametrize(
    ("key", "why"),
    [("ci17_h3_w3_co3_k1_s1_p0_u8_acc", "no first layer"),
     ("ci1_h3_w3_co3_k1_s1_p1_u8_acc", "pad 1 is not below"),
     ("ci1_h3_w3_co3_k5_s1_p0_u8_acc", "above the padded input's 3"),
     ("ci16_h600_w600_co1_k600_s1_p0_u8_acc", "every channel's sums reach 1468800000"),
     ("ci1_h3_w3_co3_k1_s1_p0_acc", "image missing"),
     ("ci1_h3_w3_co3_k1_s1_p0_u8", "one of thr, shift, acc"),
     ("ci1_h3_w3_co3_k1_s1_p0_u8_thr4", "out_bits 4 is not 1 to 3")],
)  # fmt: skip
def test_keys_that_are_none(key: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        task_of(f"binary_input_conv2d-n1_{key}-u8")
