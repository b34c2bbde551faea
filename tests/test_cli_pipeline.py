"""tune, build, bundle and run by the command line, on this machine; and stopping in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from tvm_ops.tuning.log import read_log

KEY = "winograd_conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32"
TASK = ["winograd_conv2d", "--target", "host", "--workload", KEY]
COMMAND = [sys.executable, "-m", "tvm_ops"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def run(folder: Path, *arguments: str) -> str:
    """Standard output of a command line that has to succeed."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Path:
    """A folder with ``logs`` of three trials, what ``tune`` printed, its JSON, and a bundle."""
    folder = tmp_path_factory.mktemp("tuned")
    logs = ["--logs", "logs"]
    printed = run(folder, "tune", *TASK, *logs, "--trials", "3", "--json", "tune.json")
    (folder / "tune.txt").write_text(printed)
    run(folder, "bundle", *TASK, *logs, "-o", "host.tar.gz")
    return folder


def test_tune_logs_every_trial_and_tells_the_best(tuned):
    records = read_log(tuned / "logs/host/winograd_conv2d.jsonl")
    assert len(records) == 3
    assert {record.task for record in records} == {KEY}
    (row,) = json.loads((tuned / "tune.json").read_text())["rows"]
    assert row["trials"] == row["new"] == 3
    costs = [record.cost for record in records if record.cost]
    assert row["ms"] == pytest.approx(min(costs) * 1e3)
    printed = (tuned / "tune.txt").read_text()
    assert "3/3 trials | best " in printed
    assert "wall clock" in printed


def test_tune_does_not_measure_again_what_the_log_knows(tuned):
    run(tuned, "tune", *TASK, "--logs", "logs", "--trials", "3", "--json", "again.json")
    (row,) = json.loads((tuned / "again.json").read_text())["rows"]
    assert (row["trials"], row["new"]) == (3, 0)
    assert len(read_log(tuned / "logs/host/winograd_conv2d.jsonl")) == 3


def test_build_writes_the_best_kernel_and_says_so(tuned):
    printed = run(tuned, "build", *TASK, "--logs", "logs", "-o", "out", "--json", "build.json")
    facts = json.loads((tuned / "build.json").read_text())
    assert facts["tasks"][0]["knobs_from"].startswith("tuned, ")
    assert {Path(name).suffix for name in facts["files"]} == {".so", ".h", ".json", ".s"}
    for name in facts["files"]:
        assert (tuned / name).stat().st_size > 0
        assert name in printed


def test_without_a_log_the_default_knobs_are_built(tuned):
    (tuned / "empty").mkdir()
    printed = run(tuned, "build", *TASK, "--logs", "empty", "-o", "out-default")
    assert "default, not tuned" in printed


def test_run_checks_each_task_of_a_bundle(tuned):
    printed = run(tuned, "run", "host.tar.gz", "--check", "--json", "run.json")
    assert "wall clock" in printed
    (row,) = json.loads((tuned / "run.json").read_text())["rows"]
    assert row["task"] == KEY
    assert row["error"] is None
    assert 0 < row["max_abs_error"] < row["bound"]
    assert row["ms"] > 0


def test_compare_prints_and_writes_the_same_facts(tuned):
    arguments = ["--logs", "logs", "--against", "ncnn,handwritten", "--json", "compare.json"]
    printed = run(tuned, "compare", *TASK, *arguments)
    assert "wall clock" in printed
    facts = json.loads((tuned / "compare.json").read_text())
    assert (facts["target"], facts["board"]) == ("host", "host")
    (row,) = facts["rows"]
    assert row["task"] == KEY
    assert [peer["name"] for peer in row["peers"]] == ["ncnn", "handwritten"]
    for peer in row["peers"]:
        assert peer["ratio"] == pytest.approx(peer["ms"] / row["ours"]["ms"])
        assert 0 <= peer["max_abs_error"] < 1e-2
        assert f"{peer['ms']:.3f}" in printed
        assert facts["geomean"][peer["name"]] == pytest.approx(peer["ratio"])


def test_ctrl_c_leaves_a_valid_log_and_the_same_command_goes_on(tmp_path):
    arguments = [*COMMAND, "tune", *TASK, "--logs", "logs", "--trials", "500"]
    log = tmp_path / "logs/host/winograd_conv2d.jsonl"
    with subprocess.Popen(
        arguments,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not (log.exists() and len(log.read_text().splitlines()) >= 2):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "tvm-ops: interrupted"
    before = read_log(log)
    known = len(before)
    run(tmp_path, "tune", *TASK, "--logs", "logs", "--trials", str(known + 1))
    after = read_log(log)
    assert after[:known] == before
    assert len(after) <= known + 1 + 1
    knobs = [json.dumps(record.knobs, sort_keys=True) for record in after]
    assert len(set(knobs)) == len(knobs)
