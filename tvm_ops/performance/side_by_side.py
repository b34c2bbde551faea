"""Several measurements at a time, that can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
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
        number, running = 0, set(futures)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            # What failed comes last, and else the earlier first: all that is done is given out.
            in_order = [future for future in futures if future in done]
            for future in sorted(in_order, key=lambda f: f.exception() is not None):
                number += 1
                yield number, futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)
