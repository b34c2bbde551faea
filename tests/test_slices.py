"""Slices: which rows, what is logged of them, what is chosen in the end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tvm_ops.errors import InputError
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log, session, slices
from tvm_ops.tuning.log import Record, best, new_record
from tvm_ops.tuning.nearest import best_knobs
from tvm_ops.tuning.run_job import is_tuned
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.slice_check import agreement, draw
from tvm_ops.tuning.slices import legality, slice_rows, sliced
from tvm_ops.tuning.space import knobs_id

SMALL = "conv2d-n1_ci8_h48_w6_co8_k1_s1_p0-f32"


def task_of(key: str) -> Task:
    return parse_task(key.split("-")[0], key, get_target("rpi4"))


@pytest.fixture
def sliceable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no knob of conv2d depended on the rows."""
    template = get_schedule("conv2d")
    monkeypatch.setattr(template, "sliceable", lambda w, knobs: True, raising=False)


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        ("conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32", 12),  # 24.8 million: the fewest
        ("conv2d-n1_ci32_h56_w56_co32_k3_s1_p1-f32", 12),  # 6.2 million: two units are too many
        ("conv2d-n1_ci64_h56_w56_co128_k1_s1_p0-f32", 21),  # 9.6 million
        ("conv2d-n1_ci512_h14_w14_co512_k1_s1_p0-f32", 7),  # 25.7 million: 98 pixels
        ("conv2d-n1_ci3_h224_w224_co32_k3_s2_p1-f32", None),  # 10.8 million, 112 rows
        ("conv2d-n1_ci512_h7_w7_co512_k3_s1_p1-f32", None),  # fewer rows than a slice
    ],
)
@pytest.mark.usefixtures("sliceable")
def test_rows_keep_a_trial_short(
    key: str, rows: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(key)
    monkeypatch.setattr(slices, "legality", lambda task, rows: lambda knobs: True)
    assert slice_rows(task) == rows
    part = sliced(task, rows)
    assert part.workload.out_h == rows or part is task
    assert part.workload.out_w == task.workload.out_w


@pytest.mark.parametrize("stride, pad, dilation", [(1, 0, 1), (1, 1, 1), (2, 1, 1), (2, 3, 2)])
def test_a_slice_has_the_rows_asked_for(stride: int, pad: int, dilation: int) -> None:
    task = task_of(f"conv2d-n1_ci8_h60_w60_co8_k3_s{stride}_p{pad}_d{dilation}-f32")
    w = sliced(task, 8).workload
    assert w.out_h == 8
    assert dataclasses.replace(w, h=60) == task.workload


def test_templates_without_the_predicate_are_measured_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = task_of("conv2d-n1_ci64_h56_w56_co128_k1_s1_p0-f32")
    template = get_schedule("conv2d")
    monkeypatch.delattr(template, "sliceable", raising=False)
    assert slice_rows(task) is None
    one = sorted(template.space(task.workload, task.target))[0]
    monkeypatch.setattr(template, "sliceable", lambda w, k: k["sketch"] == one, raising=False)
    assert slice_rows(task) is None  # sketches would not be comparable
    assert sliced(task, None) is task


def test_too_few_rows_for_the_padding() -> None:
    with pytest.raises(InputError, match="at least 1"):
        sliced(task_of("conv2d-n1_ci8_h9_w9_co8_k3_s1_p4-f32"), 2)


def test_knobs_have_to_be_legal_for_both() -> None:
    task = task_of("conv2d-n1_ci8_h48_w6_co8_k1_s1_p0-f32")
    template = get_schedule("conv2d")
    most = max(template.space(task.workload, task.target)["direct"]["blocks_rows"])
    knobs = next(k for k in draw(task, 48, 400) if k.get("blocks_rows") == most)
    assert legality(task, None)(knobs) and not legality(task, 8)(knobs)


@pytest.mark.usefixtures("sliceable")
def test_search_ranks_slices_and_measures_the_best_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(SMALL)
    monkeypatch.setattr(slices, "SLICE_MACS", 6300)
    assert slice_rows(task) == 16
    progress = tune(task, trials=6, logs=tmp_path)
    records = log.read_log(log.log_path(tmp_path, "rpi4", "conv2d"))
    ranked, whole = records[:6], records[6:]
    assert [r.slice for r in ranked] == [16] * 6 and {r.slice for r in whole} == {None}
    assert ranked[0].knobs == whole[0].knobs == default_knobs(task)
    order = sorted((r for r in ranked if r.cost), key=lambda r: r.cost or 0)
    wanted = {knobs_id(r.knobs) for r in order[: session.FINALISTS]}
    assert {knobs_id(r.knobs) for r in whole} == wanted | {knobs_id(default_knobs(task))}
    assert progress.best == best(whole) and progress.done == progress.trials == len(records)
    assert all(w.cycles > 2 * r.cycles for w in whole for r in ranked if r.knobs == w.knobs)
    assert best_knobs(task, tmp_path)[1] == best(whole)

    assert is_tuned(task, records, 6) and not is_tuned(task, records, 7)
    assert not is_tuned(task, ranked, 6)
    assert tune(task, trials=6, logs=tmp_path).measured == 0


@pytest.fixture
def record() -> Record:
    task = task_of(SMALL)
    return new_record(task, default_knobs(task), "modelled", seconds=[2e-3], max_error=1e-6)


def test_a_slice_is_never_the_best(record: Record) -> None:
    part = dataclasses.replace(record, seconds=[1e-6], slice=8)
    assert best([part, record]) == record and best([part]) is None
    assert best([part, record], 8) == part and best([part, record], 4) is None


def test_old_lines_have_no_slice(record: Record, tmp_path: Path) -> None:
    line = record.to_line()
    assert '"slice": null' in line
    path = tmp_path / "conv2d.jsonl"
    old = line.replace(', "slice": null', "")
    assert old != line
    path.write_text(old + line + line.replace("null}", "8}"))
    assert log.read_log(path) == [record, record, dataclasses.replace(record, slice=8)]
    for bad in ("0", "true", '"8"'):
        path.write_text(line.replace('"slice": null', f'"slice": {bad}'))
        with pytest.raises(InputError, match="slice must be a positive whole number or null"):
            log.read_log(path)


def test_agreement_of_rankings() -> None:
    wholes = [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    same = agreement([1, 2, 3, 4, 5, 6], wholes)
    assert (same.spearman, same.kendall, same.good_kendall) == pytest.approx((1, 1, 1))
    assert same.loss == 0 and same.candidates == 6
    reverse = agreement([6, 5, 4, 3, 2, 1], wholes)
    assert (reverse.spearman, reverse.kendall) == pytest.approx((-1, -1))
    assert reverse.loss == pytest.approx(7 / 4 - 1)
    with pytest.raises(InputError, match="4 are needed"):
        agreement([1, 2, 3], [1, 2, 3])
