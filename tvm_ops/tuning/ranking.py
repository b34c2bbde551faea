"""New candidates of one sketch: what the cost model hopes of each, and which is worth a trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tvm_ops.task import Knobs

Columns = NDArray[np.float32]

NOVELTY = 0.4  # times what a sketch's scores differ by: so much better may be what is new in it
SAME = 2e-3  # scores so near are taken for the same: one has its turn, the rest after all others
_LAST = 1e3  # behind all others


class Ranking:
    """Ranks candidates by the model's hopes, and by how unlike their features are to tried ones'.

    Trees are as sure of what is far from all trials as of what is near one: without novelty, 14 of
    32 trials of a sketch went to two tiles that it had. ``tried``: features [n, columns] of its
    candidates that were proposed, None without any; a template without features has no columns.
    ``spread``: the standard deviation of its scores.
    """

    def __init__(self, tried: Columns | None, spread: float) -> None:
        self._tried, self._novelty = tried, NOVELTY * spread
        self._knobs: list[Knobs] = []
        self._features: Columns | None = None
        self._hopes = np.zeros(0)
        self._alike = np.zeros(0)

    def __len__(self) -> int:
        return len(self._knobs)

    def add(self, knobs: Sequence[Knobs], features: Columns, hopes: NDArray[np.float64]) -> None:
        """Candidates, their features [n, columns], and the scores [n] that they may have."""
        self._knobs += knobs
        own = [] if self._features is None else [self._features]
        alike = np.zeros(len(knobs)) if self._tried is None else _alike(features, self._tried)
        self._features = np.concatenate([*own, features])
        self._hopes = np.concatenate([self._hopes, hopes])
        self._alike = np.concatenate([self._alike, alike])

    def best(self, count: int) -> list[Knobs]:
        """Those that come first."""
        return [self._knobs[i] for i in np.argsort(-self._worth(), kind="stable")[:count]]

    def top(self) -> float:
        """What the first one may score."""
        return float(self._worth().max())

    def pop(self) -> Knobs:
        """Take the first one; those like it come later."""
        first = int(self._worth().argmax())
        assert self._features is not None
        self._alike += _alike(self._features, self._features[first : first + 1])
        self._hopes[np.abs(self._hopes - self._hopes[first]) <= SAME] -= _LAST
        self._features = np.delete(self._features, first, 0)
        self._hopes, self._alike = np.delete(self._hopes, first), np.delete(self._alike, first)
        return self._knobs.pop(first)

    def _worth(self) -> NDArray[np.float64]:
        return np.asarray(self._hopes + self._novelty / np.sqrt(1 + self._alike))


def _alike(some: Columns, others: Columns) -> NDArray[np.float64]:
    """Of how many others each of some is like: 1 of each that is equal, 0.6 where 1 apart."""
    squares = (some**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * some @ others.T
    return np.asarray(np.exp(-np.maximum(squares, 0.0) / 2).sum(1), np.float64)
