"""Candidates that loop, allocate, write, fork or crash the compiler; and when a job stops."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

from tvm_ops.errors import JobStopped
from tvm_ops.process import descendants
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning import failures, log, workers
from tvm_ops.tuning.run_job import run_job
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.trials import Trials
from tvm_ops.tuning.workers import WorkerPool

KEYS = [f"conv2d-n1_ci8_h{h}_w6_co8_k1_s1_p0-f32" for h in (6, 9)]
COMMAND = [sys.executable, str(ROOT / "tests/misbehaving_worker.py")]
ERRORS = {
    "loop": "run: timed out after 2 s",
    "allocate": "run: crashed: SIGABRT",
    "write": "run: crashed: SIGSEGV",
    "fork": "run: more than 32 processes at a time",
    "daemon": "run: timed out after 2 s",
    "wrong": "wrong result: ",
    "compiler allocates": "build: MemoryError",
    "compiler crashes": "crash: the worker was ended by SIGABRT",
    "well": None,
}


def task_of(key: str) -> Task:
    return parse_task("conv2d", key, get_target("host"))


@pytest.fixture
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    monkeypatch.setenv("MISBEHAVE", getattr(request, "param", ""))
    with WorkerPool(1, COMMAND) as pool:
        yield pool


def test_each_costs_its_time_and_one_line_and_the_job_goes_on(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(KEYS[0])
    path = log.log_path(tmp_path, "host", "conv2d")
    trials = Trials(Setting(task, "host", timeout=2.0), pool, path, [], lambda *_: None)
    for how, error in ERRORS.items():
        (record,) = trials.run([default_knobs(task) | {"how": how}])
        if error is None:
            assert record.cost
        else:
            assert record.error and "\n" not in record.error
            assert (how, record.error[: len(error)]) == (how, error)
    assert not [pid for pid in descendants(os.getpid()) if _is_kernel(pid)]
    monkeypatch.setattr(workers, "BUILD_TIMEOUT", 0.5)
    (record,) = trials.run([default_knobs(task) | {"how": "compiler hangs"}])
    assert record.error == "hang: no result after 2.5 s"
    assert [r.knobs["how"] for r in log.read_log(path)] == [*ERRORS, "compiler hangs"]


def _is_kernel(pid: int) -> bool:
    try:
        return b"/bench" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("pool", ["write"], indirect=True)
def test_when_nothing_works_a_task_stops_after_a_batch_and_a_job_after_two(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"trials": 50, "tuner": "random", "logs": tmp_path}
    with pytest.raises(JobStopped, match=r"the last 8 .* none has worked: run: crashed: SIGSEGV"):
        tune(task_of(KEYS[0]), pool=pool, **options)
    records = log.read_log(log.log_path(tmp_path, "host", "conv2d"))
    assert len(records) == 8 and all(record.error for record in records)
    monkeypatch.setattr("tvm_ops.tuning.run_job.open_pool", lambda *_: pool)
    with pytest.raises(JobStopped, match=r"h9_w6.* and a task before it: the last 8 candidates"):
        run_job([task_of(key) for key in KEYS], **options)


@pytest.mark.parametrize("pool", ["disk full"], indirect=True)
def test_a_full_disk_is_no_candidates_fault(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_WAITS", (0.0,) * 7)
    words = r"8 trials in a row could not be measured: .*No space left on device.*; free some space"
    with pytest.raises(JobStopped, match=words):
        tune(task_of(KEYS[0]), pool=pool, trials=50, tuner="random", logs=tmp_path)
    assert log.read_log(log.log_path(tmp_path, "host", "conv2d")) == []


def test_a_missing_compiler_is_said_before_any_trial(run_cli, tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "TVM_OPS_CACHE": str(tmp_path / "cache")}
    arguments = ["--target", "host", "--workload", KEYS[0], "--logs", "logs"]
    done = run_cli("tune", "conv2d", *arguments, env=env)
    assert done.returncode == 2 and not (tmp_path / "logs").exists()
    assert done.stderr == "tvm-ops: error: gcc is not installed; apt-get install gcc\n"
