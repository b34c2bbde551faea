"""What a job shows of itself: the live table, a line a batch, a screenshot."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from killed_jobs import InstantPool

from tvm_ops.cli_progress import JobDisplay, describe, live_view
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning.job import Job
from tvm_ops.tuning.log import new_record
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.run_job import run_job

TASKS = [
    parse_task("conv2d", f"conv2d-n1_ci16_h{h}_w12_co16_k3_s1_p1-f32", get_target(target))
    for target in ("rpi4", "rpi3")
    for h in (12, 24)
]


def sample(budget: int | None = None) -> Job:
    """One task under way, one finished, one that failed, one that waits."""
    job = Job(TASKS, 64, budget)
    first = new_record(TASKS[0], default_knobs(TASKS[0]), "modelled", seconds=[2e-3], max_error=0.0)
    best = new_record(TASKS[0], {}, "modelled", seconds=[1e-3], max_error=0.0)
    now = Progress(TASKS[0], 64, done=20, measured=20, best=best, default=first)
    now.failures.update({"build": 2, "cut off": 3})
    job.under_way = {("rpi4", TASKS[0].key): now}
    job.current = now
    job.sessions = [Progress(TASKS[1], 64, done=64, measured=10)]
    job.errors = {("rpi3", TASKS[2].key): "RuntimeError: no"}
    return job


def shown(job: Job, height: int = 24, width: int = 120) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(live_view(job, "modelled", height))
    return console.export_text()


def test_the_live_view_has_each_task_its_best_gain_failures_and_the_time_left() -> None:
    text = shown(sample())
    (row,) = [line for line in text.splitlines() if TASKS[0].key in line]
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[:4] == [f"rpi4 {TASKS[0].key}", "20/64", "1.000", "2.00"]
    assert cells[5] == "5" and cells[6].endswith(" left")
    (row,) = [line for line in text.splitlines() if f"rpi3 {TASKS[3].key}" in line]
    assert "waits" in row and TASKS[1].key not in text.replace(f"rpi3 {TASKS[3].key}", "")
    assert "2/4 tasks, " in text and "30 new trials" in text
    assert "failed: build 2, cut off 3" in text
    assert "84/500 trials of 4 tasks" in shown(sample(budget=500))


def test_a_small_terminal_gets_a_small_table() -> None:
    job = sample()
    job.sessions, job.errors = [], {}
    assert "1 more tasks" in shown(job, height=8)
    assert max(map(len, shown(job, width=60).splitlines())) <= 60


def test_without_a_terminal_there_is_a_line_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tvm_ops.tuning.run_job.open_pool", lambda *_: InstantPool())
    with JobDisplay("modelled") as display:
        run_job(TASKS[:1], trials=40, tuner="random", logs=tmp_path, observer=display)
    lines = capsys.readouterr().out.splitlines()
    done = [int(line.split("/")[0]) for line in lines]
    assert done[-1] == 40 and done == sorted(set(done)) and len(done) >= 4
    assert all("ms modelled" in line and "gain " in line for line in lines)
    assert describe(Progress(TASKS[0], 3, stopped="time limit"), "").endswith("time limit")
