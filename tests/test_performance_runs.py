"""The runs behind the performance tables: the logs' best again, untuned layers, the host."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from performance_logs import (
    BOTTLENECK,
    DATE,
    RPI4,
    THREES,
    WIDE,
    ours,
    rerun_of,
)

from tvm_ops.chooser import layer_tasks
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.performance import rerun as rerun_module
from tvm_ops.performance import untuned as untuned_module
from tvm_ops.performance.host import HostTime, means
from tvm_ops.performance.layers import read_rows
from tvm_ops.performance.rerun import read_reruns, rerun_all, reruns_path
from tvm_ops.performance.untuned import (
    fallback,
    measure_untuned,
    read_untuned,
    summarise,
    untuned_path,
)
from tvm_ops.template import default_knobs
from tvm_ops.tuning.log import log_path, read_log
from tvm_ops.tuning.measure import Measurer, Outcome


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_the_hosts_means():
    times = [
        HostTime("a", "a", True, 1.0, {"ncnn": 2.0}, {}, {}, DATE),
        HostTime("b", "b", True, 1.0, {"ncnn": 0.5, "onnxruntime": 3.0}, {}, {}, DATE),
        HostTime("c", "c", True, None, {"ncnn": 9.0}, {}, {"tvm_ops": "crashed"}, DATE),
    ]
    assert means(times) == {
        "ncnn": (pytest.approx(1.0), 2),
        "onnxruntime": (pytest.approx(3.0), 1),
    }
    assert math.isclose(means(times[:1])["ncnn"][0], 2.0)


def test_the_fallback_hides_all_of_the_same_shape(logs):
    shape = [x for x in THREES if x.workload.ci == 64]
    assert len(shape) == 2  # with relu and with none
    for layer in shape:
        ours(logs, layer, 1000)
    task = layer_tasks(shape[0], RPI4, "nchw4c")[0]
    records = read_log(log_path(logs, "rpi4", "conv2d"))
    bests = [(layer_tasks(x, RPI4, "nchw4c")[0], r) for x, r in zip(shape, records, strict=True)]
    assert fallback(task, bests) == (default_knobs(task), None)
    other = layer_tasks(next(x for x in THREES if x.workload.ci == 128), RPI4, "nchw4c")[0]
    knobs, source = fallback(task, [*bests, (other, replace(records[0], task=other.key))])
    assert source == other.key
    assert knobs["sketch"] == records[0].knobs["sketch"]


def test_untuned_layers_are_measured_once_and_held_against_the_tuned(logs, tmp_path, monkeypatch):
    for layer, cycles in ((BOTTLENECK, 1000), (THREES[0], 500)):
        ours(logs, layer, cycles)
    rows = read_rows([BOTTLENECK, THREES[0], WIDE[0]], RPI4, logs)
    measured = []

    def measure(self, knobs, cycle_limit=None):
        measured.append(self.task.key)
        if self.task.workload.kernel == (3, 3):
            return Outcome([], error="build: no")
        return Outcome([1e-6], 1500, 1e-6)

    monkeypatch.setattr(Measurer, "measure", measure)
    other = {"sketch": "other"}
    monkeypatch.setattr(untuned_module, "fallback", lambda task, bests: (other, None))
    path = untuned_path(tmp_path, "rpi4")
    for _ in range(2):
        measure_untuned(rows, RPI4, logs, path)
    assert len(measured) == 2 == len(read_untuned(tmp_path, "rpi4"))
    found = summarise(rows, read_untuned(tmp_path, "rpi4"))
    assert found.layers == 2
    assert sorted(found.ratios.values()) == [1.5, math.inf]
    assert found.worst and found.worst.endswith("k3_s1_p1_c4-f32")
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["ratios"][found.worst] is None


def test_records_are_run_again_once(logs, tmp_path, monkeypatch):
    for layer in (BOTTLENECK, THREES[0]):
        ours(logs, layer, 1000)
    rows = read_rows([BOTTLENECK, THREES[0]], RPI4, logs)
    entries = [(row.blocked.task, row.blocked.record) for row in rows if row.blocked]
    ran = []

    def run(task, record):
        ran.append(task.key)
        if task.workload.kernel == (3, 3):
            raise CheckFailed("wrong result")
        return rerun_of(rows[0], cycles=1002)

    monkeypatch.setattr(rerun_module, "_rerun", run)
    path = reruns_path(tmp_path, "rpi4")
    for times in (1, 2):
        problems = rerun_all(entries, path)
        assert len(problems) == 2  # also of what was run before
        assert sum("a new run 1002" in p for p in problems) == 1
        assert sum("wrong result" in p for p in problems) == 1
        assert len(read_reruns(tmp_path, "rpi4")) == 1
        assert len(ran) == 1 + times  # what failed is tried again
    rerun_all(entries, path, again=True)
    assert len(ran) == 5


def test_a_rerun_may_differ_by_the_place_of_the_code(logs):
    ours(logs, BOTTLENECK, 10_000)
    (row,) = read_rows([BOTTLENECK], RPI4, logs)
    runs = [rerun_of(row, cycles=cycles) for cycles in (10_000, 10_010, 9_980)]
    assert [run.is_exact for run in runs] == [True, False, False]
    assert [run.agrees for run in runs] == [True, True, False]


def test_bad_lines_of_runs_are_named(tmp_path):
    path = reruns_path(tmp_path, "rpi4")
    for line in ("{", "[]", '{"task": "x"}'):
        path.write_text(line + "\n")
        with pytest.raises(InputError, match=r"rpi4-reruns\.jsonl:1: "):
            read_reruns(tmp_path, "rpi4")
