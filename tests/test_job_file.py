"""Job files: what they say, and what is wrong in them, in one line before anything is tuned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_ops.errors import InputError
from tvm_ops.tuning.duration import seconds
from tvm_ops.tuning.job_file import read_plan

KEY = "conv2d-n1_ci8_h6_w6_co8_k1_s1_p0-f32"
GOOD = f"""\
targets: [rpi4, rpi3]
tasks:
  - operator: conv2d
    workloads: [{KEY}]
    weight: 2.5
  - network: resnet18
    layout: nchw4c
budget: 500
time_limit: 1h30m
tuner: evolutionary
logs: mine
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text)
    return path


def test_tasks_weights_and_options(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path, GOOD))
    assert plan.options == {
        "budget": 500,
        "trials": 500,
        "time_limit": "1h30m",
        "tuner": "evolutionary",
        "logs": tmp_path / "mine",
    }
    assert plan.weights["rpi4", KEY] == plan.weights["rpi3", KEY] == 2.5
    keys = [task.key for task in plan.tasks if task.target.name == "rpi4"]
    assert keys[0] == KEY and len(keys) == len(set(keys)) == len(plan.tasks) / 2
    block = "conv2d-n1_ci64_h56_w56_co64_k3_s1_p1_c4-f32"
    assert plan.weights["rpi4", block] == 2  # the network has this layer twice


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "budget: 500",
            "budgett: 500",
            "job.yaml:8: unknown key 'budgett', did you mean 'budget'?",
        ),
        (
            "budget: 500",
            "budget: many",
            "job.yaml:8: budget is 'many', it has to be a whole number from 1 on",
        ),
        ("budget: 500", "budget: true", "budget is True, it has to be a whole number"),
        ("budget: 500", "budget: 5\nbudget: 6", "job.yaml:9:1: 'budget' is there twice; a job"),
        ("1h30m", "soon", "time_limit is 'soon', it has to be a duration, as 90s, 30m"),
        (
            "evolutionary",
            "genetic",
            "job.yaml:10: tuner is 'genetic', it has to be one of xgb, evolutionary",
        ),
        (
            "[rpi4, rpi3]",
            "[rpi9]",
            "job.yaml:1: targets is ['rpi9'], did you mean 'rpi5'? it has to be a list",
        ),
        ("[rpi4, rpi3]", "rpi4", "targets is 'rpi4', it has to be a list of one or more of rpi3"),
        ("targets: [rpi4, rpi3]\n", "", "'targets' is missing: a list of one or more of"),
        (
            "operator: conv2d",
            "operator: conv3d",
            "job.yaml:3: tasks, entry 1: operator is 'conv3d', did you mean 'conv2d'? it has",
        ),
        (KEY, KEY.replace("h6", "h0"), "job.yaml:3: tasks, entry 1: workload n1_ci8_h0"),
        (KEY, "dense-n1_ci8_co8-f32", "entry 1: workload 'dense-n1_ci8_co8-f32' is not of conv2d"),
        ("weight: 2.5", "weihgt: 2", "job.yaml:5: tasks, entry 1: unknown key 'weihgt', did you"),
        (
            "weight: 2.5",
            "weight: -1",
            "job.yaml:5: tasks, entry 1: weight is -1, it has to be a positive number",
        ),
        (
            "network: resnet18",
            "network: resnet81",
            "job.yaml:6: tasks, entry 2: network is 'resnet81', did you mean 'resnet18'?",
        ),
        ("network: resnet18", "weight: 1", "entry 2: either 'operator' or 'network' is needed"),
        ("    weight: 2.5", "    layout: nchw", "entry 1: 'layout' goes with 'network'"),
        ("layout: nchw4c", f"workloads: [{KEY}]", "entry 2: 'workloads' goes with 'operator'"),
        ("tasks:", "tasks: [", "job.yaml:3:3: expected the node content"),
        ("tasks:", "tasks: {a: 1}\nx:", "tasks is {'a': 1}, it has to be a list of entries"),
        (GOOD, "just text", "job.yaml: has to have entries like 'targets: ...'"),
        (GOOD, "? [a]\n: 1", "job.yaml:1:3: found unhashable key"),
        (GOOD, "targets: &a [*a]", "job.yaml:1:10: found unconstructable recursive node"),
        (GOOD, "&a {targets: *a}", "found unconstructable recursive node"),
        (GOOD, "a: \x00", "a job file is YAML, docs/tuning.md has one"),
        (GOOD, "a: !!python/object:os.system 1", "could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_plan(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_files_that_cannot_be_read_and_options_that_the_file_says(refused, tmp_path: Path) -> None:
    assert "No such file or directory; a job file is YAML" in refused("tune", "--job", "no.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    assert "bytes.yaml: no UTF-8 text" in refused("tune", "--job", "bytes.yaml")
    write(tmp_path, GOOD)
    for option in (["--trials", "3"], ["--target", "rpi4"], ["--no-transfer"], ["--seed", "0"]):
        assert f"{option[0]} goes without --job" in refused("tune", "--job", "job.yaml", *option)
    both = refused("tune", "conv2d", "--job", "job.yaml")
    assert "either an OPERATOR, --network NAME or --job FILE" in both


def test_a_log_that_is_broken_is_said_before_any_trial(run_cli, tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "mine/rpi3").mkdir(parents=True)
    (tmp_path / "mine/rpi3/winograd_conv2d.jsonl").write_text('{"task": 1}\n{"x"\n')
    done = run_cli("tune", "--job", "job.yaml")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "winograd_conv2d.jsonl:1: no field 'board'" in done.stderr
    assert not (tmp_path / "mine/rpi4").exists()


def test_durations() -> None:
    assert [seconds(text) for text in ("90s", "30m", "1h30m", "7d")] == [90, 1800, 5400, 604800]
    for text in ("", "5", "m", "30m1h", "1.5h", "-1s", "0s", 90):
        with pytest.raises(InputError, match="is no duration, as 90s"):
            seconds(text)
