"""The report: one self-contained HTML page from the tuning logs and from files of comparisons.

``report_history.py`` and ``report_comparison.py`` read the facts, ``report_chart.py`` draws, this
file orders and words them, ``report.html`` and ``report.css`` lay them out. The page has no script,
needs no network, and depends on its input only: the same logs give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.html_page import render_page, write_page
from tvm_ops.report_chart import Marks, convergence, longest_shown, number
from tvm_ops.report_comparison import ComparisonFile, read_comparison
from tvm_ops.report_history import (
    CUT_OFF,
    TaskHistory,
    board_label,
    geomean_gain,
    read_histories,
)
from tvm_ops.targets import NAMES, Target, get_target
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record

PAGE = "report.html"


@dataclass(frozen=True)
class Section:
    """Everything of one target on one kind of board; what is of two kinds never shares a table."""

    target: Target
    board: str
    histories: list[TaskHistory] = field(default_factory=list)
    comparisons: list[ComparisonFile] = field(default_factory=list)

    @property
    def label(self) -> str:
        return board_label(self.target, self.board)

    @property
    def anchor(self) -> str:
        return anchor(f"{self.target.name}-{self.board}")

    @property
    def unit(self) -> str:
        """What stands beside "ms": how the figures came about."""
        return self.board if self.board in ("modelled", "emulated") else "wall clock"

    @property
    def operators(self) -> list[tuple[str, list[TaskHistory]]]:
        groups = groupby(self.histories, lambda h: h.task.operator)
        return [(operator, list(group)) for operator, group in groups]

    @property
    def trials(self) -> int:
        """Of wholes and of slices."""
        return sum(len(h.records) + len(h.slices) for h in self.histories)

    @property
    def failures(self) -> dict[str, int]:
        """Trials by the kind of what went wrong, also those of slices; the most frequent first."""
        records = [r for h in self.histories for r in (*h.records, *h.slices) if r.error]
        return dict(Counter(r.error.split(":")[0] for r in records if r.error).most_common())

    @property
    def provenance(self) -> str:
        """When the trials were made, and with which TVM."""
        records = [record for history in self.histories for record in history.records]
        days = sorted({record.time[:10] for record in records})
        dates = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        return f"tuned {dates} with TVM {', '.join(sorted({record.tvm for record in records}))}"

    def to_json(self) -> dict[str, Any]:
        """The facts of the logs; those of the comparisons have files of their own."""
        return {
            "target": self.target.name,
            "board": self.board,
            "label": self.label,
            "rows": [history.to_json() for history in self.histories],
            "geomean_gain": geomean_gain(self.histories)[0],
            "comparisons": [str(comparison.path) for comparison in self.comparisons],
        }


def report(
    logs: Path = log.ROOT, *, targets: Sequence[str] = (), comparisons: Sequence[Path] = ()
) -> list[Section]:
    """What the page shows: the logs' tasks (of all targets, or those given) and the comparisons.

    Raises ``InputError``: no logs, none of a target, a line that is no sound record, a file that
    ``tvm-ops compare --json`` did not write, or one of a target that is not asked for.
    """
    sections: dict[tuple[str, str], Section] = {}
    for history in read_histories(logs, targets):
        target = history.task.target
        key = (target.name, history.board)
        sections.setdefault(key, Section(target, history.board)).histories.append(history)
    for path in comparisons:
        read = read_comparison(path)
        if targets and read.target not in targets:
            raise InputError(f"{path} compares on {read.target}, not on {', '.join(targets)}")
        key = (read.target, read.board)
        section = sections.setdefault(key, Section(get_target(read.target), read.board))
        section.comparisons.append(read)
    return sorted(sections.values(), key=lambda s: (NAMES.index(s.target.name), s.board))


def render(sections: Sequence[Section]) -> str:
    """The page."""
    return render_page(
        PAGE,
        filters={"number": number, "knob": knob, "anchor": anchor, "short": short},
        sections=sections,
        curve=curve,
        marks=marks,
        changes=changes,
        geomean_gain=geomean_gain,
        cut_off=CUT_OFF,
    )


def write_report(sections: Sequence[Section], folder: Path) -> Path:
    """Write the page into ``folder``, which is made, and give back its path; whole or not at all.

    Raises ``InputError`` where the folder cannot be made or written.
    """
    return write_page(folder / PAGE, render(sections))


def marks(history: TaskHistory) -> Marks:
    """The trials that are no point in the chart: too slow for it, or failed."""
    limit = longest_shown(_milliseconds(history))
    slow, failed = [], []
    for trial, (record, kind) in enumerate(zip(history.records, history.kinds, strict=True), 1):
        if kind == CUT_OFF or (record.cost and record.cost * 1e3 > limit):
            slow.append(trial)
        elif kind:
            failed.append(trial)
    return Marks(slow, failed)


def curve(history: TaskHistory, unit: str) -> str:
    """The chart of best so far over trials, as SVG."""
    return convergence(_milliseconds(history), marks(history), f"ms, {unit}")


def _milliseconds(history: TaskHistory) -> list[float | None]:
    return [record.cost * 1e3 if record.cost else None for record in history.records]


def changes(history: TaskHistory) -> list[tuple[int, Record, dict[str, Any]]]:
    """The trials that were faster than all before, and which knobs differ from the last such."""
    rows, before = [], history.improvements[0][1].knobs
    for trial, record in history.improvements:
        changed = {k: v for k, v in record.knobs.items() if k not in before or before[k] != v}
        rows.append((trial, record, changed))
        before = record.knobs
    return rows


def knob(value: object) -> str:
    """A knob's value as the log has it, without the brackets and quotes."""
    if isinstance(value, list):
        return " × ".join(map(knob, value))
    return value if isinstance(value, str) else json.dumps(value)


def short(key: str) -> str:
    """The shapes of a task's key; the operator is in the heading, f32 is the rule."""
    shapes = key.partition("-")[2].removesuffix("-f32")
    return (shapes or key).replace("_", " ")


def anchor(text: str) -> str:
    """A link's target of any name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)
