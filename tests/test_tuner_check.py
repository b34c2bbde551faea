"""The comparison of tuners: what it reads out of logs, its table and its drawing."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

from killed_jobs import InstantPool

from tvm_ops.targets import get_target
from tvm_ops.tuning import tuner_check
from tvm_ops.tuning.tuner_chart import curves_svg
from tvm_ops.tuning.tuner_check import (
    LABELS,
    Curve,
    mean_curves,
    measure,
    order,
    rows,
    table,
    tasks,
    totals,
    write,
)

CURVES = [
    Curve("a", "random", [8.0, 4.0, 4.0, 2.0]),
    Curve("a", "xgb", [8.0, 2.015]),
    Curve("b", "random", [6.0, 6.0, 5.0, 5.0]),
    Curve("b", "xgb", [6.0, 5.5]),
    Curve("c", "random", [1.0]),
]


def test_trials_are_counted_up_to_a_tie_with_what_random_found() -> None:
    a, b, c = rows(CURVES)
    assert (a["cycles"], a["random"]["needed"], a["xgb"]["needed"]) == (2.0, 4, 2)
    assert (b["random"]["needed"], b["xgb"]["needed"]) == (3, None)
    assert "xgb" not in c
    text = table([a, b, c])
    assert "| b | 3 of 4 | 0.000 | > 2 | – | 0.91× | – |" in text
    over_all = totals([a, b, c])
    assert list(over_all) == ["xgb"]
    assert (over_all["xgb"]["workloads"], over_all["xgb"]["reached"]) == (2, 1)
    assert over_all["xgb"]["needed"] == 2
    assert round(over_all["xgb"]["gain"] ** 2, 6) == round(2 / 2.015 * 5 / 5.5, 6)
    assert text.endswith("| 3 |  | 2, 1 of 2 | – | 0.950× | – |\n")
    means = mean_curves(CURVES)
    assert [round(v**2, 6) for v in means["random"]] == [
        round(2 / 8 * 5 / 6, 6),
        round(2 / 4 * 5 / 6, 6),
        0.5,
        1.0,
    ]


def test_each_workload_gets_all_tuners_and_transfer_has_something_to_learn_from() -> None:
    three = tasks(get_target("rpi4"))[:3]
    steps = order(three)
    assert sorted((t.key, n) for t, n in steps) == sorted((t.key, n) for t in three for n in LABELS)
    for number, (_task, tuner) in enumerate(steps):
        assert tuner != "transfer" or sum(n == "xgb" for _t, n in steps[:number]) == 3


def test_a_run_goes_on_and_writes_a_table_a_drawing_and_the_facts(tmp_path: Path) -> None:
    task = tasks(get_target("rpi4"))[0]
    for trials in (6, 12):
        measure(task, "random", trials, tmp_path / "work", InstantPool())
    write(tmp_path / "work", tmp_path / "out", task.target)
    (row,) = json.loads((tmp_path / "out/tuners.json").read_text())["rows"]
    assert row["workload"] == task.key and row["random"]["trials"] == 12
    drawing = ElementTree.fromstring((tmp_path / "out/tuners.svg").read_text())
    assert sum(child.tag.endswith("path") for child in drawing) > 2
    assert "random" in curves_svg({"random": [0.5, 1.0]})


def test_ctrl_c_is_one_line(monkeypatch, capsys, tmp_path):
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuner_check, "measure", interrupted)
    monkeypatch.setattr(tuner_check, "open_pool", lambda _workers: nullcontext())
    assert tuner_check.main(["--work", str(tmp_path), "--out", str(tmp_path)]) == 130
    words = "compare_tuners: interrupted; what was measured is kept, run it again\n"
    assert capsys.readouterr().err == words
    assert tuner_check.main(["--work", "w", "--out", "o", "--target", "rpi9"]) == 2
    assert capsys.readouterr().err.startswith("compare_tuners: unknown target 'rpi9'")
