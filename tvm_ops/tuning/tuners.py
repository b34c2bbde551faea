"""What proposes candidates, by the name of ``--tuner``; and the plain ones that need no model."""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from tvm_ops.task import Knobs
from tvm_ops.tuning.space import Space, knobs_id

Legal = Callable[[Knobs], bool]
Known = Sequence[tuple[Knobs, float | None]]
"""Knobs and their cost, None where they failed."""

TUNERS = ("xgb", "evolutionary", "random", "grid")
"""``xgb``: evolution guided by a cost model (``search.py``); ``evolutionary``: without a model;
``random``: any sketch, any options; ``grid``: all in order."""

_DRAWS = 20_000  # without anything new before a space counts as exhausted: about a second


class Search(Protocol):
    """Proposes batches of legal knobs, none twice, and is told what became of them."""

    def propose(self) -> list[Knobs]:
        """The next batch; empty where nothing new is found.

        The costs of the one before may still be on their way.
        """

    def report(self, costs: Sequence[float | None]) -> None:
        """Costs of the oldest proposal that has none, in its order; None for one that failed."""

    def learn(self, known: Known) -> None:
        """Costs of knobs that were not proposed."""


class _Plain(ABC):
    """What the searches without a model share: seeded draws, and what was proposed."""

    def __init__(self, space: Space, legal: Legal, seed: int, batch: int) -> None:
        self._space, self._legal, self._batch = space, legal, batch
        self._random = random.Random(seed)
        self._seen: set[str] = set()
        self._proposed: deque[list[Knobs]] = deque()

    def propose(self) -> list[Knobs]:
        batch = list(itertools.islice(self._new(), self._batch))
        if batch:
            self._proposed.append(batch)
        return batch

    def report(self, costs: Sequence[float | None]) -> None:
        self._told(list(zip(self._proposed.popleft(), costs, strict=True)))

    def learn(self, known: Known) -> None:
        self._seen |= {knobs_id(knobs) for knobs, _cost in known}
        self._told(known)

    @abstractmethod
    def _candidates(self) -> Iterator[Knobs]:
        """Candidates in the order in which they are to be proposed, legal or not, new or not."""

    def _told(self, known: Known) -> None:  # noqa: B027  most of them learn nothing
        """Costs have come."""

    def _new(self) -> Iterator[Knobs]:
        for knobs in self._candidates():
            if knobs_id(knobs) not in self._seen and self._legal(knobs):
                self._seen.add(knobs_id(knobs))
                yield knobs

    def _draw(self) -> Knobs:
        sketch = self._random.choice(sorted(self._space))
        options = self._space[sketch]
        return {"sketch": sketch} | {n: self._random.choice(o) for n, o in options.items()}


class RandomSearch(_Plain):
    """Each sketch as likely as the others, and each option of its knobs."""

    def _candidates(self) -> Iterator[Knobs]:
        return (self._draw() for _ in range(_DRAWS))


class GridSearch(_Plain):
    """All candidates, sketch by sketch, the last knob changing first."""

    def __init__(self, space: Space, legal: Legal, seed: int, batch: int) -> None:
        super().__init__(space, legal, seed, batch)
        self._all = (
            {"sketch": sketch} | dict(zip(knobs, values, strict=True))
            for sketch, knobs in sorted(space.items())
            for values in itertools.product(*knobs.values())
        )

    def _candidates(self) -> Iterator[Knobs]:
        return self._all


class EvolutionarySearch(_Plain):
    """Children of the best so far: knobs from either parent, one or two of them changed.

    Parents win a tournament of three among the best 32; a tenth of the children is drawn anew.
    """

    POPULATION, TOURNAMENT, NEW = 32, 3, 0.1

    def __init__(self, space: Space, legal: Legal, seed: int, batch: int) -> None:
        super().__init__(space, legal, seed, batch)
        self._best: list[tuple[float, Knobs]] = []

    def _told(self, known: Known) -> None:
        self._best += [(cost, knobs) for knobs, cost in known if cost]
        self._best = sorted(self._best, key=lambda entry: entry[0])[: self.POPULATION]

    def _candidates(self) -> Iterator[Knobs]:
        for _ in range(_DRAWS):
            anew = not self._best or self._random.random() < self.NEW
            yield self._draw() if anew else self._child()

    def _child(self) -> Knobs:
        mother, father = self._parent(), self._parent()
        options = self._space[mother["sketch"]]
        if father["sketch"] != mother["sketch"]:
            father = mother
        child: Knobs = {"sketch": mother["sketch"]}
        child |= {name: self._random.choice([mother, father])[name] for name in options}
        several = [name for name, values in options.items() if len(values) > 1]
        for name in self._random.sample(several, min(len(several), self._random.randint(1, 2))):
            child[name] = self._random.choice([v for v in options[name] if v != child[name]])
        return child

    def _parent(self) -> Knobs:
        drawn = self._random.choices(self._best, k=self.TOURNAMENT)
        return min(drawn, key=lambda entry: entry[0])[1]


PLAIN: dict[str, type[_Plain]] = {
    "evolutionary": EvolutionarySearch,
    "random": RandomSearch,
    "grid": GridSearch,
}
