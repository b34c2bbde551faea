"""The hand-written one-bit kernels against numpy: here without NEON, under qemu with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from handwritten_driver import (
    BAD_KERNEL,
    BAD_SIZE,
    LONG_SUMS,
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
from tvm_ops.operators import bitserial_conv2d, bitserial_dense, get_operator
from tvm_ops.peers.handwritten import Handwritten
from tvm_ops.peers.handwritten.work import bit_sizes, why_not, work_of
from tvm_ops.targets import get_target
from tvm_ops.task import Task

TWO_PIXELS = "-DTILE_PIXELS=2"  # the register tile of cores with 16 vector registers
HOST = get_target("host")
BIT_OPERATORS = {"bitserial_conv2d": bitserial_conv2d, "bitserial_dense": bitserial_dense}


def conv(*sizes, **fields):
    return bitserial_conv2d.Workload(*sizes, **fields)


def dense(*sizes, **fields):
    return bitserial_dense.Workload(*sizes, **fields)


def task(workload, target=HOST):
    operator = workload.__class__.__module__.rpartition(".")[2]
    return Task(operator, workload, target)


THEIRS = [
    w
    for module in BIT_OPERATORS.values()
    for w in module.WORKLOADS
    if why_not(task(w)) is None and w.macs < 2e8
]
RAGGED = [
    # Output channels of 1 to 4 vectors of 8 and more, full and not; pixels of whole tiles and more.
    *(conv(1, 32, 3, 3 + co % 4, co) for co in (1, 8, 9, 17, 24, 31, 32, 33, 56, 70)),
    *(conv(2, 64, 5, 4, co, glue="acc", out_bits=0) for co in (1, 8, 23, 32, 45)),
    # Words: pixels of more, and of fewer, bytes than the steps have.
    *(conv(1, 96, 4, 5, 40, word=word) for word in ("u8", "u32", "u64")),
    *(conv(1, 96, 6, 3, 40, (1, 1), pad=(0, 0), word=word) for word in ("u8", "u32", "u64")),
    # Strides that skip, pads beyond the kernel, no pads, other kernels.
    conv(1, 64, 9, 11, 20, (3, 3), (2, 3), (2, 4)),
    conv(1, 32, 9, 9, 16, (2, 1), (3, 2), (0, 0)),
    conv(3, 160, 5, 6, 12, (1, 1), (2, 2), (0, 0)),
    conv(1, 64, 7, 7, 34, (5, 5), (1, 1), (2, 2)),
    conv(1, 64, 1, 1, 8, (1, 1), (1, 1), (3, 3)),
    conv(1, 32, 2, 30, 5, (1, 7), (1, 1), (0, 3)),
    conv(1, 64, 40, 41, 33),  # more than one block of pixels
    conv(1, 3584, 3, 3, 3, word="u32"),  # sums of 32256 products
    conv(1, 64, 6, 6, 21, glue="shift"),
    dense(1, 32, 1),
    dense(9, 96, 41, glue="shift", word="u32"),
    dense(2, 32736, 9, glue="acc", out_bits=0, word="u8"),
]


def arrays_of(workload, extreme=False):
    data = get_operator(task(workload).operator).data(workload)
    if extreme:  # all bits differ, or none
        data["x"][:] = 1
        data["weights"][:] = -1
        data["weights"][::2] = 1
    return data


def check_case(driver, workload, extreme=False):
    case = task(workload)
    data = arrays_of(workload, extreme)
    work = work_of(case, data)
    itemsize = np.dtype(workload.output_dtype).itemsize
    size = int(np.prod(workload.kernel_shapes["y"])) * itemsize
    y = work.output(driver.run(case.operator, work.sizes, work.arrays.values(), size))
    expected = get_operator(case.operator).reference(workload, data)
    np.testing.assert_array_equal(y, expected, err_msg=case.key)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """Under the sanitizers, with buffers of exactly the sizes that the functions ask for."""
    with compiled(tmp_path_factory.mktemp("native"), "host", *SANITIZERS) as process:
        yield process


@pytest.mark.parametrize("workload", THEIRS + RAGGED, ids=lambda w: f"{task(w).key}")
def test_native(native, workload):
    check_case(native, workload)


@pytest.mark.parametrize(
    ("target", "flags"), [("rpi4", []), ("rpi3", []), ("rpi4-armv7", []), ("host", [TWO_PIXELS])]
)
def test_other_builds(tmp_path, target, flags):
    with compiled(tmp_path, target, *flags) as process:
        for workload in THEIRS + RAGGED:
            check_case(process, workload)
            if "acc" in workload.shape_key:
                check_case(process, workload, extreme=True)


def test_random_shapes(native):
    @settings(max_examples=150)
    @given(st.data())
    def check(data):
        draw = data.draw
        kernel, stride, pad = (
            (draw(st.integers(low, most)), draw(st.integers(low, most)))
            for low, most in ((1, 5), (1, 4), (0, 3))
        )
        h, w = (draw(st.integers(max(1, k - 2 * p), 12)) for k, p in zip(kernel, pad, strict=True))
        glue = draw(st.sampled_from(("thr", "shift", "acc")))
        workload = conv(
            draw(st.integers(1, 2)), 32 * draw(st.integers(1, 5)), h, w, draw(st.integers(1, 70)),
            kernel, stride, pad, glue=glue, out_bits=int(glue != "acc"),
            word=draw(st.sampled_from(("u8", "u32", "u64"))),
        )  # fmt: skip
        check_case(native, workload)

    check()


def test_thresholds_at_every_sum(native):
    """Each threshold that a sum can meet, just miss or never reach, with both signs."""
    k = 32
    steps = np.arange(-k - 2, k + 3)
    workload = dense(33, k, 2 * len(steps))
    data = arrays_of(workload)
    data["x"] = np.tril(np.ones((k + 1, k), np.uint8), -1)
    data["weights"] = np.ones(workload.array_shapes["weights"], np.int8)
    data["thresholds"] = np.tile(steps, 2)[:, None].astype(np.int32)
    data["thresholds"][0], data["thresholds"][-1] = -(2**31), 2**31 - 1
    data["signs"] = np.repeat([1, -1], len(steps)).astype(np.int8)
    work = work_of(task(workload), data)
    size = int(np.prod(workload.kernel_shapes["y"])) * 8
    y = work.output(native.run("bitserial_dense", work.sizes, work.arrays.values(), size))
    np.testing.assert_array_equal(y, bitserial_dense.reference(workload, data))


def test_refusals(native):
    good = conv(1, 64, 8, 8, 32)
    names = ("n", "ci", "h", "w", "co", "kh", "kw", "stride_h", "stride_w", "pad_h", "pad_w")
    numbers = bit_sizes("bitserial_conv2d", good)
    sizes = dict(zip((*names, "word", "sums"), numbers, strict=True))
    for changed, code in [
        ({}, OK),
        ({"n": 0}, BAD_SIZE),
        ({"stride_w": -1}, BAD_SIZE),
        ({"pad_h": -1}, BAD_SIZE),
        ({"h": 2, "pad_h": 0}, BAD_KERNEL),
        ({"word": 2}, UNSUPPORTED),
        ({"sums": 2}, UNSUPPORTED),
        ({"ci": 3648}, LONG_SUMS),
        ({"n": 1 << 30}, TOO_LARGE),
        ({"pad_w": 1 << 27}, TOO_LARGE),
        ({"co": 1 << 28}, TOO_LARGE),
    ]:
        assert native.ask("bitserial_conv2d", [*(sizes | changed).values()]) == code, changed
    assert native.ask("bitserial_dense", [*sizes.values()]) == UNSUPPORTED


def test_no_parameters_crash_the_check(native):
    number = st.one_of(st.integers(1, 8), st.integers(-(1 << 31), (1 << 31) - 1))

    @settings(max_examples=300)
    @given(st.sampled_from([*BIT_OPERATORS]), st.lists(number, min_size=11, max_size=11))
    def check(function, values):
        assert OK <= native.ask(function, [*values, 8, 0]) <= LONG_SUMS

    check()


@pytest.mark.parametrize("workload", [conv(1, 64, 9, 6, 40), dense(5, 128, 64)], ids=str)
def test_peer_on_the_modelled_board(workload):
    case = task(workload, get_target("rpi3"))
    data = arrays_of(workload)
    result = Handwritten().measure(case, get_board("modelled", case.target), data)
    assert result.why_not is None
    # Below a tenth of what the core could do at best, above that.
    assert workload.macs / 42.7 < result.cycles < workload.macs / 4.2
    expected = get_operator(case.operator).reference(workload, data)
    np.testing.assert_array_equal(result.output, expected)


def test_peer_says_what_it_cannot():
    good = conv(1, 64, 4, 4, 32)
    for changed, words in [
        ({"a_bits": 2}, "2 bits of activations"),
        ({"w_bits": 2}, "2 bits of weights"),
        ({"out_bits": 2}, "2 bits of output"),
        ({"polarity": "unipolar"}, "unipolar"),
        ({"polarity": "bipolar0"}, "bipolar0"),
        ({"groups": 2}, "2 groups"),
    ]:
        assert words in Handwritten().why_not(task(replace(good, **changed)))
    long_sums = task(conv(1, 3648, 3, 3, 1))
    result = Handwritten().measure(
        long_sums, get_board("host", HOST), arrays_of(long_sums.workload)
    )
    assert result.why_not == "bitserial_conv2d: a sum may need more than 16 bits"
    data = arrays_of(good)
    data["x"][0, 1, 2, 33] = 2
    with pytest.raises(InputError, match="x: channel 33 has 2"):
        work_of(task(good), data)
