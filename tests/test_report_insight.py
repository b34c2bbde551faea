"""What the report says beyond times: deciding knobs, the roofline, the fastest peer, failures."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from candidates import random_knobs

from tvm_ops.peers.figures import Figure, append_figures, figures_path
from tvm_ops.report import render, report
from tvm_ops.report_history import read_histories
from tvm_ops.report_importance import LEAST, importance
from tvm_ops.report_roofline import roof
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.log import append, log_path, new_record

KEY = "conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32"


def task_of(key: str = KEY, target: str = "rpi4") -> Task:
    return parse_task(key.split("-")[0], key, get_target(target))


def write_logs(root: Path) -> None:
    """A default, 30 slices whose time is one knob's, one of them failed, and one whole more."""
    task, rng = task_of(), random.Random(1)
    default = default_knobs(task)
    records = [new_record(task, default, "modelled", seconds=[8e-3], cycles=14_400_000,
                          max_error=0.0)]  # fmt: skip
    for i in range(30):
        knobs = random_knobs(task, rng, {"sketch": default["sketch"]})
        assert knobs
        seconds = [1e-3 * (1 + len(json.dumps(knobs["tile"])) + sum(knobs["tile"]))]
        failed = {"error": "build: no"} if i == 7 else {"seconds": seconds, "max_error": 0.0}
        records.append(new_record(task, knobs, "modelled", slice=12, **failed))  # type: ignore[arg-type]
    records.append(replace(records[0], seconds=[4e-3], cycles=7_200_000))
    append(log_path(root, "rpi4", "conv2d"), records)
    figure = Figure(KEY, "rpi4", "ncnn", "1", "modelled", 9_000_000, 5e-3, 1e-6, None, "now")
    slower = replace(figure, peer="mnn", seconds=6e-3, cycles=10_800_000)
    older = replace(figure, seconds=1e-3)
    append_figures(figures_path(root, "rpi4"), [older, slower, figure])


def test_the_knob_that_makes_the_time_decides(tmp_path: Path) -> None:
    write_logs(tmp_path)
    (history,) = read_histories(tmp_path)
    assert len(history.records) == 2 and len(history.slices) == 30
    (name, share), *others = history.importance
    assert name == "tile" and share > 0.9
    assert share + sum(s for _name, s in others) == pytest.approx(1)
    assert history.importance == read_histories(tmp_path)[0].importance


def test_few_or_equal_times_decide_nothing() -> None:
    task = task_of()
    space = get_schedule("conv2d").space(task.workload, task.target)
    record = new_record(task, default_knobs(task), "modelled", seconds=[1.0], max_error=0.0)
    assert importance(space, [record] * (LEAST - 1)) == []
    assert importance(space, [record] * (LEAST + 1)) == []


def test_the_roof_is_compute_or_memory() -> None:
    """By hand: 116 million multiply-adds at 4 a cycle; 4 MB of weights in lines of 30 cycles."""
    found = roof(task_of())
    assert found and (found.bound, found.cycles) == ("compute", 64 * 64 * 9 * 56 * 56 / 4)
    found = roof(task_of("dense-n1_ci1024_co1000-f32"))
    assert found and found.bound == "DRAM"
    assert found.cycles == 4 * (1024 + 1024 * 1000 + 1000) / 64 * 30
    small = roof(task_of("dense-n1_ci64_co64-f32"))
    assert small and (small.bound, small.cycles) == ("L2", 4 * (64 + 64 * 64 + 64) / 64 * 8)
    assert roof(task_of(target="host")) is None


def test_the_page_and_its_facts_have_them(tmp_path: Path) -> None:
    write_logs(tmp_path)
    sections = report(tmp_path)
    (row,) = sections[0].to_json()["rows"]
    assert (row["fastest_peer"], row["ahead_of_peer"]) == ("ncnn", pytest.approx(5 / 4))
    assert row["percent_of_roofline"] == pytest.approx(100 * 28_901_376 / 7_200_000)
    text = render(sections)
    assert "Trials without a time, by kind: build 1 of 32." in text
    assert "1.25× <small>ncnn</small>" in text and "% of roofline, compute" in text
    assert '<span class="name">tile</span>' in text
