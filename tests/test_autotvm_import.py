"""AutoTVM's lines become records, or say why not; what a search and a build make of them."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests import autotvm_lines as lines
from tests.conftest import ROOT, RunCli
from tvm_ops.autotvm.importing import import_log
from tvm_ops.autotvm.lines import parse_line
from tvm_ops.autotvm.templates import from_autotvm, to_autotvm
from tvm_ops.errors import InputError, UntunedWarning
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.log import best, new_record, read_log
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.nearest import best_knobs, imported_knobs
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.transfer import transfer

TOPHUB = ROOT.parent / "shared/data/tophub-arm-cpu.jsonl"
RPI3 = get_target("rpi3")


def import_rows(tmp_path: Path, *rows: Any, target: str | None = None) -> Any:
    path = tmp_path / "autotvm.log"
    path.write_text(lines.text(*rows))
    return import_log(path, tmp_path / "logs", target and get_target(target))


@pytest.mark.parametrize(
    ("row", "operator", "knobs"),
    [
        (lines.CONV, "conv2d", lines.CONV_KNOBS),
        (lines.OLD_CONV, "conv2d", lines.CONV_KNOBS),
        (lines.WINOGRAD, "winograd_conv2d", lines.WINOGRAD_KNOBS),
        (lines.OLD_WINOGRAD, "winograd_conv2d", lines.WINOGRAD_KNOBS),
        (lines.DEPTHWISE, "depthwise_conv2d", lines.DEPTHWISE_KNOBS),
        (lines.OLD_DEPTHWISE, "depthwise_conv2d", lines.DEPTHWISE_KNOBS),
    ],
)
def test_a_line_becomes_a_record_knob_by_knob(
    row: Any, operator: str, knobs: Knobs, tmp_path: Path
) -> None:
    result = import_rows(tmp_path, row)
    path = log.log_path(tmp_path / "logs", "rpi3", operator)
    assert result.refused == [] and list(result.new) == [path]
    (record,) = read_log(path)
    assert record.knobs == knobs and record.imported
    assert record.seconds == (row.get("result") or row["r"])[0]
    assert (record.board, record.target) == ("autotvm:bcm2837", "rpi3")
    assert record.time == "2018-09-03T00:05:56+00:00"
    assert record.tvm == row.get("tvm_version", "unknown")
    # Nobody checked its result here, so it is no record that could be chosen.
    assert not record.checked and record.cost is None and best([record]) is None
    task = parse_task(operator, record.task, RPI3)
    outcome = Measurer(task, "emulated", tmp_path, repeats=1).measure(record.knobs)
    assert outcome.error is None, outcome.error


def test_importing_again_adds_nothing(tmp_path: Path) -> None:
    first = import_rows(tmp_path, lines.CONV, lines.DEPTHWISE, lines.CONV)
    again = import_rows(tmp_path, lines.CONV, lines.DEPTHWISE)
    assert [len(records) for records in first.new.values()] == [1, 1]
    assert sum(len(records) for records in again.known.values()) == 2 and not again.new
    assert len(read_log(log.log_path(tmp_path / "logs", "rpi3", "conv2d"))) == 1


def test_failures_are_kept_as_what_they_were(tmp_path: Path) -> None:
    failed = lines.CONV | {"result": [[1e9], 7, 10.0, 1535933156.9]}
    import_rows(tmp_path, failed)
    (record,) = read_log(log.log_path(tmp_path / "logs", "rpi3", "conv2d"))
    assert (record.error, record.seconds) == ("autotvm: run timeout", [])
    assert imported_knobs(parse_task("conv2d", lines.CONV_KEY, RPI3), tmp_path / "logs", 3) == []


def changed(row: Any, *path: Any) -> Any:
    """A copy with the last of ``path`` at the place that the others name."""
    *place, last, value = path
    result = copy.deepcopy(row)
    part = result
    for name in place:
        part = part[name]
    part[last] = value
    return result


REFUSED = [
    (changed(lines.CONV, "version", 0.3), "AutoTVM's version 0.3 is unknown; 0.1 and 0.2"),
    ([1], "no AutoTVM record, which is an object"),
    (changed(lines.CONV, "input", []), "a part is missing or of another kind"),
    (changed(lines.CONV, "config", "entity", [1]), "a part is missing or of another kind"),
    (changed(lines.CONV, "result", 0, [-1]), "-1 is no positive number of seconds"),
    (changed(lines.CONV, "input", 1, "dense_pack.x86"), "template 'dense_pack.x86' has no sketch"),
    (changed(lines.OLD_CONV, "i", 5, "t", "im2col"), "'topi_nn_conv2d (im2col)' has no sketch"),
    (changed(lines.CONV, "input", 2, [1]), "arguments of conv2d_nchw_spatial_pack.arm_cpu are of"),
    (changed(lines.CONV, "input", 2, 0, 2, "int8"), "only float32 in NCHW is done"),
    (changed(lines.OLD_CONV, "i", 2, 4, "NHWC"), "only float32 in NCHW is done"),
    (changed(lines.CONV, "input", 2, 3, [1, 1, 0, 1]), "(top, left, bottom, right) differs"),
    (changed(lines.CONV, "input", 2, 1, 1, [8, 3, 3, 3]), "groups or multipliers are not done"),
    (changed(lines.DEPTHWISE, "input", 2, 1, 1, [8, 2, 3, 3]), "groups or multipliers are not"),
    (changed(lines.CONV, "input", 2, 1, 1, [2, 6, 3, 3, 4]), "is already packed"),
    (changed(lines.CONV, "input", 2, 2, [0, 0]), "must be at least 1"),
    (changed(lines.WINOGRAD, "input", 2, 0, 1, [2, 6, 14, 14]), "has no sketch 'batch_gemm'"),
    (changed(lines.CONV, "config", "entity", 0, 2, [2, 5]), "'tile_co' is [2, 5], the axis has 8"),
    (changed(lines.CONV, "config", "entity", 0, 2, [-1, 5]), "knob 'tile_co' is 5, allowed: [1"),
    (changed(lines.CONV, "config", "entity", 0, 2, [2, 2, 2]), "two parts are needed"),
    (changed(lines.CONV, "config", "entity", 0, 2, 4), "'tile_co' is 4, a list is needed"),
    (changed(lines.CONV, "config", "entity", 0, 0, "tile"), "knobs {'tile': 'sp'"),
    (changed(lines.CONV, "config", "entity", 3, 2, [9, 8]), "no order of a template's candidates"),
    (changed(lines.CONV, "config", "entity", 5, 2, ["vec"] * 3), "'ann_spatial' is 'vec vec vec'"),
    (changed(lines.CONV, "config", "entity", 5, 2, ["unroll"] * 3), "too much unrolled code"),
    (changed(lines.CONV, "input", 0, "llvm -model=pynq"), "model 'pynq' is no board of ours"),
    (changed(lines.CONV, "input", 0, "llvm"), "model 'unknown' is no board of ours; --target T"),
]


@pytest.mark.parametrize(("row", "why"), REFUSED)
def test_what_does_not_map_says_why_in_one_line(row: Any, why: str, tmp_path: Path) -> None:
    result = import_rows(tmp_path, lines.CONV, row, lines.DEPTHWISE)
    (line,) = result.refused
    assert line.startswith(f"{tmp_path / 'autotvm.log'}:2: ")
    assert why in line and "\n" not in line
    assert sum(len(records) for records in result.new.values()) == 2


@pytest.mark.parametrize(
    "text", ["{", "", "NaN", '"x"', '{"v": 0.1}', '{"version": 0.2}', "[" * 10_000]
)
def test_any_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^here: ") as caught:
        parse_line(text, "here")
    assert "\n" not in str(caught.value)


def test_cut_and_changed_lines_are_refused_in_one_line_or_read() -> None:
    """A thousand random changes of sound lines, of characters and of parts."""
    rng = random.Random(5)
    sound = [json.dumps(row) for row in (lines.CONV, lines.OLD_WINOGRAD, lines.DEPTHWISE)]
    for _ in range(1000):
        text = rng.choice(sound)
        at, end = sorted(rng.choices(range(len(text)), k=2))
        text = text[:at] + rng.choice(["", "0", "[]", "null", "{}", '"a"', "-1e999"]) + text[end:]
        try:
            line = parse_line(text, "here")
            from_autotvm(line.template, line.key, line.args, line.entity, RPI3)
        except InputError as error:
            assert "\n" not in str(error)


def test_a_target_takes_records_of_any_board(tmp_path: Path) -> None:
    row = changed(lines.CONV, "input", 0, "llvm -device=arm_cpu -model=pynq -mtriple=armv7a-linux")
    import_rows(tmp_path, row, target="rpi4")
    (record,) = read_log(log.log_path(tmp_path / "logs", "rpi4", "conv2d"))
    assert (record.board, record.target) == ("autotvm:pynq", "rpi4")


def test_build_takes_no_imported_knobs_and_says_who_tries_them(tmp_path: Path) -> None:
    """Their seconds are another board's, of AutoTVM's code; our default is mostly faster."""
    import_rows(tmp_path, lines.CONV)
    logs, relu = tmp_path / "logs", lines.CONV_KEY.replace("_none", "")
    words = "default knobs; tune tries those of autotvm:bcm2837, which were not measured here"
    for key in (lines.CONV_KEY, relu):  # AutoTVM measures the sum alone
        task = parse_task("conv2d", key, RPI3)
        with pytest.warns(UntunedWarning, match=words):
            assert best_knobs(task, logs) == (default_knobs(task), None)
    other = parse_task("conv2d", relu.replace("h14", "h28"), RPI3)
    with pytest.warns(UntunedWarning, match="default knobs$"):
        assert best_knobs(other, logs) == (default_knobs(other), None)
    slow = new_record(task, default_knobs(task), "modelled", seconds=[9.0], max_error=0.0)
    log.append(log.log_path(logs, "rpi3", "conv2d"), [slow])
    assert best_knobs(task, logs) == (slow.knobs, slow)
    with pytest.warns(UntunedWarning, match=r"knobs of the nearest one, .*; tune tries those of"):
        assert best_knobs(parse_task("conv2d", lines.CONV_KEY, RPI3), logs)[1] == slow


def test_a_search_begins_with_imported_knobs_and_learns_its_own_times(tmp_path: Path) -> None:
    row = changed(lines.CONV, "result", 0, [1e-9])  # a time that nothing could beat
    import_rows(tmp_path, row)
    logs = tmp_path / "logs"
    task = parse_task("conv2d", lines.CONV_KEY.replace("_none", ""), RPI3)
    progress = tune(task, trials=3, logs=logs)
    ours = [r for r in read_log(log.log_path(logs, "rpi3", "conv2d")) if not r.imported]
    assert [r.knobs for r in ours[:2]] == [default_knobs(task), lines.CONV_KNOBS]
    assert all(r.board == "modelled" for r in ours) and len(ours) == progress.measured == 3
    assert progress.best and progress.best.cycles and progress.best.cost == best(ours).cost
    assert tune(task, trials=3, logs=logs).measured == 0


def test_a_cost_model_learns_nothing_from_imported_records_and_all_after_them(
    tmp_path: Path,
) -> None:
    import_rows(tmp_path, lines.CONV)
    logs = tmp_path / "logs"
    task = parse_task("conv2d", lines.CONV_KEY, RPI3)
    setting = Setting(task, "modelled")
    space = get_schedule("conv2d").space(task.workload, RPI3)
    assert transfer(setting, space, logs) == []
    other = parse_task("conv2d", lines.CONV_KEY.replace("co8", "co16"), RPI3)
    own = new_record(other, default_knobs(other), "modelled", seconds=[1e-3], max_error=0.0)
    log.append(log.log_path(logs, "rpi3", "conv2d"), [own])
    (group,) = transfer(setting, space, logs)
    assert other.key in group.name and len(group.costs) == 1


def test_the_report_has_no_trials_of_others(tmp_path: Path) -> None:
    from tvm_ops.report_history import read_histories

    import_rows(tmp_path, lines.CONV)
    task = parse_task("conv2d", lines.CONV_KEY, RPI3)
    own = new_record(task, default_knobs(task), "modelled", seconds=[1e-3], max_error=0.0)
    log.append(log.log_path(tmp_path / "logs", "rpi3", "conv2d"), [own])
    (history,) = read_histories(tmp_path / "logs")
    assert history.records == [own]


@pytest.mark.skipif(not TOPHUB.exists(), reason="needs ../shared/data/tophub-arm-cpu.jsonl")
def test_all_of_tophub_imports(tmp_path: Path) -> None:
    """660 records of three boards; index and arguments are those that our knobs give again."""
    result = import_log(TOPHUB, tmp_path, RPI3)
    assert result.refused == []
    assert sum(len(records) for records in result.new.values()) == 660
    for text in TOPHUB.read_text().splitlines():
        line = parse_line(text, "tophub")
        task, knobs = from_autotvm(line.template, line.key, line.args, line.entity, RPI3)
        template, args, _entity, index = to_autotvm(task, knobs)
        assert (template, args, index) == (line.template, line.args, line.index)
    own = import_log(TOPHUB, tmp_path)
    assert {path.parent.name for path in own.new} == {"rpi3-armv7"}
    assert len(own.refused) == 440 and all("is no board of ours" in why for why in own.refused)


def _sample() -> list[str]:
    """The smallest workloads of each template, two boards' records each."""
    if not TOPHUB.exists():
        return []
    by_task: dict[str, list[tuple[int, str]]] = {}
    for text in TOPHUB.read_text().splitlines():
        line = parse_line(text, "tophub")
        task, _knobs = from_autotvm(line.template, line.key, line.args, line.entity, RPI3)
        by_task.setdefault(line.template, []).append((task.workload.macs, text))
    return [text for rows in by_task.values() for _macs, text in sorted(rows)[:3]]


