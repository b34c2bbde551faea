"""The hand-written convolutions against numpy: here without NEON, under qemu with it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from handwritten_driver import (
    BAD_GROUPS,
    BAD_KERNEL,
    BAD_SIZE,
    OK,
    SANITIZERS,
    TOO_LARGE,
    UNSUPPORTED,
    compiled,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_ops.boards import get_board
from tvm_ops.errors import InputError
from tvm_ops.operators._conv import ConvWorkload, conv_data, conv_reference
from tvm_ops.peers import handwritten
from tvm_ops.peers.convolution import Convolution
from tvm_ops.peers.handwritten.work import ACTIVATIONS, float_sizes
from tvm_ops.targets import get_target
from tvm_ops.task import Task

FUNCTIONS = ("winograd_conv2d", "conv2d")
# Of the largest output, or of 1: F(4,3) loses about a digit more than a sum of products does.
BOUND = {"winograd_conv2d": 1e-4, "conv2d": 1e-5}
FOUR_CHANNELS = "-DCO_TILE=4"  # the register tile of cores with 16 vector registers


class Case(NamedTuple):
    function: str
    workload: ConvWorkload


def conv(n, ci, size, co, kernel=(3, 3), stride=(1, 1), pad=(1, 1), dilation=(1, 1), groups=1,
         activation="relu"):  # fmt: skip
    return ConvWorkload(n, ci, *size, co, kernel, stride, pad, dilation, groups, activation)


PLAIN = [  # 3x3, stride 1: for both functions
    conv(1, 13, (23, 23), 13),
    conv(2, 5, (9, 17), 6, pad=(0, 2), activation="relu6"),
    conv(1, 13, (1, 1), 20, activation="none"),
    conv(3, 3, (3, 3), 1, pad=(0, 0), activation="hswish"),
    conv(1, 1, (1, 30), 1, pad=(2, 0), activation="none"),
    conv(1, 16, (8, 8), 16, pad=(1, 1), activation="hswish"),
    conv(1, 3, (7, 7), 9, pad=(3, 4)),
    conv(1, 300, (7, 7), 17, activation="none"),
    conv(1, 20, (1, 1000), 3),  # a block is part of one row of tiles
    conv(1, 64, (56, 56), 24),  # several blocks of rows
    *(conv(1, 4, (6, width), 8, pad=(0, 1), activation="none") for width in (2, 15, 18, 26)),
]
OTHERS = [
    conv(1, 3, (32, 31), 20, (7, 7), (2, 2), (3, 3)),
    conv(1, 3, (12, 40), 9, (3, 3), (2, 2), (1, 1), activation="hswish"),
    conv(1, 40, (14, 14), 24, (1, 1), pad=(0, 0), activation="relu6"),
    conv(2, 30, (9, 9), 11, (1, 1), (2, 2), (0, 0), activation="none"),
    conv(1, 300, (4, 5), 9, (1, 1), pad=(0, 0)),
    conv(1, 7, (20, 19), 5, (3, 2), (3, 1), (2, 0), (1, 3)),
    conv(1, 6, (25, 9), 6, (5, 3), (1, 4), (0, 3), (2, 1)),
    conv(1, 2, (5, 5), 3, (5, 5), pad=(0, 0)),
    conv(1, 2, (3, 50), 70, (2, 2), (7, 9), (5, 0)),
    conv(1, 12, (11, 10), 9, groups=3),
    conv(2, 12, (11, 21), 12, groups=12, activation="relu6"),
    conv(1, 5, (12, 35), 5, (5, 5), (2, 2), (2, 2), groups=5, activation="hswish"),
    conv(1, 4, (9, 9), 12, (3, 3), (2, 3), (1, 1), (2, 2), groups=4, activation="none"),
    conv(1, 1, (1, 1), 1, (1, 1), pad=(0, 0), activation="none"),
    conv(1, 3, (30, 30), 4, (1, 1), pad=(0, 0)),  # more than one block of pixels
]
CASES = [Case(f, w) for w in PLAIN for f in FUNCTIONS] + [Case("conv2d", w) for w in OTHERS]


def sizes(workload, **changed):
    """Its handwritten_params; ``changed`` may make them invalid."""
    return float_sizes(replace(Convolution.of(workload), **changed))


def check_case(driver, case):
    data, shape = conv_data(case.workload), case.workload.output_shape
    arguments = sizes(case.workload), data.values(), 4 * int(np.prod(shape))
    y = np.frombuffer(driver.run(case.function, *arguments), "<f4").reshape(shape)
    expected = conv_reference(case.workload, data)
    bound = BOUND[case.function] * max(1.0, np.abs(expected).max())
    assert np.abs(y - expected).max() <= bound, case


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """Under the sanitizers, with buffers of exactly the sizes that the functions ask for."""
    with compiled(tmp_path_factory.mktemp("native"), "host", *SANITIZERS) as process:
        yield process


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.function}-{c.workload.shape_key}")
def test_native(native, case):
    check_case(native, case)


@pytest.mark.parametrize(
    ("target", "flags"), [("rpi4", []), ("rpi3", []), ("rpi4-armv7", []), ("host", [FOUR_CHANNELS])]
)
def test_other_builds(tmp_path, target, flags):
    with compiled(tmp_path, target, *flags) as process:
        for case in CASES:
            check_case(process, case)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_random_shapes(native, function):
    small = st.integers(0, 3)

    @settings(max_examples=150)
    @given(st.data())
    def check(data):
        draw = data.draw
        h, w, ph, pw = (draw(s) for s in (st.integers(1, 30), st.integers(1, 70), small, small))
        kernel = stride = dilation = (3, 3) if function == "conv2d" else (1, 1)
        if function == "conv2d":
            kernel, stride, dilation = (
                (draw(st.integers(1, most)), draw(st.integers(1, most))) for most in (5, 4, 3)
            )
        else:
            kernel = (3, 3)
        # As much padding as the kernel needs.
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        pad = (max(ph, -((h - reach[0]) // 2)), max(pw, -((w - reach[1]) // 2)))
        groups = draw(st.integers(1, 4)) if function == "conv2d" else 1
        ci, co = groups * draw(st.integers(1, 20)), groups * draw(st.integers(1, 20))
        activation = draw(st.sampled_from(ACTIVATIONS))
        workload = ConvWorkload(
            draw(st.integers(1, 2)), ci, h, w, co, kernel, stride, pad, dilation, groups, activation
        )
        check_case(native, Case(function, workload))

    check()


def test_refusals(native):
    good = conv(1, 4, (8, 8), 6)
    for changed, code in [
        ({"n": 0}, BAD_SIZE),
        ({"ci": -4}, BAD_SIZE),
        ({"stride": (0, 1)}, BAD_SIZE),
        ({"dilation": (1, -1)}, BAD_SIZE),
        ({"groups": 0}, BAD_SIZE),
        ({"pad": (-1, 0)}, BAD_SIZE),
        ({"groups": 4}, BAD_GROUPS),
        ({"h": 2, "pad": (0, 0)}, BAD_KERNEL),
        ({"n": 1 << 30}, TOO_LARGE),
        ({"h": 1 << 20, "w": 1 << 20}, TOO_LARGE),
        ({"co": 1 << 28}, TOO_LARGE),
        ({"pad": (1 << 27, 1 << 27)}, TOO_LARGE),
    ]:
        for function in FUNCTIONS:
            assert native.ask(function, sizes(good, **changed)) == code, (function, changed)
    for changed in ({"kernel": (1, 1)}, {"stride": (2, 1)}, {"dilation": (1, 2)}, {"groups": 2}):
        assert native.ask("winograd_conv2d", sizes(good, **changed)) == UNSUPPORTED
    assert native.ask("conv2d", [*sizes(good)[:-1], len(ACTIVATIONS)]) == UNSUPPORTED


def test_no_parameters_crash_the_check(native):
    number = st.one_of(st.integers(1, 4), st.integers(-(1 << 31), (1 << 31) - 1))

    @settings(max_examples=300)
    @given(st.sampled_from(FUNCTIONS), st.lists(number, min_size=15, max_size=15))
    def check(function, values):
        assert OK <= native.ask(function, values) <= TOO_LARGE

    check()


def test_peer_on_this_machine():
    peer, task = handwritten.Handwritten(), Task("conv2d", OTHERS[0], get_target("host"))
    data = conv_data(task.workload)
    result = peer.measure(task, get_board("host", task.target), data, repeat=2)
    assert result.why_not is None
    assert len(result.seconds) == 2 and min(result.seconds) > 0
    assert result.cycles is None
    assert np.abs(result.output - conv_reference(task.workload, data)).max() < 1e-5


def test_peer_on_the_modelled_board():
    task = Task("winograd_conv2d", PLAIN[0], get_target("rpi4"))
    data = conv_data(task.workload)
    board = get_board("modelled", task.target)
    first, second = (handwritten.Handwritten().measure(task, board, data) for _ in range(2))
    assert first.why_not is None
    assert first.cycles == second.cycles
    # 0.8 MMAC: below the time of one multiply-add a cycle, above what the core could do at best.
    assert task.workload.macs / 16 < first.cycles < task.workload.macs
    assert first.seconds == [first.cycles / get_target("rpi4").clock_ghz / 1e9]
    assert np.abs(first.output - conv_reference(task.workload, data)).max() < 1e-4


def test_peer_says_what_it_cannot():
    peer, target = handwritten.Handwritten(), get_target("host")
    board = get_board("host", target)
    strided = Task("winograd_conv2d", OTHERS[1], target)
    result = peer.measure(strided, board, conv_data(OTHERS[1]))
    assert result.output is None and not result.seconds
    assert result.why_not == "winograd_conv2d: written for other kernels, strides or groups"
    assert "conv2d" in peer.why_not(Task("softmax", OTHERS[1], target))
    with pytest.raises(InputError, match="softmax"):
        handwritten.build("softmax", target)


def test_bench_refuses_wrong_input(tmp_path):
    bench = handwritten.build("conv2d", get_target("host"))
    numbers = ",".join(map(str, sizes(OTHERS[-2])))
    one = tmp_path / "one"
    one.write_bytes(bytes(4))
    good = ["conv2d", numbers, one, one, one, tmp_path / "y", tmp_path / "json", "0", "1"]
    assert subprocess.run([bench, *good], check=False).returncode == 0
    for at, wrong in [(0, "conv3d"), (1, "1,2"), (1, numbers + ",1"), (2, tmp_path / "no"),
                      (3, bench), (7, "-1"), (8, "x"), (5, tmp_path / "no/y")]:  # fmt: skip
        argv = [bench, *good[:at], wrong, *good[at + 1 :]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 2, argv
        assert done.stderr.startswith("handwritten_bench: ") and done.stderr.count("\n") == 1
    assert subprocess.run([bench], capture_output=True, check=False).returncode == 2
