"""Which of a job's tasks gets the next batch: the one whose network gains most by it."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_ops.tuning.progress import Progress

_FIRST = 2  # batches for every task before they compete: the known candidates and one of the search
_PRIOR = 0.1  # a search's n-th batch gains about this over n, when nothing is known of it
_RECENT = 2  # batches whose gain says what the next one's will be


class Gains:
    """What the batches of one task have gained; ``weight`` is what a second of a trial counts."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._costs: list[float | None] = []

    def add(self, progress: Progress) -> None:
        """A batch has ended."""
        self._costs.append(progress.best.cost if progress.best else None)

    def expected(self) -> float:
        """Seconds that the next batch may save, times the weight.

        The mean of what the last batches saved and of what a search saves after so many; 0 where
        nothing works yet, infinite before there is anything to judge by.
        """
        if len(self._costs) < _FIRST:
            return float("inf")
        cost = self._costs[-1]
        if cost is None:
            return 0.0
        last = self._costs[-_RECENT - 1 :]
        earlier = next((c for c in last if c is not None), cost)
        recent = (1 - cost / earlier) / _RECENT
        return self._weight * cost * (recent + _PRIOR / len(self._costs)) / 2


def most_promising(gains: Sequence[Gains]) -> int:
    """The place of the task to be tried next; of equal ones the first."""
    expected = [task.expected() for task in gains]
    return expected.index(max(expected))
