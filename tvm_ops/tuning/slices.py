"""Slices: a long layer's first rows of output stand for all of them while candidates are ranked.

A slice is the same workload with fewer input rows. It is used where the template says that a
sketch's knobs do not depend on the number of rows, with ``sliceable(w, sketch)``: 0 or absent is
no, else the number of output rows that its register tiles divide (12 for tiles of 2, 4 and 6 rows).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import lcm

from tvm_ops.errors import InputError
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.space import check_knobs

SLICE_MACS = 10e6  # a trial of so many multiply-adds takes half a second, a third of it the build
_LEAST_ROWS = 4
_WORTH = 1.5  # times fewer rows, or the whole is measured


def slice_rows(task: Task) -> int | None:
    """How many rows of output a trial of the search computes; None for all of them."""
    w, template = task.workload, get_schedule(task.operator)
    sliceable = getattr(template, "sliceable", None)
    if sliceable is None or not hasattr(w, "out_h"):
        return None
    units = [int(sliceable(w, sketch)) for sketch in template.space(w, task.target)]
    if not units or 0 in units:
        return None
    unit = lcm(*units)
    wanted = int(SLICE_MACS * w.out_h / w.macs)
    rows = max(wanted // unit * unit, 2 * unit, -(-_LEAST_ROWS // unit) * unit)
    if rows * _WORTH > w.out_h:
        return None
    try:
        return rows if legality(task, rows)(default_knobs(task)) else None
    except InputError:  # fewer rows than the padding allows
        return None


def sliced(task: Task, rows: int | None) -> Task:
    """The task of the first ``rows`` rows of output (None: the task itself).

    Raises ``InputError`` where the padding alone makes more.
    """
    if rows is None:
        return task
    w = task.workload
    reach = (w.kernel[0] - 1) * w.dilation[0] + 1
    h = (rows - 1) * w.stride[0] + reach - 2 * w.pad[0]
    return replace(task, workload=replace(w, h=h))


def legality(task: Task, rows: int | None) -> Callable[[Knobs], bool]:
    """Tells whether knobs of the task's space are legal for it and for its slice."""
    template, target = get_schedule(task.operator), task.target
    w = sliced(task, rows).workload
    space = None if rows is None else template.space(w, target)

    def legal(knobs: Knobs) -> bool:
        if not template.legal(task.workload, target, knobs):
            return False
        if space is None:
            return True
        try:
            check_knobs(space, knobs, "slice")
        except InputError:
            return False
        return bool(template.legal(w, target, knobs))

    return legal
