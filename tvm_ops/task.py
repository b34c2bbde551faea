"""A task: one workload of an operator on a target, and its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator
from tvm_ops.targets import Target

Knobs = dict[str, Any]
"""Named choices of a template: strings, integers, booleans or lists of integers; plain JSON."""


@dataclass(frozen=True)
class Task:
    """``operator`` is the base name of ``operators/X.py``; ``workload`` an instance of its type."""

    operator: str
    workload: Any
    target: Target

    @property
    def key(self) -> str:
        """Log key, manifest entry, row of the comparison: ``OPERATOR-SHAPES-DTYPE``."""
        return task_key(self.operator, self.workload)

    @property
    def symbol(self) -> str:
        """The C function's name."""
        return self.key.replace("-", "_")


def task_key(operator: str, workload: Any) -> str:
    """The full key; it does not name the target, the log's folder does."""
    return f"{operator}-{workload.shape_key}-{workload.dtype}"


def parse_task(operator: str, key: str, target: Target) -> Task:
    """The task of a full key; any shapes that the operator can do, not only the listed ones.

    Raises ``InputError`` for a key of another operator, unknown fields or types, or shapes that do
    not fit.
    """
    module = get_operator(operator)
    parts = key.split("-")
    if len(parts) != 3 or parts[0] != operator:
        example = task_key(operator, module.WORKLOADS[0])
        raise InputError(f"workload '{key}' is not of {operator}; a key looks like {example}")
    return Task(operator, module.Workload.parse(parts[1], parts[2]), target)


def listed_tasks(operator: str, target: Target) -> list[Task]:
    """The operator's own WORKLOADS on that target."""
    return [Task(operator, w, target) for w in get_operator(operator).WORKLOADS]
