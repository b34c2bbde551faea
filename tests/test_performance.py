"""The table of the networks' layers against the peers, on made-up logs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from performance_logs import (
    BOTTLENECK,
    LAYERS,
    RPI4,
    THREES,
    WIDE,
    ours,
    peers,
    rerun_of,
    row_of,
)

from tvm_ops import cli_performance
from tvm_ops.errors import InputError
from tvm_ops.networks import kind
from tvm_ops.peers.figures import PEERS
from tvm_ops.performance.documents import Facts, read_remarks, write_documents
from tvm_ops.performance.goals import GOALS, reached, shortfalls, value_text
from tvm_ops.performance.layers import read_rows
from tvm_ops.performance.markdown import BEGIN, END, replace_generated
from tvm_ops.performance.tables import goal_cell, layer_tables, short_name

BY_NAME = {goal.name.split(",")[0]: goal for goal in GOALS}


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


def test_ours_is_the_better_of_two_operators_and_the_peer_the_fastest_of_four(logs):
    layer = THREES[0]
    ours(logs, layer, 1000)
    ours(logs, layer, 600, which=1)
    ours(logs, layer, 700, which=1)
    peers(logs, layer, 900, 720, None, 800)
    row = row_of(logs, layer)
    assert row.blocked and row.blocked.task.operator == "winograd_conv2d"
    assert (row.blocked.cycles, row.blocked.record.max_error, row.blocked.trials) == (600, 2e-6, 3)
    assert row.fastest and row.fastest.peer == "mnn"
    assert row.ratio == pytest.approx(1.2)
    assert row.missing == []
    assert row.percent_of_peak == pytest.approx(100 * layer.workload.macs / (600 * 4))


def test_a_later_figure_of_a_peer_replaces_the_earlier_one(logs):
    peers(logs, THREES[0], 900, 500, 800, 800)
    peers(logs, THREES[0], 900, 950, 800, 700)
    fastest = row_of(logs, THREES[0]).fastest
    assert fastest and (fastest.peer, fastest.cycles) == ("onnxruntime", 700)


def test_slices_and_what_failed_or_was_measured_elsewhere_do_not_count(logs):
    layer = WIDE[0]
    ours(logs, layer, 10, slice=4)
    ours(logs, layer, 20, error="cut off", checked=False)
    ours(logs, layer, 30, checked=False)
    ours(logs, layer, 40, board="host")
    assert row_of(logs, layer).blocked is None
    ours(logs, layer, 500)
    found = row_of(logs, layer).blocked
    assert found and (found.cycles, found.trials) == (500, 4)  # trials that were made here


def test_the_two_layouts_are_apart(logs):
    ours(logs, WIDE[0], 800, layout="nchw")
    peers(logs, WIDE[0], 1, 1, 1, 1)
    row = row_of(logs, WIDE[0])
    assert row.plain and row.plain.cycles == 800
    assert (row.blocked, row.ratio, row.missing) == (None, None, ["not tuned"])


def test_geometric_means_count_each_layer_once(logs):
    for number, layer in enumerate(THREES):
        ours(logs, layer, 1000, which=1)
        peers(logs, layer, *[2000 if number % 2 else 500] * 4)
    found = reached(BY_NAME["3x3 stride 1"], read_rows(LAYERS, RPI4, logs), "rpi4")
    assert found.value == pytest.approx(1.0)
    assert (found.layers, found.incomplete, found.met) == (8, 0, False)
    assert goal_cell(found) == "**1.00** (≥ 1.25)"


def test_goals_are_met_missed_or_open(logs):
    goal = BY_NAME["3x3 stride 1"]
    for layer in THREES:
        ours(logs, layer, 1000, which=1)
        peers(logs, layer, 1300, 1300, 1300, 1300)
    rows = read_rows(LAYERS, RPI4, logs)
    assert goal_cell(reached(goal, rows, "rpi4")) == "1.30 (≥ 1.25)"
    assert reached(goal, rows, "rpi4").met is True
    assert value_text(goal, 1.2499, 1.25) == "1.2499"  # not rounded up to what it is below
    open_rows = [replace(row, blocked=None) if row.layer == THREES[0] else row for row in rows]
    assert reached(goal, open_rows, "rpi4").met is None
    assert goal_cell(reached(goal, open_rows, "rpi4")) == (
        "1.30 (≥ 1.25) incomplete: 7 of 8 layers"
    )
    # Of the worst layer 120 are not known, but one that is too low is too low.
    worst = reached(BY_NAME["worst single layer"], rows, "rpi4")
    assert (worst.value, worst.met, worst.incomplete) == (1.3, None, 120)


def test_a_layer_without_a_record_or_a_figure_is_incomplete_not_left_out(logs):
    untuned, lacking, untimed = WIDE[:3]
    peers(logs, untuned, 1, 1, 1, 1)
    ours(logs, lacking, 1000)
    peers(logs, lacking, 900)
    ours(logs, untimed, 1000)
    peers(logs, untimed, None, None, None, None, why_not="too small to time: …")
    rows = read_rows(WIDE[:3], RPI4, logs)
    assert rows[0].missing == ["not tuned"]
    assert rows[1].missing == [f"no figure of {name}" for name in PEERS[1:]]
    assert rows[2].missing == [] and rows[2].ratio is None
    found = reached(BY_NAME["worst single layer"], rows, "rpi4")
    assert (found.layers, found.incomplete, found.untimed, found.value) == (3, 2, 1, 0.9)
    text = "\n".join(layer_tables(rows))
    assert "not tuned" in text and "incomplete" in text and "too small" in text


def test_the_peak_needs_no_peer(logs):
    for layer in WIDE:
        ours(logs, layer, round(layer.workload.macs / 4 / 0.95))
    found = reached(BY_NAME["percent of peak"], read_rows(LAYERS, RPI4, logs), "rpi4")
    assert found.value == pytest.approx(95, rel=1e-4)
    assert (found.met, found.layers) == (True, len(WIDE))


def test_the_worst_layer_is_named(logs):
    for layer, cycles in ((THREES[0], 700), (WIDE[0], 900)):
        ours(logs, layer, 1000)
        peers(logs, layer, cycles, cycles, cycles, cycles)
    rows = read_rows(LAYERS, RPI4, logs)
    worst = reached(BY_NAME["worst single layer"], rows, "rpi4")
    assert (worst.value, worst.worst_layer, worst.met) == (0.7, THREES[0].key, False)
    row = next(row for row in rows if row.layer == THREES[0])
    assert shortfalls(row) == ["ratio 0.70, not 1.25", "below 0.85, which no layer should be"]
    assert shortfalls(next(row for row in rows if row.layer == THREES[1])) == []


def test_every_layer_counts_once_in_one_kind():
    ratios = [goal for goal in GOALS if goal.measure == "ratio"]
    outside = [x for x in LAYERS if sum(goal.has(x) for goal in ratios) != 1]
    assert {x.networks for x in outside} == {("resnet18",)}  # its shortcuts, in no 1x1 of the goals
    assert all(kind(x) == "1x1" for x in outside)
    assert all(BY_NAME["worst single layer"].has(x) for x in LAYERS)


def test_code_that_does_not_fit_the_instruction_cache_gains_nothing(logs):
    layer = WIDE[0]
    ours(logs, layer, 1000)
    peers(logs, layer, 1500, 1500, 1500, 1500)
    row = row_of(logs, layer)
    assert (row.fits, row.claimed) == (None, 1.5)
    for kib, fits, claimed in ((48, True, 1.5), (49, False, 1.0)):
        found = row_of(logs, layer, (rerun_of(row, kib=kib),))
        assert (found.fits, found.claimed, found.ratio) == (fits, claimed, 1.5)
    assert "code too large" in "\n".join(layer_tables([found]))
    ours(logs, layer, 900)  # another record: the run of the old one says nothing
    assert row_of(logs, layer, (rerun_of(row),)).rerun is None


def documents(root: Path) -> Path:
    """A folder with the two documents, their markers empty."""
    (root / "docs/performance").mkdir(parents=True)
    for name in ("README.md", "docs/performance.md"):
        (root / name).write_text(f"# Title\n\n{BEGIN}\nstale\n{END}\n\nAfter.\n")
    return root


def check_tables(text: str) -> int:
    """Each table's rows have as many cells as its head; how many tables there are."""
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    for lines in (table.splitlines() for table in tables):
        assert re.fullmatch(r"\|(:?-+:?\|)+", lines[1])
        assert len({line.count("|") - line.count("\\|") for line in lines}) == 1
        assert all(line.count("**") % 2 == 0 for line in lines)
    return len(tables)


