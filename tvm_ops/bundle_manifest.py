"""The manifest of a bundle of any origin: what has to be in it before anything is done with it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tvm_ops.errors import InputError

FORMAT = 2
MANIFEST = "manifest.json"
MAX_TOTAL = 2 << 30
"""Bytes of all files together."""
_NUMBER = (int, float)


def parse_manifest(text: bytes) -> dict[str, Any]:
    """The manifest, with every field that this package reads there and of its type.

    Raises ``InputError`` for anything else, and for another format's manifest.
    """
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{MANIFEST} is no JSON ({error})") from None
    if not isinstance(manifest, dict):
        raise InputError(f"{MANIFEST} has to be a JSON object")
    if manifest.get("format") != FORMAT:
        found = manifest.get("format")
        raise InputError(f"format {found!r} is unknown; this version reads format {FORMAT}")
    name = manifest.get("name")
    _require(isinstance(name, str) and name.isidentifier(), "'name' has to be a C identifier")
    target = manifest.get("target")
    _require(_has(target, name=str, isa=str), "'target' has to be an object with name and isa")
    _check_files(manifest.get("files"))
    _check_tasks(manifest.get("tasks"), listed_files(manifest))
    return manifest


def listed_files(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Path to its entry (path, size, sha256)."""
    return {entry["path"]: entry for entry in manifest["files"]}


def _check_files(files: Any) -> None:
    _require(isinstance(files, list), "'files' has to be a list")
    for entry in files:
        fits = _has(entry, path=str, size=int, sha256=str) and entry["size"] >= 0
        fits = fits and re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]) is not None
        _require(fits, "each of 'files' has to have path, size and sha256")
    paths = [entry["path"] for entry in files]
    _require(len(set(paths)) == len(paths), "a path is there twice")
    total = sum(entry["size"] for entry in files)
    _require(total <= MAX_TOTAL, f"{total} bytes in all are more than {MAX_TOTAL}")


def _check_tasks(tasks: Any, files: Mapping[str, Any]) -> None:
    _require(isinstance(tasks, list) and len(tasks) > 0, "'tasks' has to be a list, not empty")
    for task in tasks:
        fits = _has(task, key=str, operator=str, symbol=str, knobs=dict, arguments=list)
        fits = fits and _has(task, macs=_NUMBER) and math.isfinite(task["macs"])
        fits = fits and len(task["arguments"]) > 0 and all(map(_is_argument, task["arguments"]))
        fields = "key, operator, symbol, macs, knobs and arguments"
        _require(fits, f"each of 'tasks' has to have {fields}")
        for argument in task["arguments"]:
            if "file" in argument:
                listed = isinstance(argument["file"], str) and argument["file"] in files
                _require(listed, f"the file of '{argument['name']}' has to be one of 'files'")


def _is_argument(value: Any) -> bool:
    return _has(value, name=str, dtype=str, shape=list) and all(
        type(size) is int and size > 0 for size in value["shape"]
    )


def _has(value: Any, **fields: type | tuple[type, ...]) -> bool:
    """Whether it is an object with these fields of these types."""
    return isinstance(value, dict) and all(
        isinstance(value.get(name), kind) and not isinstance(value.get(name), bool)
        for name, kind in fields.items()
    )


def _require(fits: bool, why: str) -> None:
    if not fits:
        raise InputError(f"{MANIFEST}: {why}")
