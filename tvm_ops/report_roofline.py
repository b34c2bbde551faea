"""What a core could do at best with a workload: its multiply-adds, and its arrays from memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod

from tvm_ops.board_model.plugin import core_file
from tvm_ops.task import Task

_LINE = 64  # bytes
_FLOAT32 = 4


@dataclass(frozen=True)
class Roof:
    """The fewest ``cycles``, and what makes them: ``compute``, ``L2`` or ``DRAM``."""

    cycles: float
    bound: str


def roof(task: Task) -> Roof | None:
    """Of one core, caches warm; None where the core or the arrays' sizes are not known.

    Each array is read or written once. Arrays that fit into the last cache together come from
    there. Winograd does fewer multiply-adds and may be below.
    """
    w, target = task.workload, task.target
    shapes = [getattr(w, f"{name}_shape", None) for name in ("input", "weights", "output")]
    if not target.modelled or w.dtype != "f32" or None in shapes:
        return None
    core = _parameters(target.core)
    size = _FLOAT32 * sum(prod(shape) for shape in shapes if shape)
    last = "l3" if core["l3_kib"] else "l2"
    fits = size <= core[f"{last}_kib"] * 1024
    level = last if fits else "dram"
    memory = Roof(size / _LINE * core[f"{level}_occupancy"], level.upper())
    compute = Roof(float(w.macs) / target.peak(w), "compute")
    return max(compute, memory, key=lambda r: r.cycles)


@cache
def _parameters(core: str) -> dict[str, float]:
    """The numbers of the core's file."""
    found = {}
    for line in core_file(core).read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if len(words) == 2 and words[1].replace(".", "", 1).isdigit():
            found[words[0]] = float(words[1])
    return found
