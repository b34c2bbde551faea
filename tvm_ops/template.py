"""Where an operator's compute definition and its schedule template meet."""

from __future__ import annotations

import importlib
import pkgutil
from math import prod
from types import ModuleType
from typing import Any

import schedules
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator
from tvm_ops.task import Knobs, Task


def schedule_names() -> list[str]:
    """Base names of all templates, sorted; files that start with an underscore are shared parts."""
    found = pkgutil.iter_modules(schedules.__path__)
    return sorted(m.name for m in found if not m.name.startswith("_"))


def get_schedule(operator: str) -> ModuleType:
    """The template of that base name: ``space``, ``legal``, ``default``, ``schedule``."""
    return importlib.import_module(f"schedules.{operator}")


def default_knobs(task: Task) -> Knobs:
    """What an untuned task is built with; raises ``InputError`` if the template has no sketch."""
    template = get_schedule(task.operator)
    if not template.space(task.workload, task.target):
        raise InputError(f"{task.key}: {task.operator} has no sketch for this workload")
    knobs: Knobs = template.default(task.workload, task.target)
    return knobs


def instantiate(task: Task, knobs: Knobs) -> Any:
    """The scheduled PrimFunc of (task, knobs); what TVM refuses is raised as it is."""
    from tvm import s_tir

    operator = get_operator(task.operator)
    sch = s_tir.Schedule(operator.compute(task.workload, knobs), debug_mask="none")
    get_schedule(task.operator).schedule(sch, knobs, task.target)
    return sch.mod["main"]


def kernel_arguments(task: Task, knobs: Knobs) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and type of what the kernel takes: what ``pack`` makes of the arguments, and y.

    Where the workload says the shape, that is it, also where a sketch sees the array in another one
    of as many elements, such as a plane as one row.
    """
    func = get_operator(task.operator).compute(task.workload, knobs)
    shapes: dict[str, tuple[int, ...]] = getattr(task.workload, "kernel_shapes", {})
    own = {b.name: tuple(int(s) for s in b.shape) for b in func.params}
    for name, shape in own.items():
        assert prod(shapes.get(name, shape)) == prod(shape), (task.key, name)
    assert str(func.params[-1].dtype) == task.workload.output_dtype, task.key
    return [(b.name, shapes.get(b.name, own[b.name]), str(b.dtype)) for b in func.params]
