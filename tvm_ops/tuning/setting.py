"""What all trials of a session share; a worker is told it with each candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task

RUN_TIMEOUT = 60.0
"""Seconds; the demo's layer takes about one on the modelled board."""


@dataclass(frozen=True)
class Setting:
    """``bound`` limits the largest error over the largest output; None is the operator's own.

    ``board`` is a board's ``spec``. ``rows``: only so many rows of the output are computed, see
    ``slices.py``; None is the whole. ``timeout``: seconds that one run of a candidate may take.
    """

    task: Task
    board: str
    bound: float | None = None
    rows: int | None = None
    timeout: float = RUN_TIMEOUT

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which another process makes the same again."""
        task = self.task
        names = {"operator": task.operator, "key": task.key, "target": task.target.name}
        own = {"board": self.board, "bound": self.bound, "rows": self.rows, "timeout": self.timeout}
        return names | own

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Setting:
        """The inverse of ``to_json``."""
        task = parse_task(values["operator"], values["key"], get_target(values["target"]))
        return cls(task, *(values[name] for name in ("board", "bound", "rows", "timeout")))
