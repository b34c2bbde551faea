"""Which operator does a layer, on made-up logs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tvm_ops.chooser import choose, contenders, layer_tasks
from tvm_ops.errors import InputError
from tvm_ops.networks import Layer, all_layers, kind
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.log import append, log_path, new_record

RPI4 = get_target("rpi4")
SHAPE = "n1_ci64_h56_w56_co64_k3_s1_p1-f32"
PLAIN = parse_task("conv2d", f"conv2d-{SHAPE}", RPI4)
WINOGRAD = parse_task("winograd_conv2d", f"winograd_conv2d-{SHAPE}", RPI4)
LAYER = Layer("conv2d", PLAIN.workload, 1)


def store(
    root: Path, task: Task, ms: float, m: list[int] | None = None, rows: int | None = None
) -> None:
    knobs = default_knobs(task) | ({"m": m} if m else {})
    error = 1e-6 * (m[0] if m else 1)
    record = new_record(
        task, knobs, "modelled", seconds=[ms / 1e3], cycles=1, max_error=error, slice=rows
    )
    append(log_path(root, "rpi4", task.operator), [record])


def variants(root: Path) -> list[tuple[str, str, float | None]]:
    ways = contenders(LAYER, RPI4, "nchw", root)
    return [(c.task.operator, c.variant, c.seconds and 1e3 * c.seconds) for c in ways]


def test_only_3x3_layers_of_stride_1_have_two_ways() -> None:
    for layer in all_layers():
        if layer.operator == "conv2d":
            names = [task.operator for task in layer_tasks(layer, RPI4, "nchw")]
            winograd = ["winograd_conv2d"] if kind(layer) == "3x3 stride 1" else []
            assert names == ["conv2d", *winograd]


def test_layouts() -> None:
    image = dataclasses.replace(PLAIN.workload, ci=3)
    for workload, block in ((PLAIN.workload, (4, 4)), (image, (1, 4))):
        layer = Layer("conv2d", workload, 1)
        assert all(t.workload.block == (1, 1) for t in layer_tasks(layer, RPI4, "nchw"))
        for task in layer_tasks(layer, RPI4, "nchw4c"):
            assert task.workload.block == block
            assert get_schedule(task.operator).space(task.workload, RPI4)
    with pytest.raises(InputError, match="unknown layout 'nhwc'; known: nchw, nchw4c"):
        layer_tasks(LAYER, RPI4, "nhwc")


def test_the_fastest_checked_whole_record_wins(tmp_path: Path) -> None:
    assert variants(tmp_path) == [("conv2d", "", None), ("winograd_conv2d", "", None)]
    store(tmp_path, PLAIN, 7.0)
    assert variants(tmp_path) == [("conv2d", "", 7.0), ("winograd_conv2d", "", None)]
    store(tmp_path, WINOGRAD, 0.5, [6, 6], rows=12)
    store(tmp_path, WINOGRAD, 9.0, [4, 4])
    store(tmp_path, WINOGRAD, 8.0, [4, 4])
    store(tmp_path, WINOGRAD, 6.0, [6, 4])
    assert variants(tmp_path) == [
        ("winograd_conv2d", "F(6x4, 3x3)", 6.0),
        ("conv2d", "", 7.0),
        ("winograd_conv2d", "F(4, 3)", 8.0),
    ]
    task, record = choose(LAYER, RPI4, "nchw", tmp_path)
    assert task == WINOGRAD and record and record.cost == 6e-3
    store(tmp_path, PLAIN, 5.0)
    assert choose(LAYER, RPI4, "nchw", tmp_path)[0] == PLAIN


def test_a_layer_without_a_schedule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_schedule("conv2d"), "space", lambda w, target: {})
    monkeypatch.setattr(get_schedule("winograd_conv2d"), "space", lambda w, target: {})
    with pytest.raises(InputError, match=f"{PLAIN.key}: no schedule for layout nchw"):
        choose(LAYER, RPI4, "nchw")


def test_command_line(run_cli, refused, tmp_path: Path) -> None:
    store(tmp_path / "logs", WINOGRAD, 6.0, [6, 6])
    to = ["choose", "--target", "rpi4", "--logs", "logs"]
    done = run_cli(*to, "--workload", PLAIN.key, "--json", "out.json")
    assert done.returncode == 0, done.stderr
    title, _, *lines = done.stdout.splitlines()
    assert title == PLAIN.key
    assert lines[0].split()[:4] == ["winograd_conv2d", "F(6,", "3)", "6.000"]
    assert lines[0].split()[5:] == ["1.000", "6.0e-06", "chosen"]
    assert lines[1].split() == ["conv2d", "not", "tuned"]
    (layer,) = json.loads((tmp_path / "out.json").read_text())["layers"]
    assert layer["task"] == PLAIN.key
    assert [c["note"] for c in layer["contenders"]] == ["chosen", "not tuned"]

    five = run_cli(*to, "--workload", PLAIN.key.replace("k3_s1_p1", "k5_s1_p2"))
    assert five.returncode == 0 and "winograd" not in five.stdout

    done = run_cli(*to, "--network", "resnet18", "--layout", "nchw")
    titles = [line for line in done.stdout.splitlines() if "-f32" in line]
    assert len(titles) == 8 and PLAIN.key in titles
    assert "not both" in refused(*to, "--workload", PLAIN.key, "--network", "resnet18")
    assert "unknown network" in refused(*to, "--network", "resnet")