def test_the_documents_are_sound_and_have_the_facts(logs, tmp_path):
    good, bad = THREES[0], BOTTLENECK
    ours(logs, good, 1000, which=1)
    ours(logs, bad, 1000)
    peers(logs, good, 1500, 1500, 1500, 1500)
    peers(logs, bad, 800, 1500, 1500, 1500)
    root = documents(tmp_path / "project")
    (root / "docs/performance/remarks.md").write_text(
        f"# Remarks\n\n## rpi4 {bad.key}\n\nIt has\nfew rows.\n\n## {good.key}\n\nNever shown.\n"
    )
    rows = read_rows(LAYERS, RPI4, logs)
    reruns = [rerun_of(row, cycles=1002 if row.layer == bad else 0) for row in rows if row.blocked]
    write_documents(root, Facts({"rpi4": read_rows(LAYERS, RPI4, logs, reruns)}))
    document = (root / "docs/performance.md").read_text()
    assert check_tables(document) == 2
    assert document.startswith("# Title\n") and document.endswith("After.\n")
    assert "stale" not in document
    assert "2 of 2 tuned layers were run again, 1 with the log's cycles exactly" in document
    assert "the largest difference is 0.200 %" in document
    assert "the log has 1000 cycles, a new run 1002 (+0.200 %)" in document
    assert "ratio 0.80, not 1;" in document
    assert "the loads wait for data from L2 (70 %)" in document
    assert "Remark: It has few rows." in document and "Never shown" not in document
    assert "TVM 0." in document and "ncnn 1.0" in document and "2026-03-04" in document
    page = (root / "docs/performance/rpi4.md").read_text()
    assert check_tables(page) == 5
    assert sum(line.startswith("| ") for line in page.splitlines()) == len(LAYERS) + 5
    assert f"| {short_name(bad)} |" in page
    assert check_tables((root / "README.md").read_text()) == 1

    facts = json.loads((root / "docs/performance/rpi4.json").read_text())
    assert (facts["target"], facts["date"]) == ("rpi4", "2026-03-04")
    (entry,) = [layer for layer in facts["layers"] if layer["layer"] == bad.key]
    assert (entry["ratio"], entry["fastest_peer"], entry["cycles_run_again"]) == (0.8, "ncnn", 1002)
    worst = next(goal for goal in facts["goals"] if goal["measure"] == "worst")
    assert (worst["value"], worst["met"], worst["worst_layer"]) == (0.8, False, bad.key)


