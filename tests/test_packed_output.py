"""Convolution and glue write packed planes directly: no tensor of sums or codes is in memory."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from few_bits import task_of

from tests.candidates import candidates
from tvm_ops.template import default_knobs, instantiate

LAYERS = [
    "bitserial_conv2d-n1_ci128_h28_w28_co128_k3_s1_p1_a1_w1_bipolar_thr1-u64",
    "bitserial_conv2d-n1_ci64_h28_w28_co96_k3_s1_p1_a2_w1_unipolar_shift2-u32",
    "bitserial_conv2d-n1_ci64_h28_w28_co128_k5_s1_p2_a1_w1_bipolar0_thr1-u64",
    "bitserial_dense-n64_ci512_co512_a1_w1_bipolar_thr1-u64",
    "binary_input_conv2d-n1_ci3_h32_w32_co64_k3_s1_p1_u8_thr1-u64",
]


@pytest.mark.parametrize("target", ["host", "rpi3", "rpi4", "rpi3-armv7"])
@pytest.mark.parametrize("key", LAYERS)
def test_buffers_are_smaller_than_codes_as_bytes(key: str, target: str) -> None:
    task = task_of(key, target)
    function = instantiate(task, default_knobs(task))
    y = function.params[-1]
    assert str(y.dtype) == task.workload.output_dtype
    assert str(y.dtype).startswith("uint")
    found = function.body.block.alloc_buffers
    sizes = [prod(map(int, b.shape)) * np.dtype(str(b.dtype)).itemsize for b in found]
    w = getattr(task.workload, "conv", task.workload)
    assert sum(sizes) < prod(w.output_shape)


def test_x_is_read_from_a_copy_from_columns_and_in_place() -> None:
    """The sketches' ways to x, which ``test_operators`` runs."""
    key = "bitserial_conv2d-n1_ci256_h5_w5_co13_k1_s1_p0_a1_w1_bipolar_thr3-u64"
    found = {(k["sketch"], k.get("x")) for k in candidates(task_of(key, "rpi4"), seed=1)}
    ways = {(s, x) for s in ("assembly", "intrinsics") for x in ("padded", "im2col", "direct")}
    assert found >= ways and ("plain", None) in found
