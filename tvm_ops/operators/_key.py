"""Reading a workload's key: fields such as ``ci64`` and words such as ``bipolar``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tvm_ops.errors import InputError

Pair = tuple[int, int]


def check_dtype(text: str, dtype: str, known: Iterable[str]) -> None:
    """Raises ``InputError`` for a type that the workload of the key does not have."""
    allowed = list(known)
    if dtype not in allowed:
        raise InputError(f"workload '{text}': type '{dtype}' is none of {', '.join(allowed)}")


def parse_fields(
    text: str,
    what: str,
    numbers: Mapping[str, str],
    pairs: Mapping[str, str] | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """The values of a key's fields, which are joined by ``_`` in any order.

    ``numbers`` and ``pairs`` map what stands before the digits to the field's name: ``ci64`` gives
    an int, ``k3`` or ``k3x1`` a pair. ``words`` maps a field's name to its values. Raises
    ``InputError`` for anything else, and for what is there twice; ``what`` says of what the key is.
    """
    values: dict[str, Any] = {}
    for token in text.split("_"):
        found = _field(token, numbers, pairs or {}, words or {})
        if found is None:
            raise InputError(f"workload '{text}': '{token}' is no field of {what}'s key")
        name, value = found
        if name in values:
            raise InputError(f"workload '{text}': '{name}' is given twice")
        values[name] = value
    return values


def require_fields(text: str, values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raises ``InputError`` that names the fields that are missing."""
    missing = [name for name in names if name not in values]
    if missing:
        raise InputError(f"workload '{text}': {', '.join(missing)} missing")


def pair(value: Pair) -> str:
    """``3`` of (3, 3), ``3x1`` of (3, 1)."""
    return str(value[0]) if value[0] == value[1] else f"{value[0]}x{value[1]}"


def _field(
    token: str,
    numbers: Mapping[str, str],
    pairs: Mapping[str, str],
    words: Mapping[str, Sequence[str]],
) -> tuple[str, int | Pair | str] | None:
    for name, options in words.items():
        if token in options:
            return name, token
    match = re.fullmatch(r"([a-z]+)(\d{1,9})(?:x(\d{1,9}))?", token)
    if match and match[1] in pairs:
        return pairs[match[1]], (int(match[2]), int(match[3] or match[2]))
    if match and match[1] in numbers and not match[3]:
        return numbers[match[1]], int(match[2])
    return None
