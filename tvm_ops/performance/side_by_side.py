"""Several measurements at a time, that can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    work: Callable[[T], R], items: Sequence[T], jobs: int
) -> Iterator[tuple[int, T, R]]:
    """Number from 1, item and result of each as it is done; what has not begun is left if stopped.

    The work is in programs of their own, so threads are enough.
    """
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(work, item): item for item in items}
        for number, future in enumerate(as_completed(futures), 1):
            yield number, futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)
