"""ResNet-18's 3x3 layers of few bits against the goals, of made-up figures; the peer's log."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tvm_ops.errors import InputError
from tvm_ops.few_bit import by_hand
from tvm_ops.few_bit.by_hand import measure_by_hand, version_of
from tvm_ops.few_bit.layer_tables import each_layer, goals
from tvm_ops.few_bit.layers import BY_HAND, COLUMNS, FewBitLayer, few_bit_layers, read_layers
from tvm_ops.operators import bitserial_conv2d
from tvm_ops.peers.figures import Figure, append_figures, figures_path, read_figures
from tvm_ops.peers.peer import PeerResult
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.tuning.log import append, log_path, new_record

RPI4 = get_target("rpi4")
DATE = "2026-03-04T05:06:07+00:00"
FLOATS = "conv2d-n1_ci{c}_h{h}_w{h}_co{c}_k3_s1_p1{relu}-f32"


def record(logs: Path, task: Task, cycles: int) -> None:
    found = new_record(task, {"sketch": "x"}, "modelled", seconds=[1.0], cycles=cycles)
    append(log_path(logs, "rpi4", task.operator), [replace(found, checked=True)])


def figure(task: str, peer: str, cycles: int) -> Figure:
    return Figure(task, "rpi4", peer, "1", "modelled", cycles, 1.0, 0.0, None, DATE)


def test_the_layers_are_those_of_resnet18():
    for bits, glue in ((1, "bipolar_thr1"), (2, "unipolar_thr2")):
        keys = [task.key for task in few_bit_layers(RPI4, bits)]
        assert keys == [
            f"bitserial_conv2d-n1_ci{c}_h{h}_w{h}_co{c}_k3_s1_p1_a{bits}_w1_{glue}-u64"
            for c, h in [(64, 56), (128, 28), (256, 14), (512, 7)]
        ]


def test_what_the_logs_say(tmp_path):
    one, two = (few_bit_layers(RPI4, bits)[1] for bits in (1, 2))
    record(tmp_path, one, 1000)
    record(tmp_path, two, 1900)
    figures = [
        figure(one.key, BY_HAND, 1100),
        figure(FLOATS.format(c=128, h=28, relu=""), "ncnn", 7000),
        figure(FLOATS.format(c=128, h=28, relu="_none"), "mnn", 6500),
        figure(FLOATS.format(c=256, h=14, relu=""), "mnn", 10),
    ]
    append_figures(figures_path(tmp_path, "rpi4"), figures)
    first, found, third, fourth = read_layers(RPI4, tmp_path)
    macs = 28 * 28 * 128 * 9 * 128
    assert found == FewBitLayer("rpi4", "128@28", macs, 1000, 1900, 1100, 6500, "MNN")
    assert (found.over_float, found.over_by_hand) == (6.5, 1.1)
    assert found.share == pytest.approx(1 / 1.9)
    assert found.macs_per_cycle == macs / 1000
    assert FewBitLayer.of_json(asdict(found)) == found
    assert (first.one, first.float32, first.over_float) == (None, None, None)
    assert (third.float32, fourth.fastest) == (10, "")
    text = "\n".join(each_layer({"rpi4": [found, fourth]}))
    assert "| rpi4 | 128@28 | 0.001 | 115605.5 |" in text
    assert "| rpi4 | 512@7 | – | – | – | – | – | – | – | – | – |" in text
    with pytest.raises(InputError, match="few-bit layer: "):
        FewBitLayer.of_json({"speed": 1})


def made(name: str, cycles: float, **changed: int | None) -> FewBitLayer:
    values = {"one": int(1e6 / cycles), "two": 4000, "by_hand": 2000, "float32": 20000}
    return FewBitLayer("rpi4", name, 1_000_000, **(values | changed), fastest="ours")


def test_goals_are_means_over_their_layers():
    found = [made("64@56", 70), made("128@28", 80), made("256@14", 90), made("512@7", 70)]
    wide, narrow, over_hand, over_float, share = (c.reached(found) for c in COLUMNS)
    assert wide.value == pytest.approx((80 * 90 * 70) ** (1 / 3), rel=1e-3) and wide.met
    assert narrow.value == pytest.approx(70, rel=1e-3) and narrow.least == 66
    assert over_hand.value == pytest.approx(2000 * (70 * 80 * 90 * 70) ** 0.25 / 1e6, rel=1e-3)
    assert over_hand.met is False and over_float.met is False
    assert share.value and over_float.value == pytest.approx(10 * over_hand.value, rel=1e-3)
    found[2] = replace(found[2], by_hand=None)
    open_goal = COLUMNS[2].reached(found)
    assert (open_goal.value, open_goal.met, open_goal.incomplete) == (None, None, 1)
    text = "\n".join(goals({"rpi4": found}))
    assert "| MAC/cycle, 64@56 | 70.0 (≥ 66) |" in text
    assert "| over our hand-written kernel | – (≥ 1.05) incomplete: 3 of 4 layers |" in text
    assert "| **1.54** (≥ 6) |" in text


def test_the_peer_is_measured_once_for_its_sources(tmp_path, monkeypatch):
    tried: list[str] = []

    class Peer:
        def measure(self, task, board, arrays):
            tried.append(task.key)
            output = bitserial_conv2d.reference(task.workload, arrays)
            if len(tried) == 2:
                output = output ^ (np.arange(output.size).reshape(output.shape) == 5)
            return PeerResult(BY_HAND, "gcc", [1e-3], 1000 * len(tried), output)

    monkeypatch.setattr(by_hand, "Handwritten", Peer)
    tasks = few_bit_layers(RPI4, 1)[2:]  # the smallest, to be quick
    monkeypatch.setattr(by_hand, "few_bit_layers", lambda *_: tasks)
    problems = measure_by_hand(RPI4, tmp_path)
    assert problems == [f"rpi4 {tasks[1].key}: wrong result: 1 of {7 * 7 * 512} differ"]
    first, second = read_figures(figures_path(tmp_path, "rpi4"))
    assert (first.cycles, first.max_error, first.why_not) == (1000, 0.0, None)
    assert (first.peer, first.version) == (BY_HAND, version_of(RPI4))
    assert (second.cycles, second.seconds) == (None, None)
    assert measure_by_hand(RPI4, tmp_path) == [] and len(tried) == 2
    measure_by_hand(RPI4, tmp_path, again=True)
    assert len(tried) == 4 and read_layers(RPI4, tmp_path)[3].by_hand == 4000
    monkeypatch.setattr(by_hand, "version_of", lambda _target: "another")
    measure_by_hand(RPI4, tmp_path)
    assert len(tried) == 6
