"""The log of the peers' figures, and the job that fills it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT

from tvm_ops import cli_peers
from tvm_ops.errors import InputError
from tvm_ops.few_bit.layers import BY_HAND, few_bit_layers
from tvm_ops.networks import NETWORKS, Layer, all_layers
from tvm_ops.operators._dense import DenseWorkload, dense_reference
from tvm_ops.peers import figures as module
from tvm_ops.peers.figures import (
    ERROR_BOUND,
    Figure,
    append_figures,
    canonical_key,
    figures_path,
    lookup,
    measure_figures,
    missing,
    read_figures,
)
from tvm_ops.peers.library import Library
from tvm_ops.peers.peer import PeerResult
from tvm_ops.targets import NAMES, get_target

RPI4 = get_target("rpi4")
KEY = "conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32"
FIGURE = Figure(
    KEY, "rpi4", "ncnn", "1.0", "modelled", 1800, 1e-6, 1e-5, None, "2026-01-01T00:00:00+00:00"
)
LAYERS = [Layer("dense", DenseWorkload(1, 8, co), 1) for co in range(4, 14)]


def test_written_figures_are_read_again(tmp_path):
    path = figures_path(tmp_path, "rpi4")
    assert read_figures(path) == []
    append_figures(path, [FIGURE])
    append_figures(path, [replace(FIGURE, cycles=None, seconds=None, why_not="crashed")])
    assert path == tmp_path / "rpi4/peers.jsonl"
    assert [figure.cycles for figure in read_figures(path)] == [1800, None]
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("line", ["{", "[]", '{"task": "x"}', json.dumps({"cycle": 1})])
def test_bad_lines_are_named(tmp_path, line):
    path = tmp_path / "peers.jsonl"
    append_figures(path, [FIGURE])
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"peers\.jsonl:2: "):
        read_figures(path)


def test_the_last_figure_of_a_version_counts():
    newer, other = replace(FIGURE, cycles=1700), replace(FIGURE, version="2.0", cycles=1600)
    known = [FIGURE, other, newer]
    assert lookup(known, KEY, "ncnn", "1.0") == newer
    assert lookup(known, KEY, "ncnn") == newer
    assert lookup(known, f"winograd_{KEY}", "ncnn", "2.0") == other
    assert lookup(known, KEY, "mnn") is None
    assert canonical_key(f"winograd_{KEY}") == KEY
    for tokens in ("_c4", "_c1x4", "_c16x8"):
        assert canonical_key(KEY.replace("-f32", f"{tokens}-f32")) == KEY
    assert canonical_key("dense-n1_ci8_co4_none-f32") == "dense-n1_ci8_co4_none-f32"


class Fake(Library):
    """Answers with numpy's own result, of one layer a wrong one, and interrupts when told."""

    about = library = package = "fake"
    asked: list[int]
    interrupt_at = 99

    def version_on(self, target):
        return "1.0"

    def write_network(self, work, arrays, folder, target):
        raise AssertionError("not needed")

    def measure_all(self, tasks, board, data, timeout=0.0):
        if len(self.asked) == self.interrupt_at:
            raise KeyboardInterrupt
        self.asked.append(len(tasks))
        results = []
        for task, arrays in zip(tasks, data, strict=True):
            y = dense_reference(task.workload, arrays).astype(np.float32)
            y[0, 0] += 0.1 * np.abs(y).max() if task.workload.co == 5 else 0
            results.append(PeerResult("fake", "1.0", [1e-6], 1800, y))
        return results


@pytest.fixture
def fake(monkeypatch):
    peer = Fake("fake")
    peer.asked = []
    monkeypatch.setattr(module, "get_peer", lambda _name: peer)
    return peer


def test_measuring_is_resumed_where_it_was_interrupted(fake, tmp_path):
    fake.interrupt_at = 1
    with pytest.raises(KeyboardInterrupt):
        measure_figures(LAYERS, RPI4, ["fake"], logs=tmp_path)
    assert len(read_figures(figures_path(tmp_path, "rpi4"))) == module.BATCH
    fake.interrupt_at = 99
    lines = []
    measure_figures(LAYERS, RPI4, ["fake"], logs=tmp_path, report=lines.append)
    measure_figures(LAYERS, RPI4, ["fake"], logs=tmp_path)
    assert fake.asked == [module.BATCH, len(LAYERS) - module.BATCH]
    assert lines[-1] == "rpi4 fake: dense-n1_ci8_co13-f32: 0.002 Mcycles"
    measure_figures(LAYERS[:1], RPI4, ["fake"], logs=tmp_path, again=True)
    assert len(read_figures(figures_path(tmp_path, "rpi4"))) == len(LAYERS) + 1


def test_a_wrong_result_has_no_time(fake, tmp_path):
    measure_figures(LAYERS[:2], RPI4, ["fake"], logs=tmp_path)
    good, wrong = read_figures(figures_path(tmp_path, "rpi4"))
    assert (good.cycles, good.seconds, good.why_not) == (1800, 1e-6, None)
    assert good.max_error < 1e-6
    assert (wrong.cycles, wrong.seconds) == (None, None)
    assert wrong.why_not.startswith("wrong result: error 1.0")
    assert wrong.max_error == pytest.approx(0.1, rel=0.1)


def test_missing_figures(tmp_path):
    layer = next(layer for layer in all_layers() if layer.key == KEY)
    assert list(missing([layer], [FIGURE], ["ncnn", "mnn"])) == [(layer, "mnn")]


def test_only_libraries_are_measured():
    with pytest.raises(InputError, match="'handwritten' is no library"):
        measure_figures([], RPI4, ["handwritten"])


def test_the_job_says_what_is_wrong(capsys, tmp_path):
    assert cli_peers.main(["rpi9", "--logs", str(tmp_path)]) == 2
    assert "unknown target 'rpi9'" in capsys.readouterr().err


ONE_BIT = {task.key for task in few_bit_layers(get_target("rpi4"), 1)}
COMMITTED = sorted((ROOT / "tuning_logs").glob("*/peers.jsonl"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_committed_figures_are_of_the_networks_layers(path):
    known = {layer.key for layer in all_layers(tuple(NETWORKS))}
    assert path.parent.name in NAMES
    for figure in read_figures(path):
        by_hand = figure.peer == BY_HAND
        assert figure.task in (ONE_BIT if by_hand else known)
        assert (figure.target, figure.board) == (path.parent.name, "modelled")
        assert by_hand or figure.peer in module.PEERS
        assert (figure.cycles is None) == (figure.why_not is not None)
        assert figure.max_error is None or figure.why_not or figure.max_error <= ERROR_BOUND
