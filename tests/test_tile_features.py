"""What a template tells a cost model of its candidates, and what the search makes of it."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schedules import conv2d
from tvm_ops.operators.conv2d import WORKLOADS
from tvm_ops.targets import NAMES, get_target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.candidates import Candidates
from tvm_ops.tuning.cost_model import CostModel
from tvm_ops.tuning.features import GUESS, RowMaker
from tvm_ops.tuning.log import new_record
from tvm_ops.tuning.nearest import distance
from tvm_ops.tuning.ranking import NOVELTY, Ranking
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.transfer import transfer

KEY = "conv2d-n1_ci16_h12_w12_co16_k3_s1_p1-f32"
POINTWISE = "conv2d-n1_ci16_h12_w12_co16_k1_s1_p0-f32"


def task_of(key: str = KEY, target: str = "rpi4") -> Task:
    return parse_task("conv2d", key, get_target(target))


def knobs_of(name: str, **changes: Any) -> Knobs:
    task = task_of()
    options = get_schedule("conv2d").space(task.workload, task.target)[name]
    return {"sketch": name} | {knob: values[0] for knob, values in options.items()} | changes


@pytest.mark.parametrize("name", NAMES)
def test_every_sketch_has_the_same_finite_features(name: str) -> None:
    """Of drawn candidates, legal or not, of all the operator's workloads; blocks have none."""
    target, rng = get_target(name), random.Random(1)
    names: dict[bool, set[tuple[str, ...]]] = {True: set(), False: set()}
    for w in WORKLOADS:
        for sketch, options in conv2d.space(w, target).items():
            for _ in range(12):
                drawn = {knob: rng.choice(values) for knob, values in options.items()}
                found = conv2d.features(w, target, {"sketch": sketch, **drawn})
                names[w.block == (1, 1)].add(tuple(found))
                assert all(map(math.isfinite, found.values())), (w, sketch, drawn, found)
    assert names[False] == {()}
    assert len(names[True]) == 1 and GUESS in names[True].pop()


def test_rows_are_as_wide_whatever_the_sketch_and_the_workload() -> None:
    task, rng = task_of(), random.Random(2)
    space = conv2d.space(task.workload, task.target)
    widths = set()
    for key, target in itertools.product((KEY, POINTWISE), ("rpi4", "rpi3")):
        other = task_of(key, target)
        make = RowMaker(space, other)
        for sketch, options in conv2d.space(other.workload, other.target).items():
            drawn = {knob: rng.choice(values) for knob, values in options.items()}
            row = make.row({"sketch": sketch, **drawn})
            assert row is not None
            widths.add(len(row))
            tile = make.tile(np.array([row], np.float32))
            assert tile.shape == (
                1,
                len(conv2d.features(task.workload, task.target, knobs_of("direct"))),
            )
    assert len(widths) == 1


def test_a_template_without_features_has_rows_of_knobs_and_task_and_no_guess() -> None:
    task = parse_task("dense", "dense-n1_ci64_co40-f32", get_target("rpi4"))
    make = RowMaker(get_schedule("dense").space(task.workload, task.target), task)
    rows = make.rows([default_knobs(task)] * 2)
    assert rows[:, 0].tolist() == [0.0, 0.0] and make.tile(rows).shape == (2, 0)


@pytest.mark.parametrize(
    "better, worse",
    [
        ({"tile_co": 8, "tile_ow": 6}, {"tile_co": 8}),  # two accumulators wait for each other
        ({"tile_co": 8, "tile_ow": 6}, {"tile_co": 16, "tile_oh": 6, "tile_ow": 6}),  # 144 of them
        ({"tile_co": 8, "tile_ow": 6}, {"tile_ow": 12}),  # single lanes
        (
            {"tile_co": 4, "tile_ow": 6},
            {"tile_co": 4, "tile_ow": 6, "ann_spatial": "none vec none"},
        ),
    ],
)
def test_the_guess_knows_a_good_tile(better: Knobs, worse: Knobs) -> None:
    task, of = task_of(), "spatial_pack"
    along_channels = {"ann_spatial": "none unroll vec"}
    good, bad = (
        conv2d.features(task.workload, task.target, knobs_of(of, **along_channels | changes))[GUESS]
        for changes in (better, worse)
    )
    assert good < bad - 0.3


