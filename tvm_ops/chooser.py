"""Which operator does a network's layer: for 3x3 layers of stride 1 two compete.

``conv2d`` and ``winograd_conv2d`` with its variants F(m, 3) compute the same; what the tuning logs
say decides.
"""

from __future__ import annotations

from dataclasses import replace

from tvm_ops.errors import InputError
from tvm_ops.networks import Layer, kind
from tvm_ops.operators import get_operator, operator_names
from tvm_ops.targets import Target
from tvm_ops.task import Task, parse_task, task_key
from tvm_ops.template import get_schedule

LAYOUTS = {"nchw": 1, "nchw4c": 4}
"""Channels that lie together in an array."""
_FEW_CHANNELS = 4  # an image's three stay as they are


def layer_tasks(layer: Layer, target: Target, layout: str) -> list[Task]:
    """The tasks that compute the layer in that layout: one, two, or none if no template does.

    Raises ``InputError`` for an unknown layout.
    """
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout '{layout}'; known: {', '.join(LAYOUTS)}")
    operators = [layer.operator]
    if kind(layer) == "3x3 stride 1":
        operators.append("winograd_conv2d")
    workload = layer.workload
    if hasattr(workload, "block"):
        c = LAYOUTS[layout]
        workload = replace(workload, block=(1 if workload.ci < _FEW_CHANNELS else c, c))
    elif layer.operator != "dense" and layout != "nchw":
        return []
    found = []
    for operator in [name for name in operators if name in operator_names()]:
        task = _task(operator, workload, target)
        if get_schedule(operator).space(task.workload, target):
            found.append(task)
    return found


def _task(operator: str, workload: object, target: Target) -> Task:
    """The workload as one of the operator's own type."""
    own = get_operator(operator).Workload
    if isinstance(workload, own):
        return Task(operator, workload, target)
    return parse_task(operator, task_key(operator, workload), target)
