"""Two trained networks, bit for bit: what PyTorch computed, what numpy does, what the kernels do.

PyTorch's own values are in the digests that ``scripts/train_binary_digits.py`` wrote; numpy is held
to them, folded parameters and kernels to numpy.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from examples.binary_digits.layers import Layer, layers
from examples.binary_digits.network import (
    FOLDER,
    ONE_BIT,
    PLANS,
    Arrays,
    Plan,
    digest,
    forward,
    load,
    load_test_set,
    pooled,
    values,
    window_sums,
)
from tvm_ops.operators._glue import shift_codes, threshold_codes

EACH = pytest.mark.parametrize("plan", PLANS, ids=[plan.name for plan in PLANS])


@cache
def computed(plan: Plan) -> Arrays:
    """Of the whole test set."""
    images, _ = load_test_set()
    return forward(plan, load(plan), images)


def expected(plan: Plan) -> dict:
    return json.loads((FOLDER / f"{plan.name}.json").read_text())


@EACH
def test_numpy_gives_the_bits_that_pytorch_gave(plan: Plan) -> None:
    found = {name: digest(array) for name, array in computed(plan).items()}
    assert found == expected(plan)["sha256"]


@EACH
def test_the_networks_are_accurate(plan: Plan) -> None:
    images, labels = load_test_set()
    right = int((computed(plan)["logits"].argmax(axis=1) == labels).sum())
    assert (right, len(images)) == (expected(plan)["right"], expected(plan)["of"])
    assert right >= 0.98 * len(images)


def folded(plan: Plan, n: int = 1) -> dict[str, Layer]:
    return {layer.result: layer for layer in layers(plan, load(plan), n, "u64")}


@EACH
def test_codes_are_not_trivial(plan: Plan) -> None:
    """Every code occurs after each layer, and both signs of scales do where there are any."""
    for name in ("first", "conv1", "conv2"):
        shares = np.bincount(computed(plan)[name].ravel()) / computed(plan)[name].size
        assert len(shares) == 2**plan.bits and shares.min() > 0.02
    if plan is ONE_BIT:
        signs = [folded(plan)[f"conv{number}"].parameters["signs"] for number in (1, 2)]
        assert {*np.concatenate(signs)} == {-1, 1}


@EACH
def test_folded_parameters_give_the_networks_codes(plan: Plan) -> None:
    """In numpy, layer by layer over the whole test set: thresholds and shifts are the floats'."""
    images, _ = load_test_set()
    codes, given = computed(plan), folded(plan)
    sums = window_sums(
        images[..., None], given["first sums"].parameters["weights"].transpose(0, 2, 3, 1), 1, 0
    )
    edges = given["first"].parameters["thresholds"]
    before = (sums[..., None] >= edges).sum(axis=-1)
    np.testing.assert_array_equal(before, codes["first"])
    for number, conv in enumerate(plan.convs, 1):
        own = given[f"conv{number}"].parameters
        y = window_sums(values(plan, before), own["weights"], conv.stride, plan.pad_value)
        y = y.astype(np.int32)
        if plan.bits == 1:
            before = threshold_codes(y, own["thresholds"], own["signs"], 1)
        else:
            before = shift_codes(y, own["mu"], own["shift"], plan.bits)
        np.testing.assert_array_equal(before, codes[f"conv{number}"])
        before = pooled(before) if conv.pool else before
