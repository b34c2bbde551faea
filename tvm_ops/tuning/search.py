"""The search over named knobs: evolution by an XGBoost model, with a share for each sketch.

Templates' choices change the module, so it is knobs that evolve here, not schedules; no template
runs in this process. MetaSchedule's ``EvolutionarySearch``, which did this before, kept to the
sketch that led early, and took many of a batch that differed in nothing that the model knows of.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from tvm_ops.task import Knobs
from tvm_ops.tuning.candidates import Candidates
from tvm_ops.tuning.cost_model import CostModel, scores
from tvm_ops.tuning.features import RowMaker
from tvm_ops.tuning.ranking import Ranking
from tvm_ops.tuning.space import Space
from tvm_ops.tuning.transfer import Group
from tvm_ops.tuning.tuners import Known

WARMUP_TRIALS = 16  # measured before the cost model is trusted; all sketches get as many
ANEW = 800  # draws of each sketch: in some one of 50 is good
CHANGED = 128  # changes of the best ones of each sketch
PARENTS = 8  # measured ones
GENERATIONS = 2  # of children of the 32 that the model likes best
SHARE = 0.1  # a sketch whose best is behind by so much, as a logarithm, gets 1/e of the best's
LEAST_SHARE = 0.4  # of the largest: a sketch that starts badly may have the best of all
SPREAD = 0.5  # of the scores of a sketch that has few: that of the worst one
STALE = 8  # trials of a sketch without a gain of ``GAIN`` halve its share; they double novelty
GAIN = 0.005
NEW = 0.1  # of the candidates are chosen for being unlike all others


class KnobSearch:
    """Proposes batches of legal knobs and learns from their costs.

    The same seed and costs give the same proposals. ``space`` is a template's ``space(...)``;
    ``legal`` refuses combinations before they are proposed. ``transfer`` is what the cost model
    starts from: costs of other tasks' candidates; ``rows`` makes what the model sees of one.
    """

    def __init__(
        self,
        space: Space,
        legal: Callable[[Knobs], bool],
        seed: int,
        batch: int,
        *,
        rows: RowMaker | None = None,
        transfer: Sequence[Group] = (),
    ) -> None:
        self._batch, self._rows = batch, rows or RowMaker(space)
        self._transfer = [(group.rows, scores(list(group.costs))) for group in transfer]
        self._candidates = Candidates(space, legal, seed)
        self._random = self._candidates.random
        self._sketches = sorted(space)
        self._turn = self._random.randrange(len(space))
        self._known: list[tuple[Knobs, float | None]] = []
        self._proposed: deque[list[Knobs]] = deque()  # without costs yet

    def propose(self) -> list[Knobs]:
        """The next batch; empty where the search finds nothing new.

        The costs of the one before may still be on their way: nothing is proposed twice.
        """
        taught = len(self._known) + sum(len(rows) for rows, _ in self._transfer)
        batch: list[Knobs] = []
        if taught < WARMUP_TRIALS:
            self._fill(batch)
        else:
            self._choose(batch, self._ranked())
        if batch:
            self._proposed.append(batch)
        return list(batch)

    def report(self, costs: Sequence[float | None]) -> None:
        """Costs of the oldest proposal that has none, in its order; None for one that failed."""
        self._known += zip(self._proposed.popleft(), costs, strict=True)

    def learn(self, known: Known) -> None:
        """Costs of knobs that were not proposed: the search starts near good ones."""
        for knobs, _cost in known:
            self._candidates.take(knobs)
        self._known += known

    def _fill(self, batch: list[Knobs]) -> None:
        """Sketch by sketch, each candidate unlike those before it."""
        without = 0
        while len(batch) < self._batch and without < len(self._sketches):
            self._turn = (self._turn + 1) % len(self._sketches)
            without = 0 if self._add_unlike(batch, self._sketches[self._turn]) else without + 1

    def _add_unlike(self, batch: list[Knobs], sketch: str) -> bool:
        waiting = [knobs for proposed in self._proposed for knobs in proposed]
        known = [knobs for knobs, _cost in self._known]
        knobs = self._candidates.unlike(sketch, [*known, *waiting, *batch], self._guess)
        if knobs:
            self._add(batch, knobs)
        return knobs is not None

    def _add(self, batch: list[Knobs], knobs: Knobs) -> None:
        self._candidates.take(knobs)
        batch.append(knobs)

    def _guess(self, knobs: Knobs) -> float:
        row = self._rows.row(knobs)
        assert row
        return row[0]

    def _choose(self, batch: list[Knobs], ranked: dict[str, Ranking]) -> None:
        """Fill the batch; the better the best of a sketch may be, the more of it."""
        ranked = {sketch: found for sketch, found in ranked.items() if len(found)}
        shares = self._shares({sketch: found.top() for sketch, found in ranked.items()})
        while len(batch) < self._batch and ranked:
            sketch = self._random.choices(list(ranked), [shares[s] for s in ranked])[0]
            if self._random.random() < NEW and self._add_unlike(batch, sketch):
                continue
            knobs = ranked[sketch].pop()
            if knobs not in batch:
                self._add(batch, knobs)
            if not len(ranked[sketch]):
                del ranked[sketch]

    def _shares(self, hopes: dict[str, float]) -> dict[str, float]:
        """By sketch, of what the best of each may be; less where it has long been so good."""
        top = max(hopes.values(), default=0.0)
        shares = {
            sketch: math.exp((hope - top) / SHARE) * 0.5 ** (self._stale(sketch) / STALE)
            for sketch, hope in hopes.items()
        }
        least = LEAST_SHARE * max(shares.values(), default=0.0)
        return {sketch: max(share, least) for sketch, share in shares.items()}

    def _stale(self, sketch: str) -> int:
        """Trials of it since it last became faster."""
        stale, best = 0, math.inf
        for knobs, cost in self._known:
            if knobs["sketch"] == sketch:
                stale = 0 if cost and cost < best * (1 - GAIN) else stale + 1
                best = min(best, cost or math.inf)
        return stale

    def _ranked(self) -> dict[str, Ranking]:
        """By sketch new candidates, ranked."""
        model = self._model()
        return {sketch: self._ranking(model, sketch) for sketch in self._sketches}

    def _ranking(self, model: CostModel, sketch: str) -> Ranking:
        known = [(knobs, cost) for knobs, cost in self._known if knobs["sketch"] == sketch]
        costs = [(cost, n) for n, (_knobs, cost) in enumerate(known) if cost]
        parents = [known[n][0] for _cost, n in sorted(costs)[:PARENTS]]
        spread = float(scores([cost for _, cost in known]).std()) if len(known) > 3 else SPREAD
        spread *= 1 + min(self._stale(sketch) / STALE, 1.0)  # what is known may give no more
        waiting = [knobs for proposed in self._proposed for knobs in proposed]
        tried = [k for k, _ in known] + [k for k in waiting if k["sketch"] == sketch]
        tiles = self._rows.tile(self._rows.rows(tried)) if tried else None
        ranking, new = Ranking(tiles, spread), dict[str, Knobs]()
        self._candidates.anew(sketch, ANEW, new)
        self._candidates.changed(parents, CHANGED, new)
        self._rank(model, ranking, new)
        for _ in range(GENERATIONS):
            self._candidates.changed(ranking.best(4 * PARENTS), CHANGED // 2, new)
            self._rank(model, ranking, new)
        return ranking

    def _rank(self, model: CostModel, ranking: Ranking, found: dict[str, Knobs]) -> None:
        """Add to a ranking what was found since."""
        new = list(found.values())[len(ranking) :]
        if new:
            rows = self._rows.rows(new)
            ranking.add(new, self._rows.tile(rows), model.hopes(rows))

    def _model(self) -> CostModel:
        rows = [rows for rows, _ in self._transfer]
        known = [known for _, known in self._transfer]
        if self._known:
            rows.append(self._rows.rows([knobs for knobs, _cost in self._known]))
            known.append(scores([cost for _knobs, cost in self._known]))
        return CostModel(np.concatenate(rows), np.concatenate(known), self._random.randrange(2**31))
