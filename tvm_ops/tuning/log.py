"""The tuning log of a target and an operator: one JSON object a line, appended, never rewritten."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Any

from tvm_ops.boards.address import is_address
from tvm_ops.errors import InputError
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning.log_file import append_lines, numbered_lines
from tvm_ops.tuning.space import check_knobs

ROOT = Path(__file__).resolve().parents[2] / "tuning_logs"
IMPORTED = "autotvm:"  # begins the board of a record from AutoTVM's log, before its board's model


@dataclass(frozen=True)
class Record:
    """One trial.

    ``seconds`` has every sample, empty where the trial failed; ``cycles`` is None on a board that
    does not count them. ``max_error`` is the largest difference to the float64 reference over the
    largest output, None where no output was compared; ``checked`` says that it was in bounds.
    ``slice`` is the number of output rows that were computed, None for all of them; it is not
    comparable with others, and lines from before there were slices do not have it.

    An ``imported`` record has the seconds of another board, by AutoTVM: never checked, so that it
    has no ``cost`` and is never the best; ``nearest.py`` says what it is good for.
    """

    task: str
    target: str
    knobs: Knobs
    seconds: list[float]
    cycles: int | None
    board: str
    error: str | None
    checked: bool
    max_error: float | None
    tvm: str
    time: str
    slice: int | None = None

    @property
    def cost(self) -> float | None:
        """Median seconds of a trial that may be chosen; None for any other."""
        usable = self.checked and not self.error and self.seconds
        return statistics.median(self.seconds) if usable else None

    @property
    def imported(self) -> bool:
        return self.board.startswith(IMPORTED)

    def to_line(self) -> str:
        return json.dumps(asdict(self), allow_nan=False) + "\n"


def new_record(
    task: Task,
    knobs: Knobs,
    board: str,
    *,
    seconds: list[float] | None = None,
    cycles: int | None = None,
    error: str | None = None,
    max_error: float | None = None,
    slice: int | None = None,
) -> Record:
    """A record of now; it counts as checked where a result was compared and no error is given."""
    return Record(
        task=task.key,
        target=task.target.name,
        knobs=knobs,
        seconds=seconds or [],
        cycles=cycles,
        board=board,
        error=error,
        checked=error is None and max_error is not None,
        max_error=max_error,
        tvm=version("apache-tvm"),
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        slice=slice,
    )


def log_path(root: Path, target: str, operator: str) -> Path:
    """``ROOT/TARGET/OPERATOR.jsonl``."""
    return root / target / f"{operator}.jsonl"


def parse_line(line: str, where: str) -> Record:
    """The record of one line; raises ``InputError`` that names ``where``."""
    try:
        values: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: no JSON ({error.msg} at column {error.colno}); mend or delete the line"
        ) from None
    names = [f.name for f in fields(Record)]
    if not isinstance(values, dict):
        raise InputError(f"{where}: a record is an object with {', '.join(names)}")
    unknown = sorted(set(values) - set(names))
    missing = sorted(set(names) - set(values) - {"slice"})
    if unknown or missing:
        parts = [f"unknown field '{n}'" for n in unknown] + [f"no field '{n}'" for n in missing]
        raise InputError(f"{where}: {', '.join(parts)}")
    for name, (is_fine, words) in _FIELDS.items():
        if not is_fine(values.get(name)):
            raise InputError(f"{where}: {name} must be {words}")
    return Record(**values)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # to Python, true is a number


_STRING = (lambda value: isinstance(value, str), "a string")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "task": _STRING,
    "target": _STRING,
    "knobs": (lambda value: isinstance(value, dict), "an object"),
    "seconds": (
        lambda value: isinstance(value, list) and all(_is_number(s) and s > 0 for s in value),
        "a list of positive numbers",
    ),
    "cycles": (lambda value: value is None or type(value) is int, "a whole number or null"),
    "board": _STRING,
    "error": (lambda value: value is None or isinstance(value, str), "a string or null"),
    "checked": (lambda value: isinstance(value, bool), "true or false"),
    "max_error": (lambda value: value is None or _is_number(value), "a number or null"),
    "tvm": _STRING,
    "time": _STRING,
    "slice": (
        lambda value: value is None or (type(value) is int and value > 0),
        "a positive whole number or null",
    ),
}


def read_log(path: Path) -> list[Record]:
    """All records, in order; an absent file has none. Raises ``InputError`` with file and line."""
    return [record for record, _where in read_lines(path)]


def read_lines(path: Path) -> Iterator[tuple[Record, str]]:
    """Each record and its place, ``FILE:LINE``; raises ``InputError`` with it."""
    for line, where in numbered_lines(path):
        yield parse_line(line, where), where


def read_task(path: Path, task: Task) -> list[Record]:
    """The records of one task, their knobs held against its template's space."""
    from tvm_ops.template import get_schedule

    space = get_schedule(task.operator).space(task.workload, task.target)
    records = []
    for record, where in read_lines(path):
        if record.task == task.key and record.target == task.target.name:
            check_knobs(space, record.knobs, where)
            records.append(record)
    return records


def before_own(records: Iterable[Record], task: str) -> Iterator[Record]:
    """The records up to the first trial of that task's key: what its tuning began with.

    Imported records are no trials.
    """
    return takewhile(lambda record: record.task != task or record.imported, records)


def append(path: Path, records: Iterable[Record]) -> None:
    """Each record is one whole line; see ``log_file.py`` for what a full disk or a kill does."""
    append_lines(path, [record.to_line() for record in records])


def best(records: Iterable[Record], rows: int | None = None) -> Record | None:
    """The lowest median among checked trials of the whole workload, or of slices of ``rows`` rows.

    The earlier of two equal ones. Where a real board has measured, over ssh or RPC, only its times
    count: a session there begins with the best that the model knows.
    """
    usable = [r for r in records if r.cost is not None and r.slice == rows]
    real = [r for r in usable if is_address(r.board)]
    return min(real or usable, key=lambda r: r.cost or 0.0, default=None)