def test_a_guess_is_believed_as_far_as_trials_bear_it_out() -> None:
    """Four trials, then what was never seen: in the guess's order, or all alike."""
    rows = np.array([[-float(i), 0.0] for i in range(4)], np.float32)
    unseen = np.array([[-8.0, 0.0], [1.0, 0.0]], np.float32)
    borne_out = CostModel(rows, rows[:, 0].copy(), 1).hopes(unseen)
    assert borne_out[1] > borne_out[0] + 2
    contradicted = CostModel(rows, -rows[:, 0].copy() - 3, 1).hopes(unseen)
    assert contradicted[1] <= contradicted[0]


def test_warm_up_draws_what_the_template_takes_for_good() -> None:
    space: dict[str, dict[str, list[Any]]] = {"a": {"x": list(range(30))}}
    candidates = Candidates(space, lambda _: True, 0)
    chosen = [candidates.unlike("a", [], lambda k: -float(k["x"])) for _ in range(8)]
    assert all(knobs and knobs["x"] < 20 for knobs in chosen)


def test_tiles_that_were_not_tried_come_before_the_same_one_again() -> None:
    tried = np.array([[0.0, 0.0]] * 3, np.float32)
    ranking = Ranking(tried, 0.2 / NOVELTY)
    names: list[Knobs] = [{"n": i} for i in range(4)]
    features = np.array([[0, 0], [0, 0.1], [5, 5], [5, 5]], np.float32)
    ranking.add(names, features, np.array([-0.05, -0.06, -0.1, -0.11]))
    assert ranking.best(2) == names[2:]
    assert ranking.top() == pytest.approx(0.2 - 0.1)
    # Having one of the new tile makes the other less new.
    assert [ranking.pop()["n"] for _ in range(4)] == [2, 0, 3, 1] and not len(ranking)


def test_without_features_the_model_alone_decides() -> None:
    ranking = Ranking(None, 1.0)
    ranking.add([{"n": 0}, {"n": 1}, {"n": 2}], np.zeros((3, 0), np.float32), np.array([0, 1, 1.0]))
    assert [ranking.pop()["n"] for _ in range(3)] == [1, 0, 2]  # what is the same comes last


def test_another_kernel_teaches_from_afar_and_gives_no_knobs() -> None:
    three, one = task_of().workload, task_of(POINTWISE).workload
    assert distance(three, one) == math.inf
    assert distance(three, three) < 4 <= distance(three, one, to_teach=True) < math.inf
    dilated = task_of(KEY.replace("p1", "p2_d2")).workload
    assert distance(three, dilated, to_teach=True) == math.inf


def store(task: Task, logs: Path, records: list[tuple[Knobs, float]]) -> None:
    path = log.log_path(logs, task.target.name, "conv2d")
    log.append(
        path,
        [new_record(task, k, "modelled", seconds=[c], max_error=0.0) for k, c in records],
    )


def test_a_search_learns_a_good_tile_from_another_kernel(tmp_path: Path) -> None:
    """Of a 1x1: tiles along channels are good. The first batch of a 3x3 has many of them."""
    other, rng = task_of(POINTWISE), random.Random(3)
    options = conv2d.space(other.workload, other.target)["spatial_pack"]
    records = []
    while len(records) < 60:
        drawn = {knob: rng.choice(values) for knob, values in options.items()}
        knobs = {"sketch": "spatial_pack", **drawn}
        if conv2d.legal(other.workload, other.target, knobs):
            records.append((knobs, 4.0 if knobs["tile_co"] < 8 else 1.0))
    store(other, tmp_path, records)
    store(other, tmp_path, [({"sketch": "spatial_pack", "tile_co": 0}, 0.1)])  # of no space at all
    task = task_of()
    space = conv2d.space(task.workload, task.target)
    groups = transfer(Setting(task, "modelled"), space, tmp_path)
    assert [(group.name, len(group.rows)) for group in groups] == [(f"rpi4/{POINTWISE}", 60)]
    proposals = []
    for learned in (groups, groups, []):
        search = KnobSearch(
            {"spatial_pack": space["spatial_pack"]},
            lambda k: conv2d.legal(task.workload, task.target, k),
            5,
            8,
            rows=RowMaker(space, task),
            transfer=learned,
        )
        proposals.append([search.propose(), search.propose()])
    assert proposals[0] == proposals[1] != proposals[2]
    assert sum(knobs["tile_co"] >= 8 for knobs in proposals[0][0]) >= 6
