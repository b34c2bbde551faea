"""Durations as people write them: ``90s``, ``30m``, ``1h30m``, ``7d``."""

from __future__ import annotations

import re
from typing import Any

from tvm_ops.errors import InputError

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_WHOLE = re.compile("".join(f"(?:([0-9]+){unit})?" for unit in _UNITS))


def seconds(text: Any) -> float:
    """Of a duration, longest unit first; raises ``InputError``."""
    match = _WHOLE.fullmatch(text) if isinstance(text, str) else None
    numbers = match.groups(0) if match else ()
    total = sum(int(n) * unit for n, unit in zip(numbers, _UNITS.values(), strict=False))
    if not total:
        raise InputError(f"'{text}' is no duration, as 90s, 30m, 1h30m or 7d")
    return float(total)


def is_duration(value: Any) -> bool:
    """Whether ``seconds`` takes it."""
    try:
        return seconds(value) > 0
    except InputError:
        return False
