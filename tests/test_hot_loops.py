"""The hot loops of the committed best knobs keep everything in registers."""

from __future__ import annotations

import pytest

from tvm_ops.profile import profile
from tvm_ops.profile_block import stack_accesses
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.tuning import log

TASKS = [
    ("rpi3", "conv2d-n1_ci256_h14_w14_co512_k1_s1_p0_relu6_c4-f32"),
    ("rpi4", "conv2d-n1_ci512_h14_w14_co512_k1_s1_p0_relu6_c4-f32"),
    ("rpi5", "conv2d-n1_ci256_h14_w14_co512_k3_s2_p1_c4-f32"),
    ("rpi3", "winograd_conv2d-n1_ci256_h14_w14_co256_k3_s1_p1_c4-f32"),
    ("rpi4", "depthwise_conv2d-n1_ci512_h14_w14_co512_k3_s1_p1_g512_relu6_c4-f32"),
    ("rpi5", "dense-n1_ci1024_co1000_none-f32"),
]


@pytest.mark.parametrize(("target", "key"), TASKS)
def test_no_stack_access(target: str, key: str) -> None:
    task = parse_task(key.split("-")[0], key, get_target(target))
    record = log.best(log.read_task(log.log_path(log.ROOT, target, task.operator), task))
    assert record, "the task is to have a tuned record"
    loop = profile(task, record.knobs).loop
    assert loop, "a loop is to be found"
    assert [text for block in loop for text in stack_accesses(block)] == []
