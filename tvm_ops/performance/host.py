"""This machine, by the wall clock: our kernels in turn with two libraries on the same layers.

Times depend on the machine and what else it does, so only the ratios are worth keeping.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tvm_ops.chooser import contenders, layer_tasks
from tvm_ops.compare import compare
from tvm_ops.errors import UntunedWarning
from tvm_ops.networks import Layer
from tvm_ops.performance.layers import PLAIN
from tvm_ops.performance.lines import append_line, read_lines
from tvm_ops.targets import Target, get_target
from tvm_ops.task import Task
from tvm_ops.tuning.log import Record

PEERS = ("ncnn", "onnxruntime")
GOAL = 0.9


@dataclass(frozen=True)
class HostTime:
    """Medians in seconds; ``why_not`` says of each peer, or of ``ours``, why there is none."""

    layer: str
    task: str
    tuned: bool
    ours: float | None
    peers: dict[str, float]
    versions: dict[str, str | None]
    why_not: dict[str, str]
    time: str


def host_path(folder: Path) -> Path:
    """``FOLDER/host.jsonl``."""
    return folder / "host.jsonl"


def read_host(folder: Path) -> list[HostTime]:
    """The last one of each layer. Raises ``InputError`` with file and line."""
    return list({entry.layer: entry for entry in read_lines(host_path(folder), HostTime)}.values())


def means(entries: Iterable[HostTime]) -> dict[str, tuple[float, int]]:
    """Geometric mean of each peer's time over ours, and of how many layers."""
    ratios: dict[str, list[float]] = {}
    for entry in entries:
        for peer, seconds in entry.peers.items():
            if entry.ours:
                ratios.setdefault(peer, []).append(seconds / entry.ours)
    return {peer: (statistics.geometric_mean(r), len(r)) for peer, r in sorted(ratios.items())}


def to_json(entries: Sequence[HostTime], layers: int) -> dict[str, Any]:
    """All facts."""
    reached = [
        {"peer": peer, "least": GOAL, "value": value, "met": value >= GOAL, "layers": count}
        for peer, (value, count) in means(entries).items()
    ]
    return {"layers": layers, "goals": reached, "times": [vars(entry) for entry in entries]}


def measure_host(
    layers: Sequence[Layer],
    logs: Path,
    path: Path,
    *,
    again: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> None:
    """Measure the layers that ``path`` does not have, or with ``again`` all; one at a time.

    It can be stopped at any time. Raises ``InputError`` for a log that cannot be read.
    """
    target = get_target("host")
    known = set() if again else {entry.layer for entry in read_lines(path, HostTime)}
    todo = [x for x in layers if x.key not in known and layer_tasks(x, target, PLAIN)]
    for number, layer in enumerate(todo, 1):
        task, record = _fastest(layer, target, logs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UntunedWarning)  # ``tuned`` says it
            row = compare([task], board="host", against=PEERS, logs=logs).rows[0]
        entry = HostTime(
            layer=layer.key,
            task=task.key,
            tuned=record is not None,
            ours=row.ours.seconds,
            peers={e.name: e.seconds for e in row.peers if e.seconds},
            versions={e.name: e.version for e in row.peers},
            why_not={e.name: e.why_not for e in (row.ours, *row.peers) if e.why_not},
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        append_line(path, entry)
        said = [f"{p} {s / entry.ours:.2f}" for p, s in entry.peers.items() if entry.ours]
        said += [f"{name}: {why}" for name, why in entry.why_not.items()]
        report(f"{number}/{len(todo)} host {task.key}: {', '.join(said)}")


def _fastest(layer: Layer, target: Target, logs: Path) -> tuple[Task, Record | None]:
    """Of both layouts and all operators by the log.

    What is not tuned is in blocks of a vector, 3x3 of stride 1 by Winograd.
    """
    blocked = f"nchw{target.vector_lanes}c"
    ways = [c for layout in (blocked, PLAIN) for c in contenders(layer, target, layout, logs)]
    ways.sort(key=lambda c: c.task.operator != "winograd_conv2d")
    best = min(ways, key=lambda c: (c.seconds is None, c.seconds or 0.0))
    return best.task, best.record
