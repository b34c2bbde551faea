"""What is known of each layer on a target: ours in two layouts, the peers', the best's own run.

Ours is the best checked record of the whole workload; slices never count. The main figure is ours
in blocks of four channels (NCHW4c) against the fastest peer in its own layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_ops.chooser import layer_tasks, variant
from tvm_ops.networks import Layer, kind
from tvm_ops.operators import operator_names
from tvm_ops.peers.figures import PEERS, Figure, canonical_key, figures_path, read_figures
from tvm_ops.performance.rerun import Rerun, find_rerun
from tvm_ops.targets import Target
from tvm_ops.task import Task
from tvm_ops.tuning.log import Record, best, log_path, read_log

BLOCKED, PLAIN = "nchw4c", "nchw"
BOARD = "modelled"


@dataclass(frozen=True)
class Ours:
    """Our best kernel for a layer in one layout; ``trials`` of all operators that do it."""

    task: Task
    record: Record
    trials: int

    @property
    def cycles(self) -> int:
        return self.record.cycles or 0

    @property
    def variant(self) -> str:
        """Winograd's F(m, 3), or empty."""
        return variant(self.task, self.record)


@dataclass(frozen=True)
class LayerRow:
    """One layer on one target; ``figures`` has each peer, None where its log has nothing.

    ``blocked`` and ``plain`` are None where the layout is not tuned; ``rerun`` is the run of
    ``blocked`` that checked the log, None before there was one.
    """

    layer: Layer
    target: Target
    blocked: Ours | None
    plain: Ours | None
    figures: dict[str, Figure | None]
    rerun: Rerun | None = None

    @property
    def kind(self) -> str:
        return kind(self.layer)

    @property
    def missing(self) -> list[str]:
        """What a log lacks that the ratio needs, in words."""
        absent = [name for name, figure in self.figures.items() if figure is None]
        untuned = [] if self.blocked else ["not tuned"]
        return untuned + [f"no figure of {name}" for name in absent]

    @property
    def fastest(self) -> Figure | None:
        """The fastest peer; None where none has a time."""
        timed = [f for f in self.figures.values() if f and f.cycles]
        return min(timed, key=lambda f: f.cycles or 0, default=None)

    @property
    def ratio(self) -> float | None:
        """The fastest peer's time over ours: above 1 we are faster."""
        if not self.blocked or not self.fastest or not self.fastest.cycles:
            return None
        return self.fastest.cycles / self.blocked.cycles

    @property
    def fits(self) -> bool | None:
        """Whether our hot code fits the core's instruction cache; None if that is not known."""
        if not self.rerun:
            return None
        return self.rerun.hot_code_bytes <= 1024 * self.target.l1i_kib

    @property
    def claimed(self) -> float | None:
        """The ratio, but no gain where the hot code is too large: the model has no such cache."""
        if self.ratio is None or self.fits is not False:
            return self.ratio
        return min(self.ratio, 1.0)

    @property
    def percent_of_peak(self) -> float | None:
        """Multiply-adds of the plain algorithm, of what the core could do in our time."""
        if not self.blocked:
            return None
        most = self.blocked.cycles * self.target.macs_per_cycle
        return 100 * float(self.layer.workload.macs) / most


def read_rows(
    layers: Sequence[Layer], target: Target, logs: Path, reruns: Iterable[Rerun] = ()
) -> list[LayerRow]:
    """A row for each layer. Raises ``InputError`` for a log that cannot be read."""
    records: dict[str, list[Record]] = {}
    for operator in operator_names():
        for record in read_log(log_path(logs, target.name, operator)):
            if record.board == BOARD:
                records.setdefault(record.task, []).append(record)
    figures = {(f.task, f.peer): f for f in read_figures(figures_path(logs, target.name))}
    known = list(reruns)
    rows = []
    for layer in layers:
        blocked = best_of(layer_tasks(layer, target, BLOCKED), records)
        rows.append(
            LayerRow(
                layer,
                target,
                blocked,
                best_of(layer_tasks(layer, target, PLAIN), records),
                {peer: figures.get((canonical_key(layer.key), peer)) for peer in PEERS},
                find_rerun(known, blocked.record) if blocked else None,
            )
        )
    return rows


def best_of(tasks: Sequence[Task], records: dict[str, list[Record]]) -> Ours | None:
    """The better of the operators that do a layer, by the records of each task's key."""
    found = [(task, best(r for r in records.get(task.key, []) if r.cycles)) for task in tasks]
    tuned = [(task, record) for task, record in found if record]
    if not tuned:
        return None
    task, record = min(tuned, key=lambda entry: entry[1].cycles or 0)
    return Ours(task, record, sum(len(records.get(task.key, [])) for task in tasks))


def to_json(row: LayerRow) -> dict[str, Any]:
    """All facts of a row."""
    rerun, fastest = row.rerun, row.fastest
    return {
        "layer": row.layer.key,
        "kind": row.kind,
        "networks": list(row.layer.networks),
        "count": row.layer.count,
        "macs": row.layer.workload.macs,
        "missing": row.missing,
        "ours": row.blocked and _ours(row.blocked),
        "ours_nchw": row.plain and _ours(row.plain),
        "percent_of_peak": row.percent_of_peak,
        "peers": {n: f and _figure(f) for n, f in row.figures.items()},
        "fastest_peer": fastest and fastest.peer,
        "ratio": row.ratio,
        "claimed_ratio": row.claimed,
        "hot_code_bytes": rerun and rerun.hot_code_bytes,
        "hot_code_fits": row.fits,
        "cycles_run_again": rerun and rerun.cycles,
        "hot_blocks": rerun and rerun.hot_blocks,
    }


def _ours(ours: Ours) -> dict[str, Any]:
    record = ours.record
    return {
        "task": record.task,
        "variant": ours.variant,
        "knobs": record.knobs,
        "cycles": record.cycles,
        "max_error": record.max_error,
        "trials": ours.trials,
        "tvm": record.tvm,
        "time": record.time,
    }


def _figure(figure: Figure) -> dict[str, Any]:
    names = ("version", "cycles", "max_error", "why_not", "time")
    return {name: getattr(figure, name) for name in names}
