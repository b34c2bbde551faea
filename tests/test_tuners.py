"""The plain tuners, what a cost model starts from, when a search ends early, who gets trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from killed_jobs import InstantPool

from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log, tuners
from tvm_ops.tuning.allocation import Gains, most_promising
from tvm_ops.tuning.features import KnobColumns, RowMaker
from tvm_ops.tuning.log import new_record
from tvm_ops.tuning.options import Options
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.run_job import run_job
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.space import check_knobs, knobs_id
from tvm_ops.tuning.transfer import transfer
from tvm_ops.tuning.tuners import PLAIN, EvolutionarySearch, GridSearch

KEY = "conv2d-n1_ci16_h12_w12_co16_k3_s1_p1-f32"
OTHER = "conv2d-n1_ci16_h24_w24_co16_k3_s1_p1-f32"
SPACE: dict[str, dict[str, list[Any]]] = {
    "a": {"x": [1, 2, 3], "y": [[1, 2], [2, 1]]},
    "b": {"z": ["one", "two"], "on": [True, False]},
}


def task_of(key: str = KEY, target: str = "rpi4") -> Task:
    return parse_task("conv2d", key, get_target(target))


def legal(knobs: Knobs) -> bool:
    return knobs.get("x") != 2


@pytest.mark.parametrize("tuner", sorted(PLAIN))
def test_each_gives_every_legal_candidate_once_in_an_order_of_its_seed(
    tuner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuners, "_DRAWS", 1000)
    found = []
    for seed in (1, 1, 2):
        search = PLAIN[tuner](SPACE, legal, seed, 3)
        search.learn([({"sketch": "a", "x": 1, "y": [1, 2]}, 2.0)])
        proposed: list[Knobs] = []
        while batch := search.propose():
            proposed += batch
            search.report([None if "z" in knobs else 1.0 for knobs in batch])
        for knobs in proposed:
            check_knobs(SPACE, knobs, "proposal")
        found.append([knobs_id(knobs) for knobs in proposed])
    assert len(found[0]) == 4 * 2 - 1 and len(set(found[0])) == 7
    assert found[0] == found[1] and sorted(found[0]) == sorted(found[2])
    assert (found[0] == found[2]) == (tuner == "grid")


def test_the_grid_goes_through_the_last_knob_first() -> None:
    first = GridSearch(SPACE, lambda _: True, 0, 4).propose()
    assert [(k["x"], k["y"]) for k in first] == [(1, [1, 2]), (1, [2, 1]), (2, [1, 2]), (2, [2, 1])]


def test_evolution_draws_near_the_best() -> None:
    """A sum over six knobs: after as many trials the best is better than random's."""
    space = {"a": {f"k{i}": list(range(8)) for i in range(6)}}
    best = {}
    for tuner in ("evolutionary", "random"):
        search, costs = PLAIN[tuner](space, lambda _: True, 0, 8), []
        for _ in range(20):
            batch = search.propose()
            costs += [1.0 + sum(v for k, v in knobs.items() if k != "sketch") for knobs in batch]
            search.report(costs[-8:])
        best[tuner] = min(costs)
    assert best["evolutionary"] < best["random"] - 3
    assert isinstance(PLAIN["evolutionary"](space, legal, 0, 8), EvolutionarySearch)


@pytest.mark.parametrize("tuner", ["xgb", *sorted(PLAIN)])
def test_a_session_with_each_goes_on_where_it_was(tuner: str, tmp_path: Path) -> None:
    task, ids = task_of(), []
    for folder, steps in (("whole", (16,)), ("parts", (9, 16))):
        for trials in steps:
            tune(task, trials=trials, tuner=tuner, logs=tmp_path / folder, pool=InstantPool())
        path = log.log_path(tmp_path / folder, "rpi4", "conv2d")
        ids.append([knobs_id(record.knobs) for record in log.read_log(path)])
    assert ids[0] == ids[1] and len(set(ids[0])) == 16


def test_another_search_learns_what_the_log_has_and_counts_it(tmp_path: Path) -> None:
    task = task_of()
    tune(task, trials=20, tuner="random", logs=tmp_path, pool=InstantPool())
    again = tune(task, trials=32, tuner="evolutionary", logs=tmp_path, pool=InstantPool())
    assert (again.done, again.measured) == (32, 12)


def store(task: Task, logs: Path, costs: dict[int, float], board: str = "modelled") -> None:
    """Records of the default with other numbers of rows in a block, or whatever comes first."""
    template = get_schedule("conv2d")
    space = template.space(task.workload, task.target)
    knobs = default_knobs(task)
    name = next(n for n, o in space[knobs["sketch"]].items() if len(o) > max(costs))
    options = space[knobs["sketch"]][name]
    records = [
        new_record(task, knobs | {name: options[i]}, board, seconds=[cost], max_error=0.0)
        for i, cost in costs.items()
    ]
    log.append(log.log_path(logs, task.target.name, "conv2d"), records)


