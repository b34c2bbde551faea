"""From our logs to MetaSchedule's JSON database, which ``tvm`` reads without this project.

A database has for each task a workload, the compute definition under the record's knobs, whose
function says by ``tvm_ops.task`` which one it is, and a tuning record, whose trace schedules it.
The weights that such a function takes are packed, as the knobs say: ``tasks.json`` beside it has
the knobs and each argument's shape.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm_ops.operators import get_operator
from tvm_ops.task import Knobs, Task
from tvm_ops.template import get_schedule, kernel_arguments
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.metaschedule import metaschedule

WORKLOADS = "database_workload.json"
RECORDS = "database_tuning_record.json"
TASKS = "tasks.json"
TASK = "tvm_ops.task"  # attribute of a workload's function


def write_database(records: Sequence[tuple[Task, Record]], folder: Path) -> list[Path]:
    """Write the three files of a new database into ``folder``, one record for each pair.

    MetaSchedule's own names are kept, so that it opens as a ``work_dir``. Targets do not go
    together in one database, which does not look at them.
    """
    import tvm

    ms = metaschedule()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / WORKLOADS, folder / RECORDS, folder / TASKS]
    for path in paths:
        path.unlink(missing_ok=True)
    database = ms.database.JSONDatabase(
        path_workload=str(paths[0]), path_tuning_record=str(paths[1])
    )
    notes = []
    for task, record in records:
        module, trace = traced(task, record.knobs)
        config = tvm.target.Target(task.target.tvm)
        arguments = ms.arg_info.ArgInfo.from_entry_func(module, remove_preproc=True)
        workload = database.commit_workload(module)
        database.commit_tuning_record(
            ms.database.TuningRecord(trace, workload, record.seconds, config, arguments)
        )
        notes.append(_note(task, record, module["main"]))
    paths[2].write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
    return paths


def traced(task: Task, knobs: Knobs) -> tuple[Any, Any]:
    """The module before it is scheduled, and the trace that schedules it."""
    import tvm
    from tvm import s_tir

    func = get_operator(task.operator).compute(task.workload, knobs)
    module = tvm.IRModule({"main": func.with_attr({TASK: task.key, "global_symbol": "main"})})
    sch = s_tir.Schedule(module, debug_mask="none")
    get_schedule(task.operator).schedule(sch, knobs, task.target)
    return module, sch.trace


def _note(task: Task, record: Record, func: Any) -> dict[str, Any]:
    """What the database does not say.

    Shapes are the function's own: some join dimensions of what ``pack`` makes, with the same bytes.
    """
    arguments = [
        {"name": name, "shape": [int(size) for size in buffer.shape], "dtype": dtype}
        for (name, _shape, dtype), buffer in zip(
            kernel_arguments(task, record.knobs), func.params, strict=True
        )
    ]
    return {
        "task": task.key,
        "target": task.target.name,
        "board": record.board,
        "knobs": record.knobs,
        "arguments": arguments,
    }
