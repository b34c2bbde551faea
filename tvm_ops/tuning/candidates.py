"""Draws candidates of a space: any, the least like what is known, and changes of good ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from tvm_ops.task import Knobs
from tvm_ops.tuning.space import Space, knobs_id

TRIES = 6  # draws for each candidate that is wanted, before a space counts as used up
CHOICE = 24  # candidates of which the one least like the others is taken


class Candidates:
    """Legal knobs that were not ``taken`` yet; the same seed and calls give the same ones."""

    def __init__(self, space: Space, legal: Callable[[Knobs], bool], seed: int) -> None:
        self._space, self._legal = space, legal
        self.random = random.Random(seed)
        self._taken: set[str] = set()
        self._several = {
            sketch: [name for name, options in knobs.items() if len(options) > 1]
            for sketch, knobs in space.items()
        }

    def take(self, knobs: Knobs) -> None:
        """Never to be drawn again."""
        self._taken.add(knobs_id(knobs))

    def anew(self, sketch: str, count: int, found: dict[str, Knobs]) -> None:
        """Add up to ``count`` of a sketch, each option as likely as the others."""
        self._add(lambda: self._draw(sketch), count, found)

    def changed(self, parents: Sequence[Knobs], count: int, found: dict[str, Knobs]) -> None:
        """Add up to ``count`` with knobs of two parents of one sketch, one or two of them changed.

        Every other one has one parent only.
        """
        if parents:
            self._add(lambda: self._child(parents), count, found)

    def unlike(
        self, sketch: str, known: Iterable[Knobs], guess: Callable[[Knobs], float]
    ) -> Knobs | None:
        """One of a sketch that differs in many knobs from each known; None without a new one.

        Of those that are drawn, the third is considered whose ``guess`` of a score is best.
        """
        found: dict[str, Knobs] = {}
        self.anew(sketch, CHOICE, found)
        others = [knobs for knobs in known if knobs["sketch"] == sketch]
        names = self._several[sketch]

        def distance(knobs: Knobs) -> int:
            return min((sum(knobs[n] != o[n] for n in names) for o in others), default=0)

        if not found:
            return None
        guesses = {name: guess(knobs) for name, knobs in found.items()}
        least = sorted(guesses.values(), reverse=True)[: -(-len(guesses) // 3)]
        likely = [knobs for name, knobs in found.items() if guesses[name] >= least[-1]]
        return max(likely, key=distance)

    def _add(self, draw: Callable[[], Knobs], count: int, found: dict[str, Knobs]) -> None:
        wanted = len(found) + count
        for _ in range(count * TRIES):
            if len(found) >= wanted:
                return
            knobs = draw()
            name = knobs_id(knobs)
            if name not in self._taken and name not in found and self._legal(knobs):
                found[name] = knobs

    def _draw(self, sketch: str) -> Knobs:
        options = self._space[sketch]
        return {"sketch": sketch} | {n: self.random.choice(o) for n, o in options.items()}

    def _child(self, parents: Sequence[Knobs]) -> Knobs:
        child = dict(self.random.choice(parents))
        if self.random.random() < 0.5:
            other = self.random.choice(parents)
            child = {name: self.random.choice((child, other))[name] for name in child}
        names, options = self._several[child["sketch"]], self._space[child["sketch"]]
        for name in self.random.sample(names, min(len(names), self.random.choice((1, 1, 2)))):
            child[name] = self.random.choice([v for v in options[name] if v != child[name]])
        return child
