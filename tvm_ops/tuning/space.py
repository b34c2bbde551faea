"""A template's space of knobs: its type, and what is held against it."""

from __future__ import annotations

import json
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.task import Knobs

Space = dict[str, dict[str, list[Any]]]
"""For each sketch its knobs, for each knob its options."""


def knobs_id(knobs: Knobs) -> str:
    """Two candidates are the same where this text is."""
    return json.dumps(knobs, sort_keys=True, separators=(",", ":"))


def check_knobs(space: Space, knobs: Knobs, where: str) -> None:
    """Raises ``InputError`` where knobs are not of the space: unknown or missing names, values."""
    sketch = knobs.get("sketch")
    if sketch not in space:
        raise InputError(f"{where}: unknown sketch '{sketch}'; known: {', '.join(sorted(space))}")
    for name in knobs:
        if name != "sketch" and name not in space[sketch]:
            known = ", ".join(space[sketch])
            raise InputError(f"{where}: unknown knob '{name}' of sketch '{sketch}'; known: {known}")
    for name, options in space[sketch].items():
        if name not in knobs:
            raise InputError(f"{where}: knob '{name}' is missing")
        if knobs[name] not in options:
            raise InputError(f"{where}: knob '{name}' is {knobs[name]!r}, allowed: {options}")