@pytest.mark.skipif(not TOPHUB.exists(), reason="needs ../shared/data/tophub-arm-cpu.jsonl")
@pytest.mark.parametrize("target", ["host", "rpi3", "rpi3-armv7"])
def test_a_sample_of_tophub_computes_the_right_result(target: str, tmp_path: Path) -> None:
    for text in _sample():
        line = parse_line(text, "tophub")
        chosen = get_target(target)
        task, knobs = from_autotvm(line.template, line.key, line.args, line.entity, chosen)
        board = "host" if target == "host" else "emulated"
        outcome = Measurer(task, board, tmp_path, repeats=1).measure(knobs)
        assert outcome.error is None, f"{task.key} {knobs}: {outcome.error}"


def test_the_verb_says_what_it_did(tmp_path: Path, run_cli: RunCli, refused: Any) -> None:
    path = tmp_path / "autotvm.log"
    path.write_text("# a comment\n\n" + lines.text(lines.CONV) + "{\n" + lines.text(lines.WINOGRAD))
    done = run_cli("import-log", "autotvm.log", "--logs", "logs", "--json", "facts.json")
    assert done.returncode == 1
    assert done.stderr == "tvm-ops: refused: autotvm.log:4: no JSON (Expecting property name " \
        "enclosed in double quotes at column 2)\n"  # fmt: skip
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert [row["imported"] for row in facts["logs"]] == [1, 1] and len(facts["refused"]) == 1
    path.write_text(lines.text(lines.CONV))
    assert run_cli("import-log", "autotvm.log", "--logs", "logs").returncode == 0

    path.write_text("{\n[]\n")
    done = run_cli("import-log", "autotvm.log", "--logs", "logs")
    assert done.returncode == 2 and "each of 2 lines was refused" in done.stderr
    path.write_text("")
    assert "nothing to import, no lines" in refused("import-log", "autotvm.log", "--logs", "logs")
    path.write_bytes(b"\xff\xfe")
    assert "no UTF-8 text" in refused("import-log", "autotvm.log", "--logs", "logs")
    path.write_text(lines.text(lines.CONV)[:80])  # one line is all that there is to say
    assert "autotvm.log:1: no JSON" in refused("import-log", "autotvm.log", "--logs", "logs")
    path.write_text('{"i": ["llvm", "conv2d", []], "r": [[1.0], 0, 0, 1.0], "v": 0.1}')
    why = refused("import-log", "autotvm.log", "--logs", "logs")
    assert "autotvm.log:1: no AutoTVM record, a part is missing" in why
    path.write_text('{"i": ["llvm", "conv2d", []], "c": {"i": 1}, "r": [[1], 0, 0, 1], "v": 0.1}')
    why = refused("import-log", "autotvm.log", "--logs", "logs")
    assert "autotvm.log:1: no AutoTVM record: it has no 'e'" in why
    assert "No such file" in refused("import-log", "none.log", "--logs", "logs")
    assert "unknown target 'rpi9'" in refused("import-log", "autotvm.log", "--target", "rpi9")
