"""A line of AutoTVM's log: one measurement as JSON, versions 0.1 and 0.2.

0.2: ``input`` = target, template, arguments, keyword arguments; ``config`` = index, code_hash,
entity; ``result`` = seconds, error number, cost of measuring, time. 0.1 has these in ``i`` (with a
workload and the config at its end) and ``r``; its config's names have one letter, with ``t``, the
template's key. The entity is a list of knobs: name, kind (sp split, re reorder, an annotate, ot
other), value.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from tvm_ops.errors import InputError

ERRORS = {
    1: "instantiation",
    2: "compile host",
    3: "compile device",
    4: "runtime device",
    5: "wrong answer",
    6: "build timeout",
    7: "run timeout",
    8: "unknown",
}
"""What AutoTVM's error numbers mean; 0 is none."""


@dataclass(frozen=True)
class Line:
    """One measurement; ``entity``: name -> (kind, value); ``seconds`` is empty where it failed.

    ``key`` is what version 0.1 calls a template's key (direct, winograd), empty in 0.2. ``time`` is
    in seconds since 1970.
    """

    target: str
    template: str
    key: str
    args: list[Any]
    entity: dict[str, tuple[str, Any]]
    seconds: list[float]
    error: str | None
    time: float
    tvm: str
    index: int = -1

    def to_text(self) -> str:
        """The line in version 0.2, as AutoTVM writes it, with its end."""
        number = next((n for n, name in ERRORS.items() if name == self.error), 8)
        result = [self.seconds or [1e9], number if self.error else 0, 0.0, self.time]
        config = {
            "index": self.index,
            "code_hash": None,
            "entity": [[name, kind, value] for name, (kind, value) in self.entity.items()],
        }
        row = {
            "input": [self.target, self.template, self.args, {}],
            "config": config,
            "result": result,
            "version": 0.2,
            "tvm_version": self.tvm,
        }
        return json.dumps(row, allow_nan=False) + "\n"


def parse_line(text: str, where: str) -> Line:
    """Raises ``InputError``, beginning with ``where``: no JSON, another version, a missing part."""
    try:
        row: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: no JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise InputError(f"{where}: no JSON (nested too deeply)") from None
    try:
        return _line(row)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except KeyError as error:
        raise InputError(f"{where}: no AutoTVM record: it has no {error}") from None
    except (IndexError, TypeError, ValueError, OverflowError):
        raise InputError(
            f"{where}: no AutoTVM record, a part is missing or of another kind"
        ) from None


def _line(row: Any) -> Line:
    if not isinstance(row, dict):
        raise InputError("no AutoTVM record, which is an object")
    version = row.get("version", row.get("v"))
    if version == 0.2:
        target, template, args, _keywords = row["input"]
        config, key, result = row["config"], "", row["result"]
        entity, index = config["entity"], config["index"]
    elif version == 0.1:
        target, template, args = row["i"][:3]
        config, result = row["c"] if "c" in row else row["i"][5], row["r"]
        entity, index, key = config["e"], config["i"], config.get("t") or ""
    else:
        raise InputError(f"AutoTVM's version {version!r} is unknown; 0.1 and 0.2 are read")
    seconds, number, _cost, time = result
    if not (isinstance(target, str) and isinstance(template, str) and isinstance(args, list)):
        raise TypeError
    error = None if number == 0 else ERRORS.get(int(number), f"number {int(number)}")
    return Line(
        target, template, str(key), args,
        {str(name): (str(kind), value) for name, kind, value in entity},
        [] if error else [_positive(value) for value in seconds],
        error, _positive(time), str(row.get("tvm_version", "unknown")),
        int(-1 if index is None else index),
    )  # fmt: skip


def _positive(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value <= 0:
        raise InputError(f"{value!r} is no positive number of seconds")
    return float(value)
