"""What the guided search does with costs: sketches, failures, knobs that make no difference."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tvm_ops.task import Knobs
from tvm_ops.tuning.candidates import Candidates
from tvm_ops.tuning.cost_model import WORST, CostModel, scores
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.space import Space, knobs_id
from tvm_ops.tuning.transfer import Group

EIGHT = list(range(8))
SPACE: Space = {
    "easy": {"x": EIGHT, "y": EIGHT, "idle": EIGHT},
    "hard": {"p": EIGHT, "q": EIGHT, "r": EIGHT, "s": EIGHT},
}


def always(_knobs: Knobs) -> bool:
    return True


def run(
    cost: Callable[[Knobs], float | None],
    trials: int,
    space: Space = SPACE,
    legal: Callable[[Knobs], bool] = always,
    **options: Any,
) -> list[tuple[Knobs, float | None]]:
    """Candidates and costs, in batches of 8 of which one is always under way."""
    search = KnobSearch(space, legal, 1, 8, **options)
    found: list[tuple[Knobs, float | None]] = []
    waiting: list[list[float | None]] = []
    while len(found) < trials:
        batch = search.propose()
        costs = [cost(knobs) for knobs in batch]
        found += zip(batch, costs, strict=True)
        waiting.append(costs)
        if len(waiting) > 1:
            search.report(waiting.pop(0))
    return found


def two_sketches(knobs: Knobs) -> float:
    """The first is soon as good as it gets; the second is worse at random, in the end better."""
    if knobs["sketch"] == "easy":
        return 1.0 + 0.01 * (knobs["x"] + knobs["y"])
    return 0.8 + 0.1 * sum(knobs[n] for n in "pqrs")


def test_a_sketch_that_led_early_does_not_keep_the_others_from_their_trials() -> None:
    found = run(two_sketches, 104)
    at = Counter(knobs["sketch"] for knobs, _ in found[:16])
    assert at == {"easy": 8, "hard": 8}
    assert found[0][0]["sketch"] != found[1][0]["sketch"]
    early = [cost for knobs, cost in found[:24] if knobs["sketch"] == "hard" and cost]
    assert min(early) > 1.05  # so that the first led
    best = min(found, key=lambda entry: entry[1] or 9.0)
    assert best[0]["sketch"] == "hard" and best[1] and best[1] <= 0.9


def test_what_fails_is_learnt_to_be_bad() -> None:
    """Half of all fail; of those that a model chose few."""

    def cost(knobs: Knobs) -> float | None:
        return None if knobs.get("x", 0) >= 4 or knobs.get("p", 0) >= 4 else two_sketches(knobs)

    failed = [cost is None for _, cost in run(cost, 80)]
    assert sum(failed[:16]) >= 5 and sum(failed[32:]) <= 6


def test_all_that_failed_teaches_nothing_and_ends_nothing() -> None:
    assert len({knobs_id(k) for k, _ in run(lambda _: None, 40)}) == 40


def test_a_batch_has_few_that_the_model_takes_for_the_same() -> None:
    """One knob makes no difference: eight options of it would fill a batch."""
    found = run(two_sketches, 48, {"easy": SPACE["easy"]})
    for start in range(32, 48, 8):
        batch = [(k["x"], k["y"]) for k, _ in found[start : start + 8]]
        assert max(Counter(batch).values()) <= 3


def test_a_small_space_is_all_proposed_and_then_nothing() -> None:
    space: Space = {"a": {"x": EIGHT, "y": [1, 2, 3]}, "b": {"z": [1, 2]}}
    search = KnobSearch(space, lambda k: k.get("x") != 3, 1, 8)
    search.learn([({"sketch": "b", "z": 1}, 1.0)])
    proposed: list[str] = []
    while batch := search.propose():
        proposed += [knobs_id(knobs) for knobs in batch]
        search.report([1.0] * len(batch))
    assert len(proposed) == len(set(proposed)) == 7 * 3 + 1


def test_other_tasks_costs_stand_in_for_the_first_trials() -> None:
    """Of another task ten times as long, and the same knobs are good."""
    from tvm_ops.tuning.features import KnobColumns

    space: Space = {"hard": SPACE["hard"]}
    every = [
        {"sketch": "hard"} | dict(zip("pqrs", values, strict=True))
        for values in itertools.product((0, 3, 6), repeat=4)
    ]
    rows = np.array([[0.0, *(KnobColumns(space).row(k) or [])] for k in every], np.float32)
    costs = np.array([10 * two_sketches(k) for k in every], np.float32)
    options: dict[str, Any] = {"transfer": [Group("other", rows, costs)]}
    first = [cost or 9.0 for _, cost in run(two_sketches, 8, space, **options)]
    alone = [cost or 9.0 for _, cost in run(two_sketches, 8, space)]
    assert np.mean(first) < np.mean(alone) - 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_a_model_is_that_of_its_seed_and_hopes_where_it_does_not_know(seed: int) -> None:
    rows = np.array([[0.0, float(i)] for i in range(8)] * 4, np.float32)
    known = scores([1.0 + row[1] for row in rows])
    hopes = [CostModel(rows, known, s).hopes(rows[:8]) for s in (seed, seed, seed + 1)]
    assert np.array_equal(hopes[0], hopes[1]) and not np.array_equal(hopes[0], hopes[2])
    assert hopes[0].argmax() == 0 and hopes[0][0] > hopes[0][3] > hopes[0][7] - 0.1
    one = CostModel(rows[:1], known[:1], seed)
    assert one.hopes(rows[:2]).shape == (2,)


def test_scores_are_relative_to_the_best_and_failures_the_least() -> None:
    assert scores([2.0, 1.0, None, 100.0]).tolist() == pytest.approx(
        [-np.log(2), 0.0, -np.log(WORST), -np.log(WORST)]
    )
    assert scores([None, None]).tolist() == pytest.approx([-np.log(WORST)] * 2)


def test_what_is_unlike_differs_in_as_many_knobs_as_can_be() -> None:
    candidates = Candidates({"a": {"x": [0, 1], "y": [0, 1], "one": [5]}}, always, 0)
    first = {"sketch": "a", "x": 0, "y": 1, "one": 5}
    candidates.take(first)
    other = candidates.unlike("a", [first, {"sketch": "b", "z": 1}], lambda _: 0.0)
    assert other == {"sketch": "a", "x": 1, "y": 0, "one": 5}
