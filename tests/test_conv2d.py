"""The packed input's indices, and the packing of weights, by counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tvm_ops.errors import InputError
from tvm_ops.operators import conv2d
from tvm_ops.operators._conv_pack import Axis

SHAPES = itertools.product((1, 7, 12), (0, 2), (1, 2, 3, 4), (1, 2, 3), (1, 2, 5))
AXES = [
    Axis(
        size,
        pad,
        stride,
        dilation,
        taps,
        (size + 2 * pad - (taps - 1) * dilation - 1) // stride + 1,
    )
    for size, pad, stride, dilation, taps in SHAPES
    if (taps - 1) * dilation < size + 2 * pad
]


@pytest.mark.parametrize("axis", AXES)
def test_each_tap_of_each_output_is_packed_once(axis: Axis) -> None:
    for output, tap in itertools.product(range(axis.outputs), range(axis.taps)):
        phase, index = axis.phase(tap), axis.index(output, tap)
        assert 0 <= phase < axis.phases and 0 <= index < axis.length
        wanted = output * axis.stride + tap * axis.dilation - axis.pad
        assert axis.position(phase, index) == wanted


@pytest.mark.parametrize("axis", AXES)
def test_padding_is_told_from_the_input(axis: Axis) -> None:
    for phase in range(axis.phases):
        first, end = axis.inside(phase)
        inside = [i for i in range(axis.length) if 0 <= axis.position(phase, i) < axis.size]
        assert list(range(first, end)) == inside


def test_weights_are_packed_in_the_order_of_use() -> None:
    w = conv2d.Workload(1, 6, 5, 5, 10, (3, 2), groups=2)
    weights = np.arange(10 * 3 * 6, dtype=np.float32).reshape(w.weights_shape)
    knobs = {"sketch": "grouped", "lanes": 4, "tile": [1, 4, 4], "blocks_rows": 1}
    arrays = {"weights": weights, "bias": np.arange(10, dtype=np.float32)}
    parts = conv2d.pack(w, knobs, arrays)
    packed = parts["weights"]
    assert packed.shape == (2, 2, 3, 3, 2, 4)
    assert packed[1, 0, 2, 1, 0, 3] == weights[5 + 3, 2, 1, 0]
    assert packed[1, 1, 0, 0, 1, 0] == weights[5 + 4, 0, 0, 1]
    assert not packed[:, 1, ..., 1:].any()
    assert parts["bias"].tolist() == [0, 1, 2, 3, 4, 0, 0, 0, 5, 6, 7, 8, 9, 0, 0, 0]


def test_arrays_of_another_shape_are_refused() -> None:
    w = conv2d.WORKLOADS[0]
    for name in ("x", "weights", "bias"):
        with pytest.raises(InputError, match=f"'{name}' has shape"):
            conv2d.pack(w, {}, {name: np.zeros((1, 2), np.float32)})
    with pytest.raises(InputError, match=r"'slope' is no argument; .* has x, weights, bias"):
        conv2d.pack(w, {}, {"slope": np.zeros(w.co, np.float32)})
