"""Chains of full adders: what they count is the number of bits that differ, at the extremes too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schedules import bitserial_conv2d
from tests.bits_machine import PAGE, Machine
from tvm_ops.operators._bitserial import CHAIN_WORDS
from tvm_ops.operators._bitserial_carries import Carries, Chain, chain_weights
from tvm_ops.operators._bitserial_chained import Chained
from tvm_ops.operators._bitserial_chunk import VECTORS
from tvm_ops.operators._bitserial_pack import bounds, constants, pack
from tvm_ops.operators._bitserial_reference import data
from tvm_ops.operators.bitserial_conv2d import WORKLOADS, Workload
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.tuning.measure import Measurer

RPI5 = get_target("rpi5")
CHAINED = [w for w in WORKLOADS if bitserial_conv2d.space(w, RPI5).get("carries")]


def count(chain: Chain, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the chain says of words [word, pixel] and [word, channel]: [pixel, channel]."""
    running = np.repeat(np.bitwise_xor.accumulate(x, axis=0).reshape(-1), 2).view(np.uint8)
    packed = np.ascontiguousarray(chain_weights(weights)).view(np.uint8).reshape(-1)
    machine = Machine([running, packed], {"$X": 0, "$W": PAGE})
    carries = Carries(chain)
    machine.run(carries.lines)
    sums, rests = carries.outputs
    found = np.stack([machine.v[i].view(np.int8).astype(np.int64) for i in sums])
    last = np.stack([machine.v[i].astype(np.int64) for i in rests])
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
        expected = np.bitwise_count(x[:, :, None] ^ weights[:, None, :]).sum(axis=0, dtype=np.int64)
        np.testing.assert_array_equal(found, expected, err_msg=f"{words} words")


def test_five_instructions_for_two_words() -> None:
    """Of 18 pairs, where 3 a word would be 108: 89 and what adds up at the end."""
    texts = Carries(Chain(2, 36)).lines
    vector = [t for t in texts if not t.startswith("ldr")]
    products = 2 * VECTORS
    assert len(vector) == products * (5 * 18 - 1) + 2 * VECTORS + 2 * 3
    assert len(texts) - len(vector) == 36 * (2 + VECTORS)


@pytest.mark.parametrize("words", [2, 3, 18, 61])
def test_registers_are_read_after_they_are_written(words: int) -> None:
    """And none is written between a load and the last use of what it loaded."""
    texts = Carries(Chain(2, words)).lines
    assert sum(t.startswith(("bsl", "and")) for t in texts) == 8 * (words // 2)
    assert max(int(t.split()[1].strip("vq,").split(".")[0]) for t in texts) == 31


@pytest.mark.parametrize("w", CHAINED, ids=lambda w: w.shape_key)
def test_bounds_are_less_by_what_chains_lack(w: Workload) -> None:
    knobs = next(k for k in bitserial_conv2d.likely(w, RPI5) if k["sketch"] == "carries")
    plan, arrays = Chained.of(w, knobs), data(w, np.random.default_rng(0))
    packed = pack(w, plan, arrays)
    lacks = sum(plan.chain.bias << part.shift for part in plan.parts)
    assert plan.bias == lacks
    if w.glue == "acc":
        m = 1 if w.polarity == "unipolar" else 2
        expected = constants(w, arrays["weights"]) - m * lacks
        found = packed["offsets"].reshape(w.groups, -1)[:, : w.co // w.groups]
        np.testing.assert_array_equal(found.reshape(-1), expected.astype(w.output_dtype))
        return
    expected = bounds(w, arrays)[0] - lacks
    assert np.abs(expected).max() < 2**15
    found = np.moveaxis(packed["bounds"].view(np.int16), 2, -1).reshape(
        w.groups, -1, expected.shape[1]
    )
    np.testing.assert_array_equal(found[:, : w.co // w.groups].reshape(expected.shape), expected)


def test_only_cores_that_gain_have_chains() -> None:
    w = WORKLOADS[1]
    for name in ("rpi3", "rpi4", "rpi4-armv7", "host"):
        assert "carries" not in bitserial_conv2d.space(w, get_target(name))
    assert bitserial_conv2d.default(w, RPI5)["sketch"] == "carries"


# Planes, exact zeros, a last tile with fewer channels, pixels that no tile divides; then a loop.
SMALL = Workload(1, 128, 5, 7, 19, a_bits=2, polarity="bipolar0", out_bits=2)
BITS = Workload(1, 128, 4, 5, 9, a_bits=3, w_bits=2, out_bits=2)
LONG = Workload(1, 1024, 5, 6, 9, (5, 5), (1, 1), (0, 0))


@pytest.mark.parametrize(
    ("w", "pixels", "runs", "block"),
    [
        (SMALL, 1, 1, 7),
        (SMALL, 2, 1, 3),
        (SMALL, 1, 4, 3),
        (SMALL, 2, 4, 5),
        (BITS, 2, 1, 5),
        (LONG, 2, 1, 1),
    ],
)
def test_tiles_of_any_knobs_equal_numpy(
    w: Workload, pixels: int, runs: int, block: int, tmp_path: Path
) -> None:
    knobs = {"sketch": "carries", "pixels": pixels, "runs": runs, "block": block}
    assert bitserial_conv2d.legal(w, RPI5, knobs)
    task = Task("bitserial_conv2d", w, RPI5)
    assert Measurer(task, "emulated", tmp_path, repeats=1).measure(knobs).error is None


def test_what_16_bits_do_not_hold_is_refused() -> None:
    """Less T than 16 bits, but half of all bits, of words that are half empty, is too much."""
    half_empty = Workload(1, 32, 10, 10, 9, (9, 9), (1, 1), (0, 0), a_bits=3, w_bits=2)
    assert half_empty.largest < 2**16
    for w in (half_empty, Workload(1, 64, 1, 1, 8, (1, 1), pad=(0, 0))):  # a word has no pair
        assert w.chain_cut is None and "carries" not in bitserial_conv2d.space(w, RPI5)
