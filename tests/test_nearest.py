"""Knobs of the nearest tuned workload: distance, adaption, what a user is told."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest

from tvm_ops.errors import UntunedWarning
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.nearest import (
    adapt,
    best_knobs,
    distance,
    nearest_knobs,
    other_boards_knobs,
    untuned_knobs,
)
from tvm_ops.tuning.space import check_knobs


def task_of(shape: str, operator: str = "conv2d") -> Task:
    return parse_task(operator, f"{operator}-{shape}-f32", get_target("rpi4"))


SMALL = task_of("n1_ci64_h14_w14_co96_k1_s1_p0")
LARGE = task_of("n1_ci64_h112_w112_co96_k1_s1_p0")
WIDE = task_of("n1_ci64_h14_w14_co128_k1_s1_p0_none")
THREE = task_of("n1_ci64_h14_w14_co96_k3_s1_p1")


def store(
    root: Path,
    task: Task,
    ms: float | None,
    knobs: Knobs,
    rows: int | None = None,
    board: str = "modelled",
) -> None:
    record = log.new_record(
        task,
        knobs,
        board,
        seconds=[ms / 1e3] if ms else None,
        max_error=0.0 if ms else None,
        error=None if ms else "run: no",
        slice=rows,
    )
    log.append(log.log_path(root, "rpi4", task.operator), [record])


def other(task: Task, along: int = 1) -> Knobs:
    """The default with another option of a knob that is always legal."""
    knobs = default_knobs(task)
    options = get_schedule(task.operator).space(task.workload, task.target)[knobs["sketch"]]
    return knobs | {"read_elements": options["read_elements"][along]}


def test_distance_counts_doublings_and_refuses_other_loops() -> None:
    assert distance(SMALL.workload, SMALL.workload) == 0
    assert distance(SMALL.workload, LARGE.workload) == pytest.approx(6)
    assert 0.4 < distance(SMALL.workload, WIDE.workload) < 0.6
    assert distance(SMALL.workload, THREE.workload) == math.inf
    grouped = task_of("n1_ci64_h14_w14_co96_k1_s1_p0_g2")
    assert distance(SMALL.workload, grouped.workload) == math.inf


def test_nearest_tuned_workload_gives_its_knobs(tmp_path: Path) -> None:
    store(tmp_path, LARGE, 1.0, default_knobs(LARGE))
    store(tmp_path, WIDE, 3.0, default_knobs(WIDE))
    store(tmp_path, WIDE, 2.0, other(WIDE))
    store(tmp_path, WIDE, 0.1, default_knobs(WIDE), rows=4)
    store(tmp_path, THREE, 1.0, default_knobs(THREE))
    found = nearest_knobs(SMALL, tmp_path, 3)
    assert found[0] == adapt(other(WIDE), SMALL) and 1 <= len(found) <= 2
    assert found[0]["read_elements"] == other(WIDE)["read_elements"]
    assert nearest_knobs(SMALL, tmp_path, 1) == found[:1]
    with pytest.warns(UntunedWarning, match=rf"^{SMALL.key} is not tuned.*nearest one, {WIDE.key}"):
        knobs, record = best_knobs(SMALL, tmp_path)
    assert knobs == found[0] and record and record.task == WIDE.key


def test_own_records_come_first_and_untuned_does_without_them(tmp_path: Path) -> None:
    store(tmp_path, WIDE, 2.0, other(WIDE))
    store(tmp_path, SMALL, 5.0, default_knobs(SMALL))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        knobs, record = best_knobs(SMALL, tmp_path)
        assert record and record.task == SMALL.key and knobs == default_knobs(SMALL)
        assert untuned_knobs(SMALL, tmp_path)[0] == adapt(other(WIDE), SMALL)


def test_failures_and_slices_do_not_count_as_tuned(tmp_path: Path) -> None:
    store(tmp_path, WIDE, None, other(WIDE))
    store(tmp_path, WIDE, 1.0, other(WIDE), rows=4)
    assert nearest_knobs(SMALL, tmp_path, 3) == []
    assert untuned_knobs(SMALL, tmp_path) == (default_knobs(SMALL), None)
    with pytest.warns(UntunedWarning, match="default knobs$"):
        assert best_knobs(SMALL, tmp_path) == (default_knobs(SMALL), None)


SHAPES = ["n1_ci8_h6_w6_co8", "n1_ci64_h56_w56_co64", "n2_ci512_h7_w7_co512", "n1_ci13_h1_w1_co20"]


@pytest.mark.parametrize("operator", ["conv2d", "winograd_conv2d"])
def test_adapted_knobs_are_of_the_space_and_legal(operator: str) -> None:
    tasks = [task_of(f"{shape}_k3_s1_p1", operator) for shape in SHAPES]
    for giver in tasks:
        for taker in tasks:
            knobs = adapt(default_knobs(giver), taker)
            assert knobs or giver is not taker
            if knobs:
                template = get_schedule(operator)
                check_knobs(template.space(taker.workload, taker.target), knobs, "adapted")
                assert template.legal(taker.workload, taker.target, knobs)


def test_default_of_another_sketch_is_not_adapted() -> None:
    assert adapt({"sketch": "stacked"}, SMALL) is None
    assert adapt({"sketch": "pixels"}, SMALL) is not None


def test_cli_warns_once_in_one_line(run_cli, tmp_path: Path) -> None:
    key = "winograd_conv2d-n1_ci8_h6_w6_co8_k3_s1_p1-f32"
    command = ["build", "winograd_conv2d", "--target", "rpi4", "--workload", key]
    (tmp_path / "logs").mkdir()
    done = run_cli(*command, "--logs", "logs", "-o", "out")
    assert done.returncode == 0 and "default, not tuned" in done.stdout
    warning = f"tvm-ops: warning: {key} is not tuned for rpi4: default knobs\n"
    assert done.stderr == warning


def test_a_real_board_counts_before_the_model(tmp_path: Path) -> None:
    """Its session begins with the model's best; from then on only its own times count."""
    address = "ssh:pi@pi4"
    fast, slow = other(SMALL), default_knobs(SMALL)
    store(tmp_path, SMALL, 3.0, slow)
    store(tmp_path, SMALL, 1.0, fast)
    third = fast | {"unroll_k": slow["unroll_k"] + 1}
    store(tmp_path, SMALL, 0.1, third, rows=4)
    begins_with = [fast, slow]
    assert other_boards_knobs(SMALL, tmp_path, [address], 3) == begins_with
    assert other_boards_knobs(SMALL, tmp_path, [address], 1) == begins_with[:1]
    store(tmp_path, SMALL, 5.0, slow, board=address)
    store(tmp_path, SMALL, 6.0, fast, board=address)
    store(tmp_path, SMALL, 0.5, third)
    assert other_boards_knobs(SMALL, tmp_path, [address], 3) == begins_with  # as it began
    knobs, record = best_knobs(SMALL, tmp_path)
    assert record and (knobs, record.board) == (slow, address)
