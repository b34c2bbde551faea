"""The trained digits networks through the kernels: the network's own bits after every layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.binary_digits.layers import Layer, layers
from examples.binary_digits.network import (
    PLANS,
    Array,
    Arrays,
    Plan,
    forward,
    load,
    load_test_set,
    logits,
    pooled,
)
from tvm_ops.boards import get_board
from tvm_ops.build import build_program
from tvm_ops.operators import get_operator
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs, kernel_arguments

EACH = pytest.mark.parametrize("plan", PLANS, ids=[plan.name for plan in PLANS])
SAMPLE = 6  # images under qemu


def results(todo: list[Layer], given: Array, target: str, folder: Path) -> Arrays:
    """What each layer gives, from one program of all their kernels."""
    board = get_board("host" if target == "host" else "emulated", get_target(target))
    tasks = [parse_task(layer.operator, layer.key, board.target) for layer in todo]
    knobs = [default_knobs(task) for task in tasks]
    program = build_program(list(zip(tasks, knobs, strict=True)), board.target, folder / "bench")
    found, before = {}, given
    for layer, task, own in zip(todo, tasks, knobs, strict=True):
        operator = get_operator(task.operator)
        arrays = layer.parameters | {"x": layer.x(before)}
        result = board.run(
            program,
            task=task.key,
            inputs=operator.pack(task.workload, own, arrays),
            output=kernel_arguments(task, own)[-1],
        )
        assert result.error is None, f"{task.key}: {result.error}"
        before = operator.unpack_output(task.workload, result.outputs["y"])
        found[layer.result] = before
    return found


def check(plan: Plan, found: Arrays, trained: Arrays) -> None:
    """Codes after each layer and logits are the trained network's."""
    parameters = load(plan)
    found["logits"] = logits(parameters, found.pop("sums"))
    found.pop("first sums", None)
    for number in range(1, len(plan.convs) + 1):
        trained = trained | {f"pool{number}": pooled(trained[f"conv{number}"])}
    for name, array in found.items():
        np.testing.assert_array_equal(array, trained[name], err_msg=name)
    assert found["logits"].dtype == np.float32


@EACH
def test_the_whole_test_set_on_host(plan: Plan, tmp_path: Path) -> None:
    """From the images on: the first layer's sums are exact, so that its codes are the same too."""
    images, _ = load_test_set()
    parameters = load(plan)
    todo = list(layers(plan, parameters, len(images), "u64"))
    found = results(todo, images, "host", tmp_path)
    trained = forward(plan, parameters, images)
    check(plan, found, trained)
    assert {"first", "conv1", "conv2", "logits"} <= found.keys()
    classes = found["logits"].argmax(axis=1)
    np.testing.assert_array_equal(classes, trained["logits"].argmax(axis=1))


@pytest.mark.parametrize(("target", "word"), [("rpi3", "u64"), ("rpi3-armv7", "u32")])
@EACH
def test_a_sample_under_qemu(plan: Plan, target: str, word: str, tmp_path: Path) -> None:
    """The binary layers, given the codes of the first."""
    images, _ = load_test_set()
    parameters = load(plan)
    trained = forward(plan, parameters, images[:SAMPLE])
    todo = [
        layer
        for layer in layers(plan, parameters, SAMPLE, word)
        if layer.result not in ("first sums", "first")
    ]
    check(plan, results(todo, trained["first"], target, tmp_path), trained)
