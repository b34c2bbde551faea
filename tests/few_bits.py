"""Runs a few-bit operator's kernel on chosen arrays and holds it against numpy, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning.measure import Measurer

TARGETS = ("host", "rpi3", "rpi3-armv7")


def task_of(key: str, target: str = "host") -> Task:
    return parse_task(key.split("-")[0], key, get_target(target))


def check_equal(task: Task, arrays: dict[str, Any], folder: Path, **knobs: Any) -> None:
    """The default knobs, changed by ``knobs``; ``arrays`` change the operator's own data."""
    board = "host" if task.target.name == "host" else "emulated"
    measurer = Measurer(task, board, folder, repeats=1)
    measurer.arrays = measurer.arrays | arrays
    outcome = measurer.measure(default_knobs(task) | knobs)
    assert outcome.error is None, f"{task.key}: {outcome.error}"


def draw(seed: int, low: int, high: int, *shape: int, dtype: Any = np.int32) -> Any:
    """Seeded integers, ``high`` among them."""
    return np.random.default_rng(seed).integers(low, high, shape, dtype, endpoint=True)
