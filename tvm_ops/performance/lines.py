"""Files of one JSON object a line, each of a dataclass; appended, never rewritten."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from tvm_ops.errors import InputError

T = TypeVar("T")


def read_lines(path: Path, kind: type[T]) -> list[T]:
    """All in order; an absent file has none. Raises ``InputError`` with file and line."""
    if not path.exists():
        return []
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            values: Any = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: no JSON ({error.msg})") from None
        if not isinstance(values, dict) or set(values) != names:
            raise InputError(f"{path}:{number}: not an object with {', '.join(sorted(names))}")
        found.append(kind(**values))
    return found


def append_line(path: Path, entry: Any) -> None:
    """One write of one whole line, so that a job can be stopped at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(entry), allow_nan=False) + "\n")
