"""What follows an operator's sum: in vectors wherever the kernel without it is."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.candidates import random_knobs
from tvm_ops.build import compile_entry
from tvm_ops.operators import conv2d, winograd_conv2d
from tvm_ops.operators._epilogue import ACTIVATIONS, activate, activate_tir
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, Task

RPI4 = get_target("rpi4")
# A load or a store of one float, or of one lane of a vector.
SCALAR = re.compile(r"\b(?:ld[ru]r?|st[ru]r?|ldp|stp)\s+s\d|\b(?:ld1|st1)\s+\{[^}]*\}\[\d\]")
ADDED_VECTORS = re.compile(r"\bfadd\s+v\d+\.[42]s")
PLAIN = {
    "conv2d": conv2d.Workload(1, 16, 24, 24, 32),
    "winograd_conv2d": winograd_conv2d.Workload(1, 16, 24, 24, 32),
}
CASES = [
    ("conv2d", {"sketch": "pixels"}, {}),
    ("conv2d", {"sketch": "channels"}, {}),
    ("conv2d", {"sketch": "direct"}, {}),
    ("conv2d", {"sketch": "grouped"}, {"groups": 16}),
    ("conv2d", {"sketch": "blocked"}, {"block": (4, 4)}),
    ("winograd_conv2d", {"sketch": "packed", "m": [4, 4]}, {}),
    ("winograd_conv2d", {"sketch": "packed", "m": [6, 4]}, {}),
    ("winograd_conv2d", {"sketch": "phased", "m": [4, 2]}, {}),
    ("winograd_conv2d", {"sketch": "neon", "m": [2, 2]}, {}),
    ("winograd_conv2d", {"sketch": "neon", "m": [4, 4]}, {"block": (4, 4)}),
]


def assembly(operator: str, workload: object, knobs: Knobs) -> str:
    return str(compile_entry(Task(operator, workload, RPI4), knobs).inspect_source("asm"))


@pytest.mark.parametrize(("operator", "fixed", "changed"), CASES)
def test_a_residual_is_added_in_vectors(operator: str, fixed: Knobs, changed: Knobs) -> None:
    plain = replace(PLAIN[operator], **changed)
    knobs = random_knobs(Task(operator, plain, RPI4), random.Random(0), fixed)
    assert knobs
    without = assembly(operator, plain, knobs)
    added = assembly(operator, replace(plain, residual=True), knobs)
    assert len(SCALAR.findall(added)) <= len(SCALAR.findall(without))
    assert ADDED_VECTORS.search(added)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_tir_computes_what_numpy_does(name: str) -> None:
    from tvm import tirx

    slope = tirx.const(0.25, "float32")
    for y in (-7.5, -3.0, -1.0, -0.5, 0.0, 0.5, 2.9, 3.0, 6.0, 100.0):
        folded = activate_tir(name, tirx.const(y, "float32"), slope)
        expected = activate(name, np.float64(y), np.float64(0.25))
        assert folded.value == pytest.approx(float(expected), rel=1e-6)
