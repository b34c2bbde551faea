"""From AutoTVM's log to ours: records of a board that is not here, as candidates to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from tvm_ops.autotvm.boards import model_of, target_of
from tvm_ops.autotvm.lines import Line, parse_line
from tvm_ops.autotvm.templates import from_autotvm
from tvm_ops.errors import InputError
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning.log import IMPORTED, Record, append, log_path, read_log
from tvm_ops.tuning.log_file import sync


@dataclass
class Imported:
    """What became of a file's lines: ``new`` and ``known`` records by log, and why not others."""

    new: dict[Path, list[Record]] = field(default_factory=dict)
    known: dict[Path, list[Record]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    """One line each, ``FILE:LINE: why``."""


Places = Iterable[tuple[str, str]]
"""Lines and their places."""


def import_log(
    path: Path,
    logs: Path,
    target: Target | None = None,
    shown: Callable[[Sequence[tuple[str, str]]], Places] = lambda lines: lines,
) -> Imported:
    """Append the records of AutoTVM's log ``path`` to those under ``logs``, but what these have.

    ``target``: for which they are candidates; None: each for the board of ours that its model
    names. A line that does not map is refused, with why, and the others are read. ``shown`` gives
    the lines back one by one, to show how far it is. Raises ``InputError`` for a file that is no
    text, or one of our logs that cannot be read.
    """
    result = Imported()
    of_log: dict[Path, list[Record]] = {}
    for line, where in shown(read_lines(path)):
        try:
            record, operator = _record(*read_configuration(line, where, target))
        except InputError as error:
            result.refused.append(str(error))
            continue
        of_log.setdefault(log_path(logs, record.target, operator), []).append(record)
    for log, records in of_log.items():
        have = {_identity(record) for record in read_log(log) if record.imported}
        for record in records:
            name = _identity(record)
            (result.known if name in have else result.new).setdefault(log, []).append(record)
            have.add(name)
        append(log, result.new.get(log, []))
        sync(log)
    return result


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Each line and its place; without empty ones and comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text ({error.reason} at byte {error.start})") from None
    found = [(line.strip(), f"{path}:{number}") for number, line in enumerate(lines, 1)]
    return [(line, where) for line, where in found if line and not line.startswith("#")]


def read_configuration(text: str, where: str, target: Target | None) -> tuple[Line, Task, Knobs]:
    """A line, and the task and knobs that it stands for; raises ``InputError`` with its place."""
    line = parse_line(text, where)
    try:
        chosen = target or target_of(line.target)
        task, knobs = from_autotvm(line.template, line.key, line.args, line.entity, chosen)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return line, task, knobs


def _record(line: Line, task: Task, knobs: Knobs) -> tuple[Record, str]:
    time = datetime.fromtimestamp(line.time, timezone.utc).isoformat(timespec="seconds")
    record = Record(
        task=task.key,
        target=task.target.name,
        knobs=knobs,
        seconds=line.seconds,
        cycles=None,
        board=IMPORTED + model_of(line.target),
        error=line.error and f"autotvm: {line.error}",
        checked=False,
        max_error=None,
        tvm=line.tvm,
        time=time,
    )
    return record, task.operator


def _identity(record: Record) -> str:
    return record.to_line()
