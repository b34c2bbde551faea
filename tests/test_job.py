"""Tuning the layers of networks: which tasks, in which order, what is skipped, what is survived."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_ops.cli_progress import duration, overall
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning import log
from tvm_ops.tuning import run_job as jobs
from tvm_ops.tuning.job import Job
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.run_job import run_job
from tvm_ops.tuning.session import Session

KEYS = [f"conv2d-n1_ci8_h{h}_w6_co8_k1_s1_p0-f32" for h in (9, 6, 12)]


@pytest.fixture
def tasks() -> list[Task]:
    return [parse_task("conv2d", key, get_target("rpi4")) for key in KEYS]


def store(task: Task, root: Path, *, error: str | None = None) -> None:
    record = log.new_record(
        task,
        default_knobs(task),
        "modelled",
        seconds=None if error else [1e-3],
        error=error,
        max_error=None if error else 0.0,
    )
    log.append(log.log_path(root, "rpi4", task.operator), [record])


def test_tasks_are_tuned_once_the_cheap_ones_first(tasks: list[Task], tmp_path: Path) -> None:
    """A real job of three tasks, stopped after the first."""
    seen: list[str] = []

    def stop_after_the_first(job: Job) -> None:
        seen.append(overall(job))
        if job.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(tasks, trials=2, logs=tmp_path, observer=stop_after_the_first)
    assert seen[0] == "0/3 tasks" and seen[-1].startswith("1/3 tasks, 0:")
    job = run_job(tasks, trials=2, logs=tmp_path)
    assert [task.key for task in job.skipped] == [KEYS[1]]
    assert [session.task.key for session in job.sessions] == [KEYS[0], KEYS[2]]
    assert [session.measured for session in job.sessions] == [2, 2] and job.errors == {}
    records = log.read_log(log.log_path(tmp_path, "rpi4", "conv2d"))
    assert [r.task for r in records] == [KEYS[i] for i in (1, 1, 0, 0, 2, 2)]
    assert run_job(tasks, trials=2, logs=tmp_path).skipped == [tasks[i] for i in (1, 0, 2)]
    assert len(log.read_log(log.log_path(tmp_path, "rpi4", "conv2d"))) == 6


def test_what_stops_one_task_does_not_stop_the_others(
    tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Session):
        def start_batch(self) -> bool:
            if self.progress.task.key == KEYS[0]:
                raise RuntimeError("a template's mistake\nwith details")
            return super().start_batch()

    monkeypatch.setattr(jobs, "Session", Failing)
    store(tasks[1], tmp_path, error="build: no")
    last: list[str] = []

    def observe(job: Job) -> None:
        if job.last and [job.last.key] != last[-1:]:
            last.append(job.last.key)

    job = run_job(tasks, trials=1, logs=tmp_path, observer=observe)
    assert job.errors == {("rpi4", KEYS[0]): "RuntimeError: a template's mistake"}
    assert (last, job.done) == ([KEYS[0], KEYS[2]], 3)
    assert job.skipped == [tasks[1]]  # it had its trial, which failed


def test_a_task_alone_has_its_bad_log_as_bad_input(tasks: list[Task], tmp_path: Path) -> None:
    """One line and exit code 2; in a job of several it is kept beside its task."""
    record = log.new_record(tasks[0], default_knobs(tasks[0]) | {"tile": [5, 9]}, "modelled")
    log.append(log.log_path(tmp_path, "rpi4", "conv2d"), [record])
    with pytest.raises(InputError, match=r"conv2d.jsonl:1: knob 'tile' is \[5, 9\], allowed"):
        run_job(tasks[:1], trials=2, logs=tmp_path)
    errors = run_job(tasks[:2], trials=2, logs=tmp_path).errors
    assert list(errors) == [("rpi4", KEYS[0])]
    assert errors["rpi4", KEYS[0]].startswith(str(tmp_path))


def test_time_left_counts_multiply_adds(tasks: list[Task]) -> None:
    job = Job(tasks, 1)
    assert job.time_left is None
    job.sessions.append(Progress(tasks[0], 1, done=1, measured=1))
    job.started -= 10
    assert job.time_left == pytest.approx(20, rel=0.01)
    assert (duration(61), duration(3661)) == ("1:01", "1:01:01")


def test_networks_go_without_operator_and_workload(refused) -> None:
    to = ["--target", "rpi4"]
    assert "--target T is needed" in refused("tune", "conv2d")
    assert "either an OPERATOR, --network NAME or --job" in refused("tune", *to)
    assert "either an OPERATOR" in refused("tune", "conv2d", "--network", "resnet18", *to)
    assert "did you mean 'resnet18'" in refused("tune", "--network", "resnet19", *to)
    key = ["--workload", KEYS[0]]
    assert "goes with an OPERATOR" in refused("tune", "--network", "resnet18", *key, *to)
