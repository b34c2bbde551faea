"""Region marks for a Python program on the modelled board.

This file needs nothing but the standard library: put a copy of it on the board's ``PYTHONPATH``.
Marks are a system call that no kernel has, so on a real board they do nothing (ENOSYS).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_SYSTEM_CALL = 7777
_START, _STOP, _FLUSH = 1, 2, 3


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _mark(mark: int, region: int = 0) -> None:
    _libc().syscall(ctypes.c_long(_SYSTEM_CALL), ctypes.c_long(mark), ctypes.c_long(region))


def start() -> None:
    """Starts a region: clears time and counters, keeps what the caches hold.

    Outside of regions nothing is modelled, and caches do not fill. For a warm measurement: start,
    warm up, start again, measure, stop.
    """
    _mark(_START)


def stop(region: int = 0) -> None:
    """Ends the region and reports it under the number ``region``."""
    _mark(_STOP, region)


def flush() -> None:
    """Empties the modelled caches."""
    _mark(_FLUSH)


@contextmanager
def measured(region: int = 0) -> Iterator[None]:
    """The body of the ``with`` statement is a region."""
    start()
    try:
        yield
    finally:
        stop(region)
