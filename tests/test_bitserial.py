"""Few-bit convolution and dense: exact on all bit patterns, at the largest sums; errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tvm_ops.errors import InputError
from tvm_ops.operators import bitserial_conv2d, bitserial_dense
from tvm_ops.operators._bitserial_borders import edges
from tvm_ops.operators._bitserial_pack import sum_bits
from tvm_ops.operators._bitserial_reference import sums
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.template import default_knobs
from tvm_ops.tuning.measure import Measurer

Conv, Dense = bitserial_conv2d.Workload, bitserial_dense.Workload
Array = NDArray[Any]
TARGETS = ["host", "rpi3", "rpi4", "rpi5", "rpi3-armv7"]


def check(w: Any, arrays: dict[str, Array], target: str, folder: Path) -> None:
    """The default kernel of these arrays equals numpy."""
    operator = "bitserial_dense" if isinstance(w, Dense) else "bitserial_conv2d"
    task = Task(operator, w, get_target(target))
    measurer = Measurer(task, "host" if target == "host" else "emulated", folder, repeats=1)
    measurer.arrays = arrays
    outcome = measurer.measure(default_knobs(task))
    assert outcome.error is None, f"{task.key}: {outcome.error}"


def patterns(bits: int, count: int) -> Array:
    """Codes [2^(bits * count), count]: all that ``count`` channels can have."""
    numbers = np.arange(2 ** (bits * count))
    return np.stack([numbers >> (bits * i) & 2**bits - 1 for i in range(count)], axis=1)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("polarity", ["bipolar", "unipolar"])
@pytest.mark.parametrize(
    ("a_bits", "w_bits", "channels"), [(1, 1, 8), (2, 1, 4), (2, 2, 3), (3, 2, 2)]
)
def test_all_patterns(
    target: str, polarity: str, a_bits: int, w_bits: int, channels: int, tmp_path: Path
) -> None:
    """Each pattern of x meets each of the weights, the other channels are the same for all."""
    rng = np.random.default_rng(0)
    x_codes, w_codes = patterns(a_bits, channels), patterns(w_bits, channels)
    w = Dense(len(x_codes), 32, len(w_codes), a_bits, w_bits, polarity, "acc", 0, "u32")
    x = np.tile(rng.integers(0, 2**a_bits, 32), (w.n, 1))
    weights = np.tile(rng.integers(0, 2**w_bits, 32), (w.co, 1))
    x[:, 5 : 5 + channels], weights[:, 5 : 5 + channels] = x_codes, w_codes
    arrays = {
        "x": x.astype(np.uint8),
        "weights": (2 * weights - (2**w_bits - 1)).astype(np.int8),
    }
    check(w, arrays, target, tmp_path)


def test_reference_is_the_sum_of_products() -> None:
    """Of values, position by position, in plain Python."""
    for polarity, pad in [("bipolar", -3), ("bipolar0", 0), ("unipolar", 0)]:
        w = Conv(1, 64, 3, 4, 4, (3, 2), (2, 1), (1, 1), 2, 2, 2, polarity, "acc", 0)
        a = bitserial_conv2d.data(w)
        y = sums(w, a["x"], a["weights"])
        for r, c, o in np.ndindex(w.out_h, w.out_w, w.co):
            total = 0
            for i, j, k in np.ndindex(3, 2, 32):
                row, col = r * 2 + i - 1, c + j - 1
                inside = 0 <= row < 3 and 0 <= col < 4
                code = int(a["x"][0, row, col, o // 2 * 32 + k]) if inside else 0
                value = code if polarity == "unipolar" else 2 * code - 3
                total += (value if inside else pad) * int(a["weights"][o, i, j, k])
            assert y[0, r, c, o] == total


# Bytes at 31 steps of 8, T at both ends of 16 bits, sums at both sides of int16, 32 bits.
EXTREMES = [
    (1984, 1, 1), (32736, 1, 1), (32768, 1, 1), (7264, 2, 2), (7296, 2, 2), (4608, 3, 2),
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("polarity", ["bipolar", "unipolar"])
@pytest.mark.parametrize(("ci", "a_bits", "w_bits"), EXTREMES)
def test_largest_sums(
    target: str, polarity: str, ci: int, a_bits: int, w_bits: int, tmp_path: Path
) -> None:
    """x at both ends and weights at both ends: sums; codes at thresholds that just are met."""
    top, end = 2**w_bits - 1, 2**a_bits - 1
    x = np.stack([np.zeros(ci, np.uint8), np.full(ci, end, np.uint8)])
    weights = np.repeat(np.array([top, -top, top, -top], np.int8)[:, None], ci, axis=1)
    largest = ci * end * top
    w = Dense(2, ci, 4, a_bits, w_bits, polarity, "acc", 0)
    if polarity == "unipolar":
        check(w, {"x": x, "weights": weights}, target, tmp_path)
        return
    limits = [[largest, 2**31 - 1, 2**31 - 1], [-largest, -largest + 1, largest + 1]]
    limits += [[-(2**31), -largest - 1, -largest], [-(2**31), 0, largest]]
    arrays = {"x": x, "weights": weights, "thresholds": np.array(limits, np.int32)}
    arrays["signs"] = np.array([1, 1, -1, -1], np.int8)
    check(Dense(2, ci, 4, a_bits, w_bits, polarity, "thr", 2), arrays, target, tmp_path)


def test_sums_are_held_in_16_bits_where_they_fit() -> None:
    assert sum_bits(Dense(1, 7264, 1, 2, 2).conv) == 16
    assert sum_bits(Dense(1, 7296, 1, 2, 2).conv) == 32
    assert Dense(1, 32736, 1, glue="acc", out_bits=0).output_dtype == "int16"
    assert Dense(1, 32768, 1, glue="acc", out_bits=0).output_dtype == "int32"


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 1, 1), (5, 2, 3), (2, 3, 2), (1, 1, 2)])
def test_classes_have_the_same_taps_outside(size: int, kernel: int, stride: int, pad: int) -> None:
    from tvm import tirx

    w = Conv(1, 32, size, size + 1, 8, (kernel, kernel), (stride, stride), (pad, pad))
    for edge, outputs in zip(edges(w), (w.out_h, w.out_w), strict=True):
        for o in range(outputs):
            number = int(edge.of(tirx.IntImm("int32", o)))
            positions = o * stride - pad + np.arange(kernel)
            outside = (positions < 0) | (positions >= edge.size)
            np.testing.assert_array_equal(edge.outside(number), outside)
            assert number < edge.classes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ci": 48}, "48 input channels of a group are no multiple of 32: channel 32"),
        ({"ci": 96, "groups": 2}, "48 input channels of a group are no multiple of 32: channel 32"),
        ({"ci": 64, "groups": 3}, "groups 3 must divide ci 64"),
        ({"a_bits": 4}, "a_bits 4 is not 1 to 3"),
        ({"w_bits": 3}, "w_bits 3 is not 1 or 2"),
        ({"out_bits": 4}, "out_bits 4 is not 1 to 3"),
        ({"glue": "acc"}, "out_bits 0"),
        ({"polarity": "ternary"}, "polarity is one of"),
        ({"word": "u16"}, "words are u8, u32, u64"),
        ({"kernel": (9, 9)}, "kernel 9 is larger"),
        (
            {"ci": 65504, "co": 1, "h": 32, "w": 32, "kernel": (32, 32), "a_bits": 3, "w_bits": 2},
            "every channel sums .* proven safe",
        ),
    ],
)  # fmt: skip
def test_refused_workloads(fields: dict[str, Any], message: str) -> None:
    shape = {"n": 1, "ci": 64, "h": 5, "w": 5, "co": 12}
    if "groups" in fields:
        shape["co"] = 6
    with pytest.raises(InputError, match=message):
        Conv(**shape | fields)


def _changed(name: str, at: Any, value: int) -> tuple[Any, dict[str, Array]]:
    w = Conv(
        1, 32, 4, 4, 5, a_bits=2, glue="shift" if name in ("mu", "shift") else "thr", out_bits=2
    )
    arrays = bitserial_conv2d.data(w)
    arrays[name] = arrays[name].copy()
    arrays[name][at] = value
    return w, arrays


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("x", (0, 1, 2, 7), 4, "x: channel 7 has 4"),
        ("weights", (3, 0, 1, 2), 0, r"weights: channel 3 has 0, which is none of -1, \+1"),
        ("thresholds", (2, 0), 2**30, "thresholds: channel 2 .* not ascending"),
        ("signs", 4, 0, "signs: channel 4 has 0"),
        ("shift", 1, 32, "shift: channel 1 has 32"),
    ],
)
def test_refused_parameters(name: str, at: Any, value: int, message: str) -> None:
    w, arrays = _changed(name, at, value)
    knobs = default_knobs(Task("bitserial_conv2d", w, get_target("rpi4")))
    with pytest.raises(InputError, match=message):
        bitserial_conv2d.pack(w, knobs, arrays)


def test_refused_keys() -> None:
    with pytest.raises(InputError, match="a key looks like"):
        Conv.parse("n1_ci64_h5_w5_co12_k3_s1_p1_bipolar_thr1", "u64")
    with pytest.raises(InputError, match="type 'f32'"):
        Conv.parse("n1_ci64_h5_w5_co12_k3_s1_p1_a1_w1_bipolar_thr1", "f32")
    with pytest.raises(InputError, match="w_bits missing"):
        Dense.parse("n1_ci64_co12_a1_bipolar_thr1", "u64")
