"""The small few-bit operators on workloads that hypothesis chooses, with random legal knobs.

On ARM under qemu.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.candidates import random_knobs
from tests.few_bits import TARGETS, check_equal, task_of
from tvm_ops.errors import InputError

KEYS = {
    "fused_glue": "n{n}_h{h}_w{w}_c{c}_{glue}{bits}-{sums}{word}",
    "binary_input_conv2d": "n{n}_ci{ci}_h{h}_w{w}_co{c}_{window}_{image}_{glue}{bits}-{word}",
    "packed_max_pool2d": "n{n}_h{h}_w{w}_c{c}_{window}_a{a}-{word}",
    "packed_add": "n{n}_h{h}_w{w}_c{c}_a{a}_{polarity}_thr{bits}-{word}",
    "packed_concat": "n{n}_h{h}_w{w}_c{c}x{ci}x{other}_a{a}-{word}",
    "packed_global_avg_pool": "n{n}_h{h}_w{w}_c{c}_a{a}_{polarity}-{word}",
}
SIZES = {"n": 2, "h": 9, "w": 9, "c": 150, "ci": 16, "other": 90, "a": 3, "bits": 3}
WORDS = {
    "glue": ["thr", "shift"],
    "sums": ["s16", "s32"],
    "image": ["u8", "s8"],
    "polarity": ["unipolar", "bipolar"],
    "word": ["u8", "u32", "u64"],
}


@st.composite
def fields(draw: st.DrawFn) -> dict[str, int | str]:
    sizes = {name: draw(st.integers(1, most)) for name, most in SIZES.items()}
    words = {name: draw(st.sampled_from(options)) for name, options in WORDS.items()}
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    stride = [draw(st.integers(1, 3)) for _ in range(2)]
    pad = [draw(st.integers(0, k - 1)) for k in kernel]
    pairs = zip("ksp", (kernel, stride, pad), strict=True)
    window = "_".join(f"{name}{a}x{b}" for name, (a, b) in pairs)
    return {**sizes, **words, "window": window}


@pytest.mark.parametrize("name", sorted(KEYS))
@settings(max_examples=4, deadline=None, derandomize=True)
@given(chosen=fields(), seed=st.integers(0, 99), target=st.sampled_from(TARGETS))
def test_any_workload_equals_numpy(
    name: str, chosen: dict[str, int | str], seed: int, target: str
) -> None:
    try:
        task = task_of(f"{name}-{KEYS[name].format(**chosen)}", target)
    except InputError:  # a window that is above the input
        assume(False)
    knobs = random_knobs(task, random.Random(seed))
    assert knobs is not None
    with tempfile.TemporaryDirectory() as folder:
        check_equal(task, {}, Path(folder), **knobs)
