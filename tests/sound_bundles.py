"""A small bundle of two convolutions, for the tests of bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tvm_ops.bundle import write_bundle
from tvm_ops.operators import get_operator
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs

KEYS = [
    "winograd_conv2d-n1_ci5_h6_w7_co6_k3_s1_p1-f32",
    "winograd_conv2d-n2_ci3_h4_w4_co9_k3_s1_p1-f32",
]


def entries(target: str, keys: Sequence[str] = KEYS):
    tasks = [parse_task(key.split("-")[0], key, get_target(target)) for key in keys]
    return [(task, default_knobs(task)) for task in tasks]


def weights_of(target: str, keys: Sequence[str] = KEYS):
    """What a trained network would give: each task's parameters by name."""
    return {
        task.key: {n: a for n, a in arrays_of(task, 7).items() if n in task.workload.parameters}
        for task, _ in entries(target, keys)
    }


def arrays_of(task: Task, seed: int):
    return get_operator(task.operator).data(task.workload, seed)


def sound_bundle(path: Path) -> Path:
    """A bundle for the host, with packed weights."""
    return write_bundle(entries("host"), get_target("host"), path, weights_of("host"))
