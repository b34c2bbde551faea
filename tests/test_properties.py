"""Random shapes against numpy: any legal workload with any legal knobs, assembly by emulation."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.candidates import random_knobs
from tvm_ops.operators import bitpack, conv2d, dense, depthwise_conv2d, winograd_conv2d
from tvm_ops.operators._bits import WORDS
from tvm_ops.operators._epilogue import ACTIVATIONS
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.template import default_knobs
from tvm_ops.tuning.measure import Measurer

EACH = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SIZES, CHANNELS = st.integers(1, 19), st.integers(1, 21)


def check(operator: str, workload: object, seed: int, target: str = "host", **fixed: str) -> None:
    """With knobs drawn, but for the ``fixed`` ones."""
    task = Task(operator, workload, get_target(target))
    knobs = random_knobs(task, random.Random(seed), fixed) or default_knobs(task)
    board = "host" if target == "host" else "emulated"
    with tempfile.TemporaryDirectory() as scratch:
        outcome = Measurer(task, board, Path(scratch), repeats=1).measure(knobs)
    assert outcome.error is None, f"{task.key} {knobs}: {outcome.error}"


@EACH
@given(
    n=st.integers(1, 3), ci=CHANNELS, h=SIZES, w=SIZES, co=CHANNELS,
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    activation=st.sampled_from(ACTIVATIONS), residual=st.booleans(), block=st.sampled_from((1, 4)),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_winograd_conv2d(
    n: int, ci: int, h: int, w: int, co: int, pad: tuple[int, int], activation: str, residual: bool,
    block: int, seed: int,
) -> None:  # fmt: skip
    h, w = max(h, 3 - 2 * pad[0]), max(w, 3 - 2 * pad[1])
    shape = winograd_conv2d.Workload(
        n, ci, h, w, co, pad=pad, activation=activation, residual=residual, block=(block, block)
    )
    check("winograd_conv2d", shape, seed)


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@EACH
@given(
    n=st.integers(1, 2), ci=st.integers(1, 9), h=SIZES, w=SIZES, co=st.integers(1, 9),
    groups=st.integers(1, 3), kernel=PAIRS, stride=PAIRS, dilation=PAIRS,
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    activation=st.sampled_from(ACTIVATIONS), residual=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_conv2d(
    n: int, ci: int, h: int, w: int, co: int, groups: int, kernel: tuple[int, int],
    stride: tuple[int, int], dilation: tuple[int, int], pad: tuple[int, int], activation: str,
    residual: bool, seed: int,
) -> None:  # fmt: skip
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    h, w = max(h, reach[0] - 2 * pad[0]), max(w, reach[1] - 2 * pad[1])
    shape = conv2d.Workload(
        n, ci * groups, h, w, co * groups, kernel, stride, pad, dilation, groups, activation,
        residual,
    )  # fmt: skip
    check("conv2d", shape, seed)


@EACH
@given(
    n=st.integers(1, 20), ci=st.integers(1, 40), co=st.integers(1, 70), residual=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS), seed=st.integers(0, 99),
)  # fmt: skip
def test_dense(n: int, ci: int, co: int, residual: bool, activation: str, seed: int) -> None:
    check("dense", dense.Workload(n, ci, co, activation, residual), seed)


@EACH
@given(
    n=st.integers(1, 2), h=st.integers(1, 9), w=st.integers(1, 9), c=st.integers(1, 300),
    a_bits=st.integers(1, 3), per=st.sampled_from(["channel", "tensor"]),
    x=st.sampled_from(sorted(bitpack.TYPES)), word=st.sampled_from(sorted(WORDS)),
    target=st.sampled_from(["host", "rpi4", "rpi3-armv7"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_bitpack(
    n: int, h: int, w: int, c: int, a_bits: int, per: str, x: str, word: str, target: str, seed: int
) -> None:
    check("bitpack", bitpack.Workload(n, h, w, c, a_bits, per, x, word), seed, target)


KERNELS = st.tuples(st.integers(1, 4), st.integers(1, 4))
PADS = st.tuples(st.integers(0, 3), st.integers(0, 3))


@EACH
@given(
    n=st.integers(1, 2), ci=CHANNELS, multiplier=st.integers(1, 3), h=SIZES, w=SIZES,
    kernel=KERNELS, stride=PAIRS, dilation=PAIRS, pad=PADS,
    activation=st.sampled_from(ACTIVATIONS), residual=st.booleans(),
    block=st.sampled_from((1, 4, 8, 16)), seed=st.integers(0, 99),
)  # fmt: skip
def test_depthwise_conv2d(
    n: int, ci: int, multiplier: int, h: int, w: int, kernel: tuple[int, int],
    stride: tuple[int, int], dilation: tuple[int, int], pad: tuple[int, int], activation: str,
    residual: bool, block: int, seed: int,
) -> None:  # fmt: skip
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    h, w = max(h, reach[0] - 2 * pad[0]), max(w, reach[1] - 2 * pad[1])
    shape = depthwise_conv2d.Workload(
        n, ci, h, w, ci * multiplier, kernel, stride, pad, dilation, ci, activation, residual,
        (block, block),
    )  # fmt: skip
    check("depthwise_conv2d", shape, seed)


@EACH
@given(
    n=st.integers(1, 2), ci=st.integers(1, 21), h=SIZES, w=SIZES, co=CHANNELS,
    groups=st.sampled_from([1, 1, 2, 3]), kernel=PAIRS, stride=PAIRS, dilation=PAIRS,
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    activation=st.sampled_from(ACTIVATIONS), residual=st.booleans(),
    pointwise=st.booleans(),
    target=st.sampled_from(["rpi3", "rpi4"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_conv2d_in_channel_blocks(
    n: int, ci: int, h: int, w: int, co: int, groups: int, kernel: tuple[int, int],
    stride: tuple[int, int], dilation: tuple[int, int], pad: tuple[int, int], activation: str,
    residual: bool, pointwise: bool, target: str, seed: int,
) -> None:  # fmt: skip
    if pointwise:
        kernel, pad = (1, 1), (0, 0)
    if groups > 1:  # of whole blocks
        ci, co = 4 * groups * (ci % 4 + 1), 4 * groups * (co % 4 + 1)
    h, w = _reached(h, w, kernel, dilation, pad)
    shape = conv2d.Workload(
        n, ci, h, w, co, kernel, stride, pad, dilation, groups, activation, residual, (4, 4)
    )
    check("conv2d", shape, seed, target, sketch="neon")


@EACH
@given(
    n=st.integers(1, 2), ci=st.integers(1, 6), h=SIZES, w=SIZES, co=CHANNELS, kernel=PAIRS,
    stride=PAIRS, dilation=st.integers(1, 2),
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    activation=st.sampled_from(ACTIVATIONS), residual=st.booleans(),
    target=st.sampled_from(["rpi3", "rpi4"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_conv2d_of_few_channels_into_blocks(
    n: int, ci: int, h: int, w: int, co: int, kernel: tuple[int, int], stride: tuple[int, int],
    dilation: int, pad: tuple[int, int], activation: str, residual: bool, target: str, seed: int,
) -> None:  # fmt: skip
    h, w = _reached(h, w, kernel, (dilation, 1), pad)
    shape = conv2d.Workload(
        n, ci, h, w, co, kernel, stride, pad, (dilation, 1), 1, activation, residual, (1, 4)
    )
    check("conv2d", shape, seed, target, sketch="blocked" if shape.is_pointwise else "neon")


def _reached(
    h: int, w: int, kernel: tuple[int, int], dilation: tuple[int, int], pad: tuple[int, int]
) -> tuple[int, int]:
    """A size that the kernel fits."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    return max(h, reach[0] - 2 * pad[0]), max(w, reach[1] - 2 * pad[1])