def test_transfer_takes_other_workloads_and_targets_but_not_other_boards(tmp_path: Path) -> None:
    store(task_of(OTHER, "rpi4"), tmp_path, {0: 2.0, 1: 1.0})
    store(task_of(KEY, "rpi3"), tmp_path, {0: 30.0, 1: 10.0})
    store(task_of(KEY.replace("p1", "p2_d2")), tmp_path, {0: 1.0})
    store(task_of(OTHER.replace("h24", "h20")), tmp_path, {0: 1.0}, board="autotvm:rk3399")
    task = task_of()
    space = get_schedule("conv2d").space(task.workload, task.target)
    setting = Setting(task, "modelled")
    groups = transfer(setting, space, tmp_path)
    assert sorted(group.name for group in groups) == sorted([f"rpi3/{KEY}", f"rpi4/{OTHER}"])
    row = RowMaker(space, task).row(default_knobs(task))
    assert row and {group.rows.shape for group in groups} == {(2, len(row))}
    assert sorted(group.costs.tolist() for group in groups) == [[2.0, 1.0], [30.0, 10.0]]
    # What was tuned after the task's own first trial does not change how it goes on.
    store(task, tmp_path, {0: 1.0})
    store(task_of(OTHER.replace("h24", "h18")), tmp_path, {0: 1.0})
    assert [g.name for g in transfer(setting, space, tmp_path)] == [g.name for g in groups]


def test_rows_of_knobs_have_a_place_for_each_knob() -> None:
    columns = KnobColumns(SPACE)
    row = columns.row({"sketch": "b", "z": "two", "on": True})
    assert columns.names == ["sketch", "x", "y", "y", "y", "sketch", "z", "on"]
    assert row == [0.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0]
    assert (columns.row({"sketch": "b", "z": "unheard of", "on": False}) or [])[-2:] == [-1.0, 0.0]
    for other in ({"sketch": "c"}, {"sketch": "b", "z": "one"}, {"sketch": "a", "x": 1, "y": [1]}):
        assert columns.row(other) is None


def test_words_of_an_option_have_a_column_each() -> None:
    """Which loop is unrolled counts, whatever the others are."""
    options = ["none none", "none unroll", "vec none", "vec unroll"]
    space = {"a": {"ann": options, "mixed": ["one", "two words"]}}
    columns = KnobColumns(space)
    assert columns.names == ["sketch", "ann", "ann", "mixed"]
    rows = [columns.row({"sketch": "a", "ann": o, "mixed": "two words"}) for o in options]
    assert rows == [[1, 0, 0, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]]
    assert columns.row({"sketch": "a", "ann": "odd", "mixed": "one"}) == [1, -1, -1, 0]


def test_a_search_ends_without_gain_at_the_target_or_in_time(tmp_path: Path) -> None:
    task = task_of()

    def run(folder: str, **options: Any) -> Progress:
        options = {"trials": 200, "tuner": "random"} | options
        return tune(task, logs=tmp_path / folder, pool=InstantPool(), **options)

    stuck = run("stuck", early_stop=10)
    assert stuck.stopped == "no gain in 10 trials"
    assert stuck.best_at + 10 <= stuck.done < stuck.best_at + 10 + 3 * 8
    assert run("stuck", early_stop=10).measured == 0  # the same end again
    reached = run("reached", target_ms=1.0)
    assert reached.stopped == "1 ms reached" and reached.done < 30
    late = run("late", deadline=0.0)
    assert late.stopped == "time limit" and late.done < 20
    assert Options(target_ms=1.0).enough(Progress(task, 9), 1.0) is None


def test_the_task_that_may_gain_most_comes_next() -> None:
    task = task_of()

    def gains(weight: float, *costs: float | None) -> Gains:
        own, progress = Gains(weight), Progress(task, 100)
        for cost in costs:
            progress.best = cost and new_record(task, {}, "modelled", seconds=[cost], max_error=0.0)  # type: ignore[assignment]
            own.add(progress)
        return own

    new, stuck = gains(1, 1.0), gains(1, 1.0, 1.0, 1.0, 1.0)
    gaining, often = gains(1, 4.0, 2.0, 1.0), gains(30, 1.0, 1.0, 1.0, 1.0)
    nothing = gains(9, None, None, None)
    assert most_promising([stuck, nothing, new, gaining]) == 2
    assert most_promising([stuck, nothing, gaining]) == 2
    assert most_promising([stuck, gaining, often]) == 2
    assert nothing.expected() == 0.0 and stuck.expected() > 0


def test_a_budget_goes_to_the_tasks_by_turns(tmp_path: Path, monkeypatch: Any) -> None:
    """The one that counts a hundred times gets most; a second run has little left to measure.

    A batch of the one may have been under way when the other began, whose neighbour it now is.
    """
    monkeypatch.setattr("tvm_ops.tuning.run_job.open_pool", lambda *_: InstantPool())
    tasks = [task_of(), task_of(OTHER)]
    options: dict[str, Any] = {"trials": 500, "tuner": "random", "logs": tmp_path}
    options |= {"budget": 120, "weights": {("rpi4", KEY): 100.0}}
    job = run_job(tasks, **options)
    trials = {p.task.key: p.done for p in job.sessions}
    assert 120 <= job.begun < 120 + 40 and trials[KEY] > 3 * trials[OTHER] > 0
    again = run_job(tasks, **options)
    assert again.measured <= 3 and again.begun < 120 + 40
