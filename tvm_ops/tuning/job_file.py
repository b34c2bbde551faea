"""Job files: YAML that says what to tune, held against what there is before anything is tuned."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tvm_ops.chooser import LAYOUTS
from tvm_ops.errors import InputError
from tvm_ops.guess import guess
from tvm_ops.networks import NETWORKS
from tvm_ops.operators import operator_names
from tvm_ops.targets import NAMES, Target, get_target
from tvm_ops.task import listed_tasks, parse_task
from tvm_ops.tuning.duration import is_duration
from tvm_ops.tuning.plan import Plan
from tvm_ops.tuning.tuners import TUNERS

DEFAULT_LAYOUT = "nchw4c"
Check = Callable[[Any], bool]


def read_plan(path: Path) -> Plan:
    """The job of a YAML file; docs/tuning.md has one.

    Raises ``InputError`` with the line, and of a task's entry also with its number.
    """
    entries = _mapping(_parse(path), str(path), _JOB)
    plan = Plan(options={key: entries[key] for key in _OPTIONS if key in entries})
    if "logs" in plan.options:
        plan.options["logs"] = path.parent / plan.options["logs"]
    if "budget" in entries:
        plan.options.setdefault("trials", entries["budget"])
    for target in entries["targets"]:
        for number, entry in enumerate(entries["tasks"], 1):
            what = f"tasks, entry {number}: "
            checked = _mapping(entry, str(path), _TASK, what)
            try:
                _add(plan, checked, get_target(target))
            except InputError as error:
                raise InputError(f"{path}:{checked.line}: {what}{error}") from None
    if not plan.tasks:
        raise InputError(f"{path}: no layer has a schedule for its layout")
    return plan


def _parse(path: Path) -> Any:
    where = str(path)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError:
        why = "no UTF-8 text"
    except yaml.MarkedYAMLError as error:
        mark, why = error.problem_mark, error.problem
        where += f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    except yaml.YAMLError as error:
        why = str(error).splitlines()[0]
    raise InputError(f"{where}: {why}; a job file is YAML, docs/tuning.md has one")


class _Entry(dict[str, Any]):
    """A mapping that knows in which line of the file it and its keys are."""

    line: int
    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML's own would take the last."""


def _entry(loader: _Loader, node: Any) -> _Entry:
    lines: dict[str, int] = {}
    for key, _value in node.value:
        name = str(key.value)
        if name in lines:
            problem = f"'{name}' is there twice"
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        lines[name] = key.start_mark.line + 1
    values: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    entry = _Entry(values)
    entry.line, entry.lines = node.start_mark.line + 1, lines
    return entry


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _entry)


def _add(plan: Plan, entry: dict[str, Any], target: Target) -> None:
    weight = float(entry.get("weight", 1))
    if ("network" in entry) == ("operator" in entry):
        raise InputError("either 'operator' or 'network' is needed")
    if "network" in entry:
        if "workloads" in entry:
            raise InputError("'workloads' goes with 'operator', not with 'network'")
        plan.add_network(entry["network"], target, entry.get("layout", DEFAULT_LAYOUT), weight)
        return
    if "layout" in entry:
        raise InputError("'layout' goes with 'network'; a workload's key says its own")
    operator = entry["operator"]
    for task in (
        [parse_task(operator, key, target) for key in entry["workloads"]]
        if "workloads" in entry
        else listed_tasks(operator, target)
    ):
        plan.add(task, weight)


@dataclass(frozen=True)
class _Key:
    """What an entry's value has to be, in words too; ``names``: those that are allowed, if so."""

    check: Check
    words: str
    needed: bool = False
    names: Collection[str] = ()

    def complaint(self, given: Any) -> str:
        """What is wrong with a value, and which was probably meant."""
        wrong = [v for v in (given if isinstance(given, list) else [given]) if v not in self.names]
        meant = guess(str(wrong[0]), self.names) if wrong else ""
        return f"{given!r}{meant or ','} it has to be {self.words}"


def _is_whole(least: int) -> Check:
    return lambda value: type(value) is int and value >= least


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")


def _one_of(names: Collection[str]) -> _Key:
    return _Key(lambda value: value in names, f"one of {', '.join(names)}", names=names)


def _list_of(names: Collection[str] | None, needed: bool = False) -> _Key:
    def check(value: Any) -> bool:
        if not isinstance(value, list) or not value:
            return False
        return all(isinstance(v, str) and (names is None or v in names) for v in value)

    which = f"one or more of {', '.join(names)}" if names else "one or more keys"
    return _Key(check, f"a list of {which}", needed, names or ())


_DURATION = _Key(is_duration, "a duration, as 90s, 30m, 1h30m or 7d")
_TEXT = _Key(lambda value: isinstance(value, str) and bool(value), "a text")
_OPTIONS = {
    "trials": _Key(_is_whole(1), "a whole number from 1 on"),
    "budget": _Key(_is_whole(1), "a whole number from 1 on"),
    "time_limit": _DURATION,
    "early_stop": _Key(_is_whole(1), "a whole number from 1 on"),
    "target_ms": _Key(_is_positive, "a positive number"),
    "tuner": _one_of(TUNERS),
    "transfer": _Key(lambda value: isinstance(value, bool), "true or false"),
    "seed": _Key(_is_whole(0), "a whole number from 0 on"),
    "bound": _Key(lambda value: _is_positive(value) and value < 1, "a number between 0 and 1"),
    "board": _TEXT,
    "timeout": _Key(_is_positive, "a positive number of seconds"),
    "logs": _TEXT,
}
_JOB = {
    "targets": _list_of(NAMES, needed=True),
    "tasks": _Key(lambda v: isinstance(v, list) and bool(v), "a list of entries", needed=True),
    **_OPTIONS,
}
_TASK = {
    "operator": _one_of(operator_names()),
    "workloads": _list_of(None),
    "network": _one_of([*NETWORKS, "all"]),
    "layout": _one_of(list(LAYOUTS)),
    "weight": _Key(_is_positive, "a positive number"),
}


def _mapping(value: Any, path: str, keys: dict[str, _Key], what: str = "") -> _Entry:
    """``value`` if it is a sound entry; ``what`` names it in an ``InputError``."""
    if not isinstance(value, _Entry):
        raise InputError(f"{path}: {what}has to have entries like '{next(iter(keys))}: ...'")
    for key, given in value.items():
        where = f"{path}:{value.lines.get(key, value.line)}: {what}"
        if key not in keys:
            meant = guess(str(key), keys) or f"; known: {', '.join(keys)}"
            raise InputError(f"{where}unknown key '{key}'{meant}")
        if not keys[key].check(given):
            raise InputError(f"{where}{key} is {keys[key].complaint(given)}")
    for key, kind in keys.items():
        if kind.needed and key not in value:
            raise InputError(f"{path}:{value.line}: {what}'{key}' is missing: {kind.words}")
    return value
