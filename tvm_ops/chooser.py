"""Which operator does a network's layer: for 3x3 layers of stride 1 two compete.

``conv2d`` and ``winograd_conv2d`` with its variants F(m, 3) compute the same; what the tuning logs
say decides. Winograd's error is larger, and within its operator's own bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.networks import Layer
from tvm_ops.operators import get_operator, operator_names
from tvm_ops.targets import Target
from tvm_ops.task import Task, parse_task, task_key
from tvm_ops.template import get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record

LAYOUTS = {"nchw": 1, "nchw4c": 4, "nchw8c": 8, "nchw16c": 16}
"""Channels that lie together in an array."""
_FEW_CHANNELS = 4  # an image's three stay as they are


@dataclass(frozen=True)
class Contender:
    """One way to compute a layer; ``record`` is the best of its log, None if it is not tuned."""

    task: Task
    variant: str
    """Winograd's F(m, 3), or empty."""
    record: Record | None

    @property
    def seconds(self) -> float | None:
        return self.record.cost if self.record else None


def layer_tasks(layer: Layer, target: Target, layout: str | None = None) -> list[Task]:
    """The tasks that compute the layer: one, two, or none if no template has that layout.

    ``layout`` None is the workload's own. Raises ``InputError`` for an unknown one.
    """
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"unknown layout '{layout}'; known: {', '.join(LAYOUTS)}")
    operators = [layer.operator]
    if layer.operator == "conv2d" and _winograd_does(layer.workload):
        operators.append("winograd_conv2d")
    workload = layer.workload
    if layout and hasattr(workload, "block"):
        c = LAYOUTS[layout]
        workload = replace(workload, block=(1 if workload.ci < _FEW_CHANNELS else c, c))
    tasks = [_task(op, workload, target) for op in operators if op in operator_names()]
    return [t for t in tasks if get_schedule(t.operator).space(t.workload, target)]


def _winograd_does(w: Any) -> bool:
    return w.kernel == (3, 3) and w.stride == w.dilation == (1, 1) and w.groups == 1


def _task(operator: str, workload: Any, target: Target) -> Task:
    """The workload as one of the operator's own type."""
    if type(workload) is get_operator(operator).Workload:
        return Task(operator, workload, target)
    return parse_task(operator, task_key(operator, workload), target)


def contenders(
    layer: Layer, target: Target, layout: str | None = None, logs: Path = log.ROOT
) -> list[Contender]:
    """The ways to compute the layer, the fastest first, those that are not tuned last.

    From checked records of whole workloads. Raises ``InputError`` for a log that cannot be read.
    """
    found = []
    for task in layer_tasks(layer, target, layout):
        records = log.read_task(log.log_path(logs, target.name, task.operator), task)
        by_variant: dict[str, list[Record]] = {}
        for record in records:
            if record.slice is None and record.cost:
                by_variant.setdefault(variant(task, record), []).append(record)
        found += [Contender(task, name, log.best(rs)) for name, rs in by_variant.items()]
        if not by_variant:
            found.append(Contender(task, "", None))
    return sorted(found, key=lambda c: (c.seconds is None, c.seconds or 0.0))


def choose(
    layer: Layer, target: Target, layout: str | None = None, logs: Path = log.ROOT
) -> tuple[Task, Record | None]:
    """The task that does the layer fastest and its record; None where the log has no candidate.

    Raises ``InputError`` for a log that cannot be read, or a layer that no template can do.
    """
    ways = contenders(layer, target, layout, logs)
    if not ways:
        raise InputError(f"{layer.key}: no schedule for layout {layout or 'of its key'}")
    return ways[0].task, ways[0].record


def variant(task: Task, record: Record) -> str:
    """Winograd's F(m, 3) of a record, or empty."""
    if task.operator != "winograd_conv2d":
        return ""
    m = record.knobs["m"]
    rows, columns = m if isinstance(m, list) else (m, m)
    return f"F({rows}, 3)" if rows == columns else f"F({rows}x{columns}, 3x3)"
