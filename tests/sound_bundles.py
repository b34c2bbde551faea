"""A small bundle of two convolutions, for the tests of bundles."""

from __future__ import annotations

from pathlib import Path

from tvm_ops.bundle import write_bundle
from tvm_ops.operators import PARAMETERS, get_operator
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs

KEYS = [
    "winograd_conv2d-n1_ci5_h6_w7_co6_k3_s1_p1-f32",
    "winograd_conv2d-n2_ci3_h4_w4_co9_k3_s1_p1-f32",
]


def entries(target: str):
    tasks = [parse_task("winograd_conv2d", key, get_target(target)) for key in KEYS]
    return [(task, default_knobs(task)) for task in tasks]


def weights_of(target: str):
    operator = get_operator("winograd_conv2d")
    arrays = {task.key: operator.data(task.workload, 7) for task, _ in entries(target)}
    return {key: {n: a for n, a in of.items() if n in PARAMETERS} for key, of in arrays.items()}


def sound_bundle(path: Path) -> Path:
    """A bundle for the host, with packed weights."""
    return write_bundle(entries("host"), get_target("host"), path, weights_of("host"))
