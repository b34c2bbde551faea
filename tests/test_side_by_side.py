"""Measurements side by side: all that is done is given out, whatever fails beside it."""

from __future__ import annotations

import threading

import pytest

from tvm_ops.performance.side_by_side import side_by_side


def test_each_result_comes_with_its_item():
    found = list(side_by_side(lambda n: n * n, list(range(20)), 3))
    assert [number for number, _, _ in found] == list(range(1, 21))
    assert sorted((item, result) for _, item, result in found) == [(n, n * n) for n in range(20)]


def test_what_was_done_before_a_failure_is_not_lost():
    """However late the one who asks gets to ask."""
    failed = threading.Event()

    def work(n: int) -> int:
        if n == 5:
            failed.set()
            raise KeyboardInterrupt
        return n

    found = []
    with pytest.raises(KeyboardInterrupt):
        for _, item, _ in side_by_side(work, list(range(9)), 1):
            failed.wait(60)  # by then the others are done, too
            found.append(item)
    assert found[:5] == [0, 1, 2, 3, 4]
