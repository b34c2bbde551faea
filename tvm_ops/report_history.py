"""What the tuning logs say of each task: the facts of the report, without their looks."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tvm_ops.boards import get_board
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator, operator_names
from tvm_ops.peers.figures import Figure, canonical_key, figures_path, read_figures
from tvm_ops.report_importance import importance
from tvm_ops.report_roofline import Roof, roof
from tvm_ops.targets import NAMES, Target, get_target
from tvm_ops.task import Knobs, Task, parse_task, task_key
from tvm_ops.tuning.log import Record, best, read_lines
from tvm_ops.tuning.space import Space

CUT_OFF = "cut off"  # the kind of a candidate that was only too slow


@dataclass(frozen=True)
class TaskHistory:
    """All trials of one whole task on one kind of board, in the log's order, the default first.

    ``slices`` are those that only ranked candidates, ``peer`` is the fastest library's figure.
    """

    task: Task
    board: str
    records: list[Record]
    slices: list[Record] = field(default_factory=list)
    peer: Figure | None = None

    @cached_property
    def best(self) -> Record | None:
        return best(self.records)

    @cached_property
    def best_trial(self) -> int | None:
        """Counted from 1."""
        return self.improvements[-1][0] if self.improvements else None

    @cached_property
    def kinds(self) -> list[str | None]:
        """For each trial None, or the kind of its failure: cut off, build, run, wrong result..."""
        kinds: list[str | None] = []
        for record in self.records:
            if record.error:
                kinds.append(record.error.split(":")[0])
            else:
                kinds.append(None if record.cost else "no time")
        return kinds

    @property
    def failures(self) -> dict[str, int]:
        """Number of trials by kind of failure, sorted by kind."""
        return dict(sorted(Counter(kind for kind in self.kinds if kind).items()))

    @property
    def examples(self) -> dict[str, str]:
        """For each kind of failure the error of the first trial that had it."""
        found: dict[str, str] = {}
        for kind, record in zip(self.kinds, self.records, strict=True):
            if kind:
                found.setdefault(kind, record.error or f"board {record.board} gave no time")
        return dict(sorted(found.items()))

    @cached_property
    def improvements(self) -> list[tuple[int, Record]]:
        """The trials (counted from 1) that were faster than all before them."""
        steps: list[tuple[int, Record]] = []
        for number, record in enumerate(self.records, 1):
            if record.cost and (not steps or record.cost < (steps[-1][1].cost or 0)):
                steps.append((number, record))
        return steps

    def gain(self, record: Record | None) -> float | None:
        """The default's time over the record's; None where either has no time."""
        first = self.records[0].cost
        return first / record.cost if first and record and record.cost else None

    def mac_per_cycle(self, record: Record | None) -> float | None:
        """The plain algorithm's multiply-adds; None on a wall clock, whose log has no cycles."""
        macs = float(self.task.workload.macs)
        return macs / record.cycles if record and record.cost and record.cycles else None

    def percent_of_peak(self, record: Record | None) -> float | None:
        """Of the core's peak; may pass 100 where Winograd saves multiply-adds."""
        rate = self.mac_per_cycle(record)
        return None if rate is None else 100 * rate / self.task.target.peak(self.task.workload)

    @cached_property
    def roof(self) -> Roof | None:
        """What the core could do at best; None on a wall clock, and where it is not known."""
        return roof(self.task) if self.board == "modelled" else None

    def percent_of_roof(self, record: Record | None) -> float | None:
        """May pass 100 where Winograd saves multiply-adds."""
        cycles = record.cycles if record and record.cost else None
        return 100 * self.roof.cycles / cycles if self.roof and cycles else None

    def ahead_of_peer(self, record: Record | None) -> float | None:
        """The fastest library's time over the record's."""
        theirs = self.peer.seconds if self.peer else None
        return theirs / record.cost if theirs and record and record.cost else None

    @cached_property
    def importance(self) -> list[tuple[str, float]]:
        """Knobs and their shares of what decides; of the slices where these were ranked."""
        from tvm_ops.template import get_schedule

        space = get_schedule(self.task.operator).space(self.task.workload, self.task.target)
        return importance(space, max(self.records, self.slices, key=len))

    def to_json(self) -> dict[str, Any]:
        record, first = self.best, self.records[0].cost
        return {
            "task": self.task.key,
            "trials": len(self.records),
            "failures": self.failures,
            "ms": record.cost * 1e3 if record and record.cost else None,
            "cycles": record.cycles if record else None,
            "mac_per_cycle": self.mac_per_cycle(record),
            "percent_of_peak": self.percent_of_peak(record),
            "percent_of_roofline": self.percent_of_roof(record),
            "fastest_peer": self.peer.peer if self.peer else None,
            "ahead_of_peer": self.ahead_of_peer(record),
            "importance": dict(self.importance),
            "default_ms": first * 1e3 if first else None,
            "gain": self.gain(record),
            "max_error": record.max_error if record else None,
            "best_trial": self.best_trial,
            "knobs": record.knobs if record else None,
        }


