"""Slices: a long layer's first rows of output stand for all of them while candidates are ranked.

A slice is the same workload with fewer input rows. It is used where the template says of all its
sketches that knobs mean the same whatever the number of rows: ``sliceable(w, knobs)``; a template
without it is never sliced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tvm_ops.errors import InputError
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.space import check_knobs

SLICE_MACS = 10e6  # a trial of so many of float32 takes half a second, a third of it the build
_UNIT_ROWS = 12  # register tiles of 1, 2, 3, 4 and 6 rows divide it
_LEAST_PIXELS = 96  # of a 1x1 kernel, whose tiles are of up to 14 pixels in one row
_WORTH = 1.5  # times fewer rows, or the whole is measured


def slice_rows(task: Task) -> int | None:
    """How many rows of output a trial of the search computes; None for all of them.

    All also where the default knobs are none for a slice: where the weights do not stay in a cache,
    a block of all pixels is the default, and the weights' share is not that of a slice.
    """
    if not _is_sliceable(task):
        return None
    w = task.workload
    rows = int(SLICE_MACS * w.out_h / float_macs(task))
    if w.kernel == (1, 1):
        rows = max(rows, -(-_LEAST_PIXELS // w.out_w))
    else:
        rows = max(rows // _UNIT_ROWS, 1) * _UNIT_ROWS
    if rows * _WORTH > w.out_h:
        return None
    try:
        return rows if legality(task, rows)(default_knobs(task)) else None
    except InputError:  # fewer rows than the padding allows
        return None


def float_macs(task: Task) -> float:
    """How many multiply-adds of float32 take as long as the workload's own."""
    target = task.target
    return float(task.workload.macs) * target.macs_per_cycle / target.peak(task.workload)


def _is_sliceable(task: Task) -> bool:
    w, template = task.workload, get_schedule(task.operator)
    if not hasattr(template, "sliceable") or not hasattr(w, "out_h"):
        return False
    space = template.space(w, task.target)
    firsts = (
        {"sketch": sketch, **{name: options[0] for name, options in knobs.items()}}
        for sketch, knobs in space.items()
    )
    return bool(space) and all(template.sliceable(w, knobs) for knobs in firsts)


def sliced(task: Task, rows: int | None) -> Task:
    """The task of the first ``rows`` rows of output (None: the task itself).

    Raises ``InputError`` where the padding alone makes more.
    """
    if rows is None:
        return task
    w = task.workload
    reach = (w.kernel[0] - 1) * getattr(w, "dilation", (1, 1))[0] + 1
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