def test_documents_without_markers_are_refused(tmp_path):
    path = tmp_path / "a.md"
    for text in ("", f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"a\.md: needs one"):
            replace_generated(path, ["x"])


def test_remarks_may_be_absent(tmp_path):
    assert read_remarks(tmp_path / "remarks.md") == {}


def test_the_projects_own_documents_have_their_markers(tmp_path):
    for name in ("README.md", "docs/performance.md"):
        copy = tmp_path / "copy.md"
        copy.write_text((ROOT / name).read_text())
        replace_generated(copy, ["x"])
    remarks = read_remarks(ROOT / "docs/performance/remarks.md")
    keys = {layer.key for layer in LAYERS}
    assert {key.split(" ")[-1] for key in remarks} <= keys


def test_command_line_reads_logs_only(logs, tmp_path, capsys):
    ours(logs, BOTTLENECK, 1000)
    peers(logs, BOTTLENECK, 1500, 1500, 1500, 1500)
    root = documents(tmp_path / "project")
    arguments = ["--logs", str(logs), "--root", str(root)]
    assert cli_performance.main(arguments) == 0
    printed = capsys.readouterr().out
    assert check_tables(printed) == 1
    assert printed.count("\n") == len(GOALS) + 2
    assert "1.50 (≥ 1) incomplete: 1 of 63 layers" in printed
    assert sorted(p.name for p in (root / "docs/performance").iterdir()) == [
        "host.json", "rpi3.json", "rpi3.md", "rpi4.json", "rpi4.md", "rpi5.json", "rpi5.md",
    ]  # fmt: skip
    assert cli_performance.main(["rpi2", *arguments]) == 2
    assert capsys.readouterr().err == (
        "performance: unknown target 'rpi2'; known: rpi3, rpi4, rpi5\n"
    )
