"""Chains of full adders: what they count is the number of bits that differ, at the extremes too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schedules import _bitserial_carries, bitserial_conv2d
from tests.bits_machine import PAGE, Machine
from tvm_ops.operators._bitserial import CHAIN_WORDS
from tvm_ops.operators._bitserial_carries import Carries, Chain, chain_weights
from tvm_ops.operators._bitserial_chain_end import SIZE, ChainCall, Form
from tvm_ops.operators._bitserial_chained import Chained
from tvm_ops.operators._bitserial_chunk import VECTORS
from tvm_ops.operators._bitserial_pack import bounds, constants, pack, turned
from tvm_ops.operators._bitserial_reference import data
from tvm_ops.operators._glue import threshold_codes
from tvm_ops.operators.bitserial_conv2d import WORKLOADS, Workload
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.tuning.measure import Measurer

RPI5 = get_target("rpi5")
CHAINED = [w for w in WORKLOADS if bitserial_conv2d.space(w, RPI5).get("carries")]


def packed(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of words [word, pixel] and [word, channel], as chains take them."""
    running = np.repeat(np.bitwise_xor.accumulate(x, axis=0).reshape(-1), 2)
    return running.view(np.uint8), chain_weights(weights).reshape(-1).view(np.uint8)


def differing(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Bits that differ, [pixel, channel]."""
    return np.bitwise_count(x[:, :, None] ^ weights[:, None, :]).sum(axis=0, dtype=np.int64)


def count(chain: Chain, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the chain says of words [word, pixel] and [word, channel]: [pixel, channel]."""
    machine = Machine(packed(x, weights), {"$x": 0, "$weights": PAGE})
    carries = Carries(chain)
    machine.run(carries.lines)
    sums, states = carries.outputs
    found = np.stack([machine.v[i].view(np.int8).astype(np.int64) for i in sums])
    last = np.stack([np.bitwise_count(machine.v[i]).astype(np.int64) for i in states])
    found, last = (v.reshape(chain.pixels, 8, -1).sum(axis=-1) for v in (found, last))
    return 2 * found + (-last if chain.is_rest_negated else last) + chain.bias


@pytest.mark.parametrize("pixels", [1, 2])
@pytest.mark.parametrize("fill", ["random", "all differ", "none differ", "by turns"])
def test_chains_count_bits_that_differ(pixels: int, fill: str) -> None:
    """Of each length; x and weights are no byte longer than needed."""
    rng = np.random.default_rng(pixels)
    ones = np.uint64(2**64 - 1)
    for words in range(2, CHAIN_WORDS + 1):
        x = rng.integers(0, 2**64, (words, pixels), np.uint64)
        weights = np.repeat(x[:, :1], 8, axis=1)
        if fill == "random":
            weights = rng.integers(0, 2**64, (words, 8), np.uint64)
        elif fill == "all differ":
            weights = weights ^ ones
        elif fill == "by turns":
            weights[words % 3 :: 2] ^= ones
        found = count(Chain(pixels, words), x, weights)
        np.testing.assert_array_equal(found, differing(x, weights), err_msg=f"{words} words")


def call(plan: ChainCall, x: np.ndarray, weights: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Sums [pixel, channel], or their halves, after a chain whose weight is 4, from ``before``."""
    scales = np.repeat(np.int8([8, -4 if plan.chain.is_rest_negated else 4, 0, 0]), 4)
    after = np.full(plan.chain.pixels * plan.chain.vectors * SIZE, 0xA5, np.uint8)
    arrays = [*packed(x, weights), scales.view(np.uint8), before.reshape(-1).view(np.uint8), after]
    names = ("$x", "$weights", "$scales", "$before", "$after")
    machine = Machine(arrays, {name: i * PAGE for i, name in enumerate(names)})
    lines, results = plan.write()
    machine.run(lines)
    found = np.concatenate([machine.v[i] for i in results]) if plan.form else after
    kind = np.int32 if plan.form in (None, "all") else np.int16
    found = found.view(kind).astype(np.int64)
    return found.reshape(plan.chain.pixels, 8, -1).sum(axis=-1)


@pytest.mark.parametrize("pixels", [1, 2])
@pytest.mark.parametrize("words", [2, 3, 5, 18, 28, 29, 30, 31, 36, 61])
@pytest.mark.parametrize("form", [None, "low", "high", "all"])
def test_ends_of_chains_add_to_sums(pixels: int, words: int, form: Form | None) -> None:
    """At the extremes too; of the sums, one of a channel or two neighbours, that were there."""
    rng = np.random.default_rng(words)
    for fill in (0, 2**64 - 1, None):
        x = rng.integers(0, 2**64, (words, pixels), np.uint64)
        weights = rng.integers(0, 2**64, (words, 8), np.uint64)
        if fill is not None:
            weights = np.repeat(x[:, :1] ^ np.uint64(fill), 8, axis=1)
        for is_first in (False, True):
            plan = ChainCall(Chain(pixels, words), is_first, form)
            lanes = 4 * plan.chain.vectors
            before = rng.integers(-(2**16), 2**16, (1 if is_first else pixels, lanes), np.int32)
            expected = before.reshape(-1, 8, lanes // 8).sum(axis=-1, dtype=np.int64)
            expected = expected + 4 * (differing(x, weights) - plan.chain.bias)
            if form == "low":
                expected = expected.astype(np.int16)
            elif form == "high":
                expected >>= 16
            np.testing.assert_array_equal(call(plan, x, weights, before), expected)


@pytest.mark.parametrize(("words", "end"), [(9, 2 + 4 + 2 + 4), (36, 4 + 8)])
def test_five_instructions_for_two_words(words: int, end: int) -> None:
    """Where 3 a word would be 6: but for the first, and what adds up at the end, of each pixel.

    Halves of the last plane's sums are one more, after an addition where a channel has two.
    """
    sums = 2 if words == 9 else 4
    of_pixel = VECTORS * (5 * (words // 2) - 1 + words % 2) + end
    assert of_pixel == {9: 92, 36: 368}[words]
    for form, more, stores in ((None, 0, sums), ("low", 1 if sums == 2 else 3, 0)):
        lines, _ = ChainCall(Chain(2, words), True, form).write()
        moves = [t for t in lines if t.startswith(("ldr", "str"))]
        assert len(lines) - len(moves) == 2 * (of_pixel + more)
        assert len(moves) == words * (2 + VECTORS) + 1 + 2 * (sums + stores)


@pytest.mark.parametrize("words", [2, 3, 18, 61])
def test_registers_are_read_after_they_are_written(words: int) -> None:
    """And none is written between a load and the last use of what it loaded."""
    texts = Carries(Chain(2, words)).lines
    assert sum(t.startswith(("bsl", "and")) for t in texts) == 8 * (words // 2)
    assert max(int(t.split()[1].strip("vq,").split(".")[0]) for t in texts) == 31


@pytest.mark.parametrize("w", CHAINED, ids=lambda w: w.shape_key)
def test_sums_begin_with_bounds_and_what_chains_lack(w: Workload) -> None:
    """Of positive signs only; other bounds are less by the last one."""
    knobs = next(k for k in bitserial_conv2d.likely(w, RPI5) if k["sketch"] == "carries")
    plan, arrays = Chained.of(w, knobs), data(w, np.random.default_rng(0))
    assert plan.bias == sum(plan.chain.bias << part.shift for part in plan.parts)
    found = pack(w, plan, arrays)
    channels = w.co // w.groups
    starts = found["starts"].reshape(w.groups, -1, plan.starts // 8)[:, :channels]
    assert not starts[..., 1:].any() and "flips" not in found
    starts = starts[..., 0].reshape(-1).astype(np.int64)
    if w.glue == "acc":
        m = 1 if w.polarity == "unipolar" else 2
        np.testing.assert_array_equal(starts, constants(w, arrays["weights"]) - m * plan.bias)
        return
    expected = bounds(w, turned(arrays))[0]
    np.testing.assert_array_equal(starts, plan.bias - expected[:, -1])
    assert ("bounds" in found) == (w.out_bits > 1)
    if w.out_bits > 1:
        levels = np.moveaxis(found["bounds"], 2, -1).reshape(w.groups, -1, expected.shape[1] - 1)
        others = (expected[:, :-1] - expected[:, -1:]).reshape(w.groups, channels, -1)
        np.testing.assert_array_equal(levels[:, :channels], others)


def test_turned_channels_have_the_same_codes() -> None:
    """Each sum, each sign, thresholds that are equal among them."""
    rng, bits = np.random.default_rng(4), 2
    y = rng.integers(-9, 10, (500, 8))
    thresholds = np.sort(rng.integers(-9, 10, (8, 3)), axis=1)
    signs = np.int8([1, -1] * 4)
    weights = rng.choice([-1, 1], (8, 1, 1, 32))
    found = turned({"weights": weights, "thresholds": thresholds, "signs": signs})
    assert (found["signs"] == 1).all()
    np.testing.assert_array_equal(found["weights"][:, 0, 0, 0], signs * weights[:, 0, 0, 0])
    expected = threshold_codes(y, thresholds, signs, bits)
    codes = threshold_codes(y * signs, found["thresholds"], found["signs"], bits)
    np.testing.assert_array_equal(codes, expected)


def test_only_cores_that_gain_have_chains() -> None:
    w = WORKLOADS[1]
    others = [get_target(name) for name in ("rpi3", "rpi4", "rpi4-armv7", "host")]
    for target in (*others, replace(RPI5, mattr=())):
        assert "carries" not in bitserial_conv2d.space(w, target)
    assert bitserial_conv2d.default(w, RPI5)["sketch"] == "carries"


# Planes, exact zeros, a last tile with fewer channels, pixels that no tile divides; sums; then
# loops, of one plane, and of planes with sums of 32 bits.
SMALL = Workload(1, 128, 5, 7, 19, a_bits=2, polarity="bipolar0", out_bits=2)
SIGNS = Workload(1, 64, 5, 7, 19, polarity="bipolar0")
BITS = Workload(1, 128, 4, 5, 9, a_bits=3, w_bits=2, out_bits=2)
SUMS = Workload(1, 64, 4, 5, 11, a_bits=2, w_bits=2, polarity="bipolar0", glue="acc", out_bits=0)
LONG = Workload(1, 1024, 5, 6, 9, (5, 5), (1, 1), (0, 0))
LARGE = Workload(1, 1024, 3, 3, 9, a_bits=2, w_bits=2, out_bits=2)
LARGE_SUMS = Workload(1, 1024, 3, 3, 9, a_bits=3, w_bits=2, glue="acc", out_bits=0)


@pytest.mark.parametrize(
    ("w", "pixels", "runs", "block"),
    [
        (SMALL, 1, 1, 7),
        (SMALL, 2, 1, 3),
        (SMALL, 1, 4, 3),
        (SMALL, 2, 4, 5),
        (SIGNS, 2, 2, 1),
        (BITS, 2, 1, 5),
        (SUMS, 1, 2, 5),
        (LONG, 2, 1, 1),
        (LARGE, 2, 1, 1),
        (LARGE_SUMS, 2, 1, 1),
    ],
)
def test_tiles_of_any_knobs_equal_numpy(
    w: Workload, pixels: int, runs: int, block: int, tmp_path: Path
) -> None:
    knobs = {"sketch": "carries", "pixels": pixels, "runs": runs, "block": block}
    assert bitserial_conv2d.legal(w, RPI5, knobs)
    task = Task("bitserial_conv2d", w, RPI5)
    assert Measurer(task, "emulated", tmp_path, repeats=1).measure(knobs).error is None


def test_sizes_of_sums_and_loops() -> None:
    """What the tiles above are to have."""

    def plan(w: Workload) -> Chained:
        return Chained.of(w, {"pixels": 2, "runs": 1})

    bits = [plan(w).sum_bits for w in (SMALL, SIGNS, SUMS, LONG, LARGE, LARGE_SUMS)]
    assert bits == [16, 16, 16, 16, 32, 32]
    loops = [" br i1 " in plan(w).tile(False).function.llvm() for w in (SMALL, BITS, LONG, LARGE)]
    assert loops == [False, False, True, True]


@pytest.mark.parametrize("w", [*CHAINED, LONG, LARGE, LARGE_SUMS], ids=lambda w: w.shape_key)
def test_templates_know_how_many_chains_code_has(w: Workload) -> None:
    code = Chained.of(w, {"pixels": 1, "runs": 1}).tile(False).function.llvm()
    assert code.count("asm sideeffect") == _bitserial_carries._chains(w)


@pytest.mark.parametrize(("channels", "bits"), [(512, 16), (544, 32)])
@pytest.mark.parametrize("t", [-(2**20), 0, 2**20])
@pytest.mark.parametrize("differ", [False, True])
def test_sums_and_bounds_at_their_extremes(
    channels: int, bits: int, t: int, differ: bool, tmp_path: Path
) -> None:
    """The least T and the largest one, 32256 and 34272, less bounds that none or all meet."""
    w = Workload(1, channels, 1, 1, 8, (3, 3), a_bits=3, out_bits=2)
    assert Chained.of(w, {"pixels": 1, "runs": 1}).sum_bits == bits
    task = Task("bitserial_conv2d", w, RPI5)
    measurer = Measurer(task, "emulated", tmp_path, repeats=1)
    thresholds = np.int32([[t, t, t], [-t, 0, t] if t > 0 else [t, 0, -t]] * 4)
    measurer.arrays = {
        "x": np.full((1, 1, 1, channels), 0, np.uint8),
        "weights": np.full((8, 3, 3, channels), 1 if differ else -1, np.int8),
        "thresholds": thresholds,
        "signs": np.int8([1, 1, -1, -1] * 2),
    }
    knobs = {"sketch": "carries", "pixels": 1, "runs": 1, "block": 1}
    assert measurer.measure(knobs).error is None


def test_a_word_has_no_pair() -> None:
    w = Workload(1, 64, 1, 1, 8, (1, 1), pad=(0, 0))
    assert w.chain_cut is None and "carries" not in bitserial_conv2d.space(w, RPI5)
