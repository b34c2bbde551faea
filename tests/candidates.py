"""Candidates for tests: every structural choice of a task, or random legal knobs."""

from __future__ import annotations

import itertools
import random
from typing import Any

from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule


def random_knobs(
    task: Task, rng: random.Random, fixed: dict[str, Any] | None = None
) -> Knobs | None:
    """Legal knobs with the ``fixed`` ones as given; None if 400 draws had none."""
    template = get_schedule(task.operator)
    space = template.space(task.workload, task.target)
    fixed = fixed or {}
    for _ in range(400):
        sketch = fixed.get("sketch") or rng.choice(sorted(space))
        knobs = {"sketch": sketch} | {n: rng.choice(o) for n, o in space[sketch].items()} | fixed
        if template.legal(task.workload, task.target, knobs):
            return knobs
    return None


def structural_choices(task: Task) -> list[dict[str, Any]]:
    """Sketch and structural knobs in every combination, also those not worth tuning here."""
    template = get_schedule(task.operator)
    choices = []
    for sketch, knobs in template.space(task.workload, task.target).items():
        names = [name for name in template.STRUCTURAL if name in knobs]
        options = [template.STRUCTURAL[name] or knobs[name] for name in names]
        for values in itertools.product(*options):
            choices.append({"sketch": sketch, **dict(zip(names, values, strict=True))})
    return choices


def candidates(task: Task, seed: int) -> list[Knobs]:
    """The default, and for each structural choice that can be legal one random candidate."""
    rng = random.Random(f"{task.key}-{seed}")
    drawn = [random_knobs(task, rng, choice) for choice in structural_choices(task)]
    return [default_knobs(task)] + [knobs for knobs in drawn if knobs]
