"""Made-up logs of the networks' layers on one target, for the tests of the performance tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tvm_ops.chooser import layer_tasks
from tvm_ops.networks import Layer, all_layers, kind
from tvm_ops.peers.figures import PEERS, Figure, append_figures, canonical_key, figures_path
from tvm_ops.performance.layers import LayerRow, read_rows
from tvm_ops.performance.rerun import Rerun
from tvm_ops.targets import get_target
from tvm_ops.template import default_knobs
from tvm_ops.tuning.log import append, log_path, new_record

RPI4 = get_target("rpi4")
LAYERS = all_layers()
THREES = [layer for layer in LAYERS if kind(layer) == "3x3 stride 1"]
WIDE = [x for x in LAYERS if kind(x) == "1x1" and min(x.workload.ci, x.workload.co) >= 128]
BOTTLENECK = next(x for x in WIDE if "resnet50" in x.networks)  # ResNet-18's are in no mean
DATE = "2026-03-04T05:06:07+00:00"


def ours(
    logs: Path, layer: Layer, cycles: int, which: int = 0, layout: str = "nchw4c", **change: object
) -> None:
    """A trial of the layer's first operator, or its second (Winograd)."""
    task = layer_tasks(layer, RPI4, layout)[which]
    record = new_record(
        task, default_knobs(task), "modelled", seconds=[cycles / 1.8e9], cycles=cycles,
        max_error=1e-6 * (1 + which),
    )  # fmt: skip
    path = log_path(logs, "rpi4", task.operator)
    append(path, [replace(record, time=DATE, **change)])


def peers(logs: Path, layer: Layer, *cycles: int | None, why_not: str = "crashed") -> None:
    """Figures of the first peers; None is one that has no time."""
    found = []
    for name, n in zip(PEERS, cycles, strict=False):
        seconds, error = (n / 1.8e9, 1e-6) if n else (None, None)
        key, why = canonical_key(layer.key), None if n else why_not
        found.append(
            Figure(key, "rpi4", name, "1.0", "modelled", n, seconds, error, why, DATE)
        )  # fmt: skip
    append_figures(figures_path(logs, "rpi4"), found)


def row_of(logs: Path, layer: Layer, reruns: tuple[Rerun, ...] = ()) -> LayerRow:
    (row,) = read_rows([layer], RPI4, logs, reruns)
    return row


def rerun_of(row: LayerRow, *, kib: float = 4.0, cycles: int = 0) -> Rerun:
    assert row.blocked
    record = row.blocked.record
    known = record.cycles or 0
    return Rerun(
        record.task, "rpi4", record.knobs, known, cycles or known, 1e-6, int(1024 * kib),
        ["90 % of the cycles; the loads wait for data from L2 (70 %)"], DATE,
    )  # fmt: skip