def geomean_gain(histories: Sequence[TaskHistory]) -> tuple[float | None, int]:
    """Geometric mean of the gains, and of how many tasks; None where no task has one."""
    gains = [gain for h in histories if (gain := h.gain(h.best))]
    if not gains:
        return None, 0
    return math.exp(statistics.mean(map(math.log, gains))), len(gains)


def read_histories(root: Path, targets: Sequence[str] = ()) -> list[TaskHistory]:
    """The histories in the logs of a folder, of some targets or (none given) of all.

    Ordered by target, board, operator and the operator's list of workloads.
    Raises ``InputError``: no logs, or none of a target; a line (named) that is no sound record.
    """
    logs = _find_logs(root)
    there = sorted({path.parent.name for path in logs}, key=NAMES.index)
    for name in targets:
        if name not in there:
            raise InputError(f"no log of {name} in {root}; there are logs of {', '.join(there)}")
    histories = [
        history
        for path in logs
        if not targets or path.parent.name in targets
        for history in _read_file(path, get_target(path.parent.name))
    ]
    if not histories:
        raise InputError(f"the logs in {root} have no trials; tvm-ops tune makes some")
    return sorted(histories, key=_order)


def board_label(target: Target, board: str) -> str:
    """Where the figures come from, the same on whatever machine the report is made.

    Raises ``InputError`` for an unknown board and for one that cannot run the target.
    """
    if board == "emulated" and target.emulator:  # get_board would look for the emulator itself
        return f"{target.emulator}, no timing"
    label = get_board(board, target).label
    return "the machine that measured, wall clock" if board == "host" else label


def _find_logs(root: Path) -> list[Path]:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of logs")
    logs = sorted(path for path in root.glob("*/*.jsonl") if path.stem != "peers")
    if not logs:
        raise InputError(f"no logs in {root}; tvm-ops tune makes TARGET/OPERATOR.jsonl there")
    for path in logs:
        for kind, name, known in (
            ("target", path.parent.name, NAMES),
            ("operator", path.stem, operator_names()),
        ):
            if name not in known:
                raise InputError(f"{path}: unknown {kind} '{name}'; known: {', '.join(known)}")
    return logs


def _read_file(path: Path, target: Target) -> list[TaskHistory]:
    check = _Checker(path.stem, target)
    histories: dict[tuple[str, str], list[Record]] = {}
    slices: dict[tuple[str, str], list[Record]] = {}  # their times are of less work
    for record, where in read_lines(path):
        if record.imported:  # no trial of ours
            continue
        check(record, where)
        of_task = histories if record.slice is None else slices
        of_task.setdefault((record.task, record.board), []).append(record)
    figures = read_figures(figures_path(path.parents[1], target.name))
    return [
        TaskHistory(
            check.tasks[key],
            board,
            records,
            slices.get((key, board), []),
            _fastest(figures, key) if board == "modelled" else None,
        )
        for (key, board), records in histories.items()
    ]


def _fastest(figures: Sequence[Figure], key: str) -> Figure | None:
    """The fastest library's figure for a task; of several of one version the last counts."""
    last = {figure.identity: figure for figure in figures if figure.task == canonical_key(key)}
    timed = [figure for figure in last.values() if figure.seconds]
    return min(timed, key=lambda figure: figure.seconds or 0.0, default=None)


class _Checker:
    """Checks the records of one log; knows the tasks that it has met."""

    def __init__(self, operator: str, target: Target) -> None:
        self._operator, self._target = operator, target
        self._spaces: dict[str, Space] = {}
        self.tasks: dict[str, Task] = {}

    def __call__(self, record: Record, where: str) -> None:
        if record.target != self._target.name:
            raise InputError(
                f"{where}: target '{record.target}' in the folder of {self._target.name}"
            )
        try:
            self._meet(record)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    def _meet(self, record: Record) -> None:
        board_label(self._target, record.board)
        if record.task not in self.tasks:
            from tvm_ops.template import get_schedule

            task = parse_task(self._operator, record.task, self._target)
            self.tasks[task.key] = task
            self._spaces[task.key] = get_schedule(task.operator).space(task.workload, task.target)
        _check_names(record.knobs, self._spaces[record.task])


def _check_names(knobs: Knobs, space: Space) -> None:
    """Names only: a log stays readable when its template drops an option, unlike for a build."""
    sketch = knobs.get("sketch")
    if not isinstance(sketch, str) or sketch not in space:
        raise InputError(f"unknown sketch {sketch!r}; known: {', '.join(sorted(space))}")
    for name in knobs:
        if name != "sketch" and name not in space[sketch]:
            known = ", ".join(space[sketch])
            raise InputError(f"unknown knob '{name}' of sketch '{sketch}'; known: {known}")


def _order(history: TaskHistory) -> tuple[int, str, str, int, str]:
    task = history.task
    listed = [task_key(task.operator, w) for w in get_operator(task.operator).WORKLOADS]
    place = listed.index(task.key) if task.key in listed else len(listed)
    return NAMES.index(task.target.name), history.board, task.operator, place, task.key
