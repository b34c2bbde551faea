"""The facts of a comparison: kernels for the same tasks on one board, their ratios, their table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tvm_ops.targets import get_target
from tvm_ops.task import Task

OURS, UNTUNED = "tvm_ops", "tvm_ops untuned"


@dataclass(frozen=True)
class Entry:
    """One kernel for one task. ``seconds`` is the median, None where ``why_not`` says why.

    ``max_abs_error`` is the largest difference to our output; of our own kernels, to the float64
    reference. ``hot_code_bytes`` is known of our own kernels on the modelled board.
    """

    name: str
    version: str | None = None
    seconds: float | None = None
    cycles: int | None = None
    max_abs_error: float | None = None
    why_not: str | None = None
    hot_code_bytes: int | None = None


@dataclass(frozen=True)
class Row:
    """All kernels for one task."""

    task: Task
    ours: Entry
    untuned: Entry
    peers: list[Entry]

    @property
    def entries(self) -> list[Entry]:
        return [self.ours, self.untuned, *self.peers]

    def ratio(self, entry: Entry) -> float | None:
        """Its time over ours: above 1 we are faster."""
        if entry.seconds is None or self.ours.seconds is None:
            return None
        return entry.seconds / self.ours.seconds

    def figures(self, entry: Entry) -> dict[str, float | None]:
        """ms, cycles, MAC/cycle and percent of the core's peak; None for what is unknown.

        Multiply-adds are those of the plain algorithm, so Winograd may pass 100 %. Where the board
        counts no cycles they follow from the target's clock.
        """
        target, seconds = self.task.target, entry.seconds
        if seconds is None:
            return dict.fromkeys(("ms", "cycles", "mac_per_cycle", "percent_of_peak"))
        cycles = entry.cycles or seconds * target.clock_ghz * 1e9
        rate = self.task.workload.macs / cycles
        percent = 100 * rate / target.peak(self.task.workload)
        return {
            "ms": seconds * 1e3,
            "cycles": round(cycles),
            "mac_per_cycle": rate,
            "percent_of_peak": percent,
        }


@dataclass(frozen=True)
class Comparison:
    """The rows of one target and board; ``label`` says where the figures come from."""

    target: str
    board: str
    label: str
    rows: list[Row] = field(default_factory=list)

    @property
    def geomean(self) -> dict[str, float]:
        """Of each peer's ratios, over the tasks that it ran."""
        ratios: dict[str, list[float]] = {}
        for row in self.rows:
            for entry in row.peers:
                ratio = row.ratio(entry)
                if ratio:
                    ratios.setdefault(entry.name, []).append(ratio)
        return {name: math.exp(statistics.mean(map(math.log, r))) for name, r in ratios.items()}

    @property
    def failures(self) -> list[str]:
        """Tasks of which our own kernel has no time, and why."""
        bad = [row for row in self.rows if row.ours.seconds is None]
        return [f"{row.task.key}: {row.ours.why_not}" for row in bad]

    @property
    def too_large(self) -> list[str]:
        """Our kernels whose hot code does not fit the core's instruction cache, a line each.

        The modelled board has no such cache: it would promise too much for them.
        """
        limit = get_target(self.target).l1i_kib
        found = []
        for row in self.rows:
            for entry in row.entries:
                size = (entry.hot_code_bytes or 0) / 1024
                if size > limit:
                    what = f"the hot code of {entry.name} has {size:.1f} KB"
                    cache = f"the instruction cache {limit} KB"
                    found.append(f"{row.task.key}: {what}, {cache}: a real board is slower")
        return found

    def to_json(self) -> dict[str, Any]:
        """The same facts as the table."""
        rows = []
        for row in self.rows:
            peers = [
                {"name": e.name, "version": e.version, **row.figures(e), "ratio": row.ratio(e),
                 "max_abs_error": e.max_abs_error, "why_not": e.why_not}
                for e in row.peers
            ]  # fmt: skip
            ours, untuned = (
                {**row.figures(e), "max_abs_error": e.max_abs_error,
                 "hot_code_bytes": e.hot_code_bytes, "why_not": e.why_not}
                for e in (row.ours, row.untuned)
            )  # fmt: skip
            rows.append({"task": row.task.key, "ours": ours, "untuned": untuned, "peers": peers})
        facts = {"target": self.target, "board": self.board, "label": self.label}
        return {**facts, "rows": rows, "geomean": self.geomean}


def table(comparison: Comparison) -> Iterator[list[str]]:
    """Lines of task, kernel, ms, Mcycles, MAC/cycle, % of peak, ratio, error, KB of hot code."""
    for row in comparison.rows:
        for entry in row.entries:
            label = f"{entry.name} {entry.version}" if entry.version else entry.name
            if entry.seconds is None:
                yield [row.task.key, label, entry.why_not or "no time", *[""] * 6]
                continue
            figures, ratio = row.figures(entry), row.ratio(entry)
            error = entry.max_abs_error
            yield [
                row.task.key,
                label,
                f"{figures['ms']:.3f}",
                f"{(figures['cycles'] or 0) / 1e6:.2f}",
                f"{figures['mac_per_cycle']:.2f}",
                f"{figures['percent_of_peak']:.0f}",
                "" if ratio is None else f"{ratio:.2f}",
                "" if error is None else f"{error:.1e}",
                "" if entry.hot_code_bytes is None else f"{entry.hot_code_bytes / 1024:.1f}",
            ]
