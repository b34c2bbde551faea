"""What a job is to tune: tasks with weights, from operators, from networks, or from a job file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tvm_ops.chooser import layer_tasks
from tvm_ops.networks import FLOAT, layers
from tvm_ops.targets import Target
from tvm_ops.task import Task
from tvm_ops.tuning.job import Name, name


@dataclass
class Plan:
    """``weights``: how much a second of a task counts; in a network, how often it has the layer.

    ``options`` are those of ``run_job``, ``left_out`` layers by operator that no schedule has.
    """

    tasks: list[Task] = field(default_factory=list)
    weights: dict[Name, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, task: Task, weight: float = 1.0) -> None:
        """A task that is there already counts for more."""
        if name(task) not in self.weights:
            self.tasks.append(task)
        self.weights[name(task)] = self.weights.get(name(task), 0.0) + weight

    def add_network(self, network: str, target: Target, layout: str, weight: float = 1.0) -> None:
        """The layers of a network, ``all`` of them those whose float32 layers are compared."""
        for one in FLOAT if network == "all" else [network]:
            for layer in layers(one):
                found = layer_tasks(layer, target, layout)
                self.left_out[layer.operator] += not found
                for task in found:
                    self.add(task, weight * layer.count)
