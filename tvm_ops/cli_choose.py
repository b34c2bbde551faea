"""The verb ``choose``; see ``cli_verbs``."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from tvm_ops.cli_output import cell, check_output, print_table, write_json
from tvm_ops.cli_tasks import logs_of
from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from tvm_ops.chooser import Contender
    from tvm_ops.networks import Layer

_COLUMNS = ["operator", "variant", "ms", "Mcycles", "times the best", "max error", "note"]


def choose(arguments: Namespace) -> int:
    """``tvm-ops choose``."""
    check_output(arguments.json)
    from tvm_ops.chooser import contenders
    from tvm_ops.targets import get_target

    target, logs = get_target(arguments.target), logs_of(arguments)
    # A workload's key says itself what its layout is.
    layout = None if arguments.workload else arguments.layout
    facts = []
    for layer in _layers(arguments):
        found = contenders(layer, target, layout, logs)
        if len(found) > 1 or arguments.workload:
            keys = [c.task.key for c in found if c.task.operator == layer.operator]
            key = keys[0] if keys else layer.key
            rows = [_row(contender, found[0]) for contender in found]
            print_table(_COLUMNS, [_line(row) for row in rows], key, right=_COLUMNS[2:-1])
            facts.append({"task": key, "contenders": rows})
    if not facts:
        raise InputError(f"no 3x3 layer of stride 1 has a schedule for layout {layout}")
    write_json(arguments.json, {"target": arguments.target, "layers": facts})
    return 0


def _layers(arguments: Namespace) -> list[Layer]:
    from tvm_ops.networks import Layer, all_layers, layers
    from tvm_ops.targets import get_target
    from tvm_ops.task import parse_task

    if arguments.workload and arguments.network:
        raise InputError("either --workload KEY or --network NAME, not both")
    if arguments.workload:
        task = parse_task("conv2d", arguments.workload, get_target(arguments.target))
        return [Layer("conv2d", task.workload, 1)]
    everything = arguments.network in (None, "all")
    return all_layers() if everything else layers(arguments.network)


def _row(contender: Contender, best: Contender) -> dict[str, object]:
    record, seconds = contender.record, contender.seconds
    if record is None or seconds is None:
        note = "not tuned"
    elif contender is best:
        note = "chosen"
    else:
        note = ""
    return {
        "operator": contender.task.operator,
        "variant": contender.variant,
        "ms": seconds and seconds * 1e3,
        "mcycles": record.cycles / 1e6 if record and record.cycles else None,
        "times_the_best": seconds / best.seconds if seconds and best.seconds else None,
        "max_error": record.max_error if record else None,
        "note": note,
    }


def _line(row: dict[str, object]) -> list[str]:
    error = row["max_error"]
    return [cell(v) for v in (row | {"max_error": f"{error:.1e}" if error else ""}).values()]
