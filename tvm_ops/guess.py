"""The name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def guess(name: str, known: Iterable[str]) -> str:
    """``, did you mean 'X'?`` for the known name that is most alike; empty where none is."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f", did you mean '{close[0]}'?" if close else ""
