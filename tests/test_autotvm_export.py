"""Our records as AutoTVM's lines, and as a database that ``tvm`` alone reads and builds from."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import autotvm_lines as lines
from tests.conftest import RunCli
from tvm_ops.autotvm.boards import target_of, target_text
from tvm_ops.autotvm.database import write_database
from tvm_ops.autotvm.exporting import best_trials, export_lines, fastest, read_records, to_line
from tvm_ops.autotvm.importing import import_log
from tvm_ops.autotvm.lines import parse_line
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator, operator_names
from tvm_ops.targets import NAMES, get_target
from tvm_ops.task import Task, listed_tasks, parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record, new_record, read_log

RPI3, HOST = get_target("rpi3"), get_target("host")
CONV = parse_task("conv2d", lines.CONV_KEY, RPI3)


def record_of(task: Task, ms: float = 2.0, board: str = "modelled", **change: Any) -> Record:
    knobs = change.pop("knobs", default_knobs(task))
    record = new_record(task, knobs, board, seconds=[ms / 1e3], max_error=0.0)
    return replace(record, **change)


def test_imported_lines_come_out_as_they_were(tmp_path: Path) -> None:
    rows = [lines.CONV, lines.WINOGRAD, lines.DEPTHWISE]
    (tmp_path / "in.log").write_text(lines.text(*rows))
    import_log(tmp_path / "in.log", tmp_path / "logs")
    trials = read_records(tmp_path / "logs", RPI3, ["conv2d", "winograd_conv2d"], [])
    trials += read_records(tmp_path / "logs", RPI3, ["depthwise_conv2d"], [])
    for row, trial in zip(rows, trials, strict=True):
        line = parse_line(to_line(*trial).to_text(), "out")
        sound = parse_line(json.dumps(row), "in")
        assert (line.template, line.args, line.seconds) == (
            sound.template, sound.args, sound.seconds
        )  # fmt: skip
        assert line.time == int(sound.time) and "-model=bcm2837" in line.target
        inner = {n: v[-1] if k == "sp" else v for n, (k, v) in sound.entity.items()}
        assert {n: v[-1] if k == "sp" else v for n, (k, v) in line.entity.items()} == inner


@pytest.mark.parametrize("operator", operator_names())
def test_any_knobs_go_out_and_come_back(operator: str, tmp_path: Path) -> None:
    """AutoTVM's templates do not have them; as options of a template of ours nothing is lost."""
    tasks = listed_tasks(operator, RPI3)[:4]
    trials = [(task, record_of(task)) for task in tasks]
    path = tmp_path / "out.log"
    export_lines(trials, path)
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    assert {row["input"][1] for row in rows} == {f"tvm_ops.{operator}"}
    assert all(kind == "ot" for row in rows for _n, kind, _v in row["config"]["entity"])
    assert import_log(path, tmp_path / "logs").refused == []
    back = read_log(log.log_path(tmp_path / "logs", "rpi3", operator))
    assert [r.board for r in back] == ["autotvm:rpi3-modelled"] * len(tasks)
    plain = {"board": "modelled", "checked": True, "max_error": 0.0}
    assert [replace(r, **plain) for r in back] == [record for _task, record in trials]


@pytest.mark.parametrize(
    ("error", "number"),
    [("build: x", 2), ("run: x", 4), ("wrong result: x", 5), ("cut off: x", 7), ("odd", 8)],
)
def test_failures_have_autotvms_numbers(error: str, number: int) -> None:
    failed = record_of(CONV, seconds=[], error=error, checked=False)
    row = json.loads(to_line(CONV, failed).to_text())
    assert row["result"][:2] == [[1e9], number]


@pytest.mark.parametrize("name", NAMES)
def test_target_strings_name_the_target_and_what_measured(name: str) -> None:
    target = get_target(name)
    text = target_text(target, "modelled")
    assert f"-model={name}-modelled " in text and target_of(text) == target
    assert "-model=bcm2837 " in target_text(target, "autotvm:bcm2837")
    assert "secret" not in target_text(target, "ssh:secret@secret")


def test_the_fastest_of_each_board_and_the_best_of_ours() -> None:
    slow, fast = record_of(CONV, 3.0), record_of(CONV, 2.0)
    failed = record_of(CONV, 1.0, error="run: x")
    other = record_of(CONV, 0.5, board="autotvm:bcm2837", checked=False)
    trials = [(CONV, record) for record in (slow, fast, failed, other)]
    assert [r for _t, r in fastest(trials)] == [fast, other]
    assert [r for _t, r in best_trials(trials)] == [fast]
    assert best_trials([(CONV, other)]) == []


def test_slices_are_no_trials_and_workloads_are_chosen(tmp_path: Path) -> None:
    path = log.log_path(tmp_path, "rpi3", "conv2d")
    other = parse_task("conv2d", lines.CONV_KEY.replace("co8", "co12"), RPI3)
    log.append(path, [record_of(CONV), record_of(CONV, slice=4), record_of(other)])
    assert len(read_records(tmp_path, RPI3, [], [])) == 2
    assert [t for t, _r in read_records(tmp_path, RPI3, [], [other.key])] == [other]
    with pytest.raises(InputError, match="workload 'conv2d-x' has no record of rpi3"):
        read_records(tmp_path, RPI3, [], ["conv2d-x"])
    log.append(path, [record_of(CONV, knobs={"sketch": "no"})])
    with pytest.raises(InputError, match=r"conv2d\.jsonl:4: unknown sketch 'no'"):
        read_records(tmp_path, RPI3, [], [])


USE = """
    import json
    import sys

    import numpy as np
    import tvm
    from tvm import s_tir
    from tvm.s_tir import meta_schedule as ms

    folder, data = sys.argv[1:]
    arrays = np.load(data)
    database = ms.database.JSONDatabase(work_dir=folder, allow_missing=False)
    outputs = {}
    notes = {note["task"]: note for note in json.load(open(f"{folder}/tasks.json"))}
    for found in database.get_all_tuning_records():
        module = found.workload.mod
        key = str(module["main"].attrs["tvm_ops.task"])
        best = database.query_tuning_record(module, found.target, "main")
        schedule = s_tir.Schedule(module)
        best.trace.apply_to_schedule(schedule, remove_postproc=False)
        library = tvm.compile(schedule.mod, target=found.target)
        buffers = module["main"].params
        shapes = [[int(size) for size in buffer.shape] for buffer in buffers]
        assert shapes == [argument["shape"] for argument in notes[key]["arguments"]]
        given = [arrays[f"{key}.{buffer.name}"] for buffer in buffers[:-1]]
        given.append(np.zeros(shapes[-1], str(buffers[-1].dtype)))
        arguments = [
            tvm.runtime.tensor(array.reshape(shape)) for array, shape in zip(given, shapes)
        ]
        library["main"](*arguments)
        outputs[key] = arguments[-1].numpy()
        assert [float(s) for s in best.run_secs] == [0.001], best.run_secs
    np.savez(data, **outputs)
    assert not [name for name in sys.modules if name.split(".")[0] in ("tvm_ops", "schedules")]
"""
SHAPES = {
    "conv2d": ["n1_ci6_h14_w14_co8_k3_s2_p1", "n2_ci5_h9_w7_co6_k1_s1_p0_prelu_res"],
    "winograd_conv2d": ["n1_ci6_h14_w14_co8_k3_s1_p1"],
    "depthwise_conv2d": ["n1_ci8_h14_w14_co8_k3_s1_p1_g8"],
}


def database_tasks() -> list[tuple[Task, dict[str, Any]]]:
    """Defaults of all operators, straight-line code among them, and AutoTVM's loops."""
    found = []
    for operator, shapes in SHAPES.items():
        for shape in shapes:
            task = parse_task(operator, f"{operator}-{shape}-f32", HOST)
            found.append((task, default_knobs(task)))
    for operator in operator_names():
        if operator not in SHAPES:
            task = min(listed_tasks(operator, HOST), key=lambda task: task.workload.macs)
            found.append((task, default_knobs(task)))
    conv = parse_task("conv2d", lines.CONV_KEY, HOST)
    return [*found, (conv, lines.CONV_KNOBS)]


def test_tvm_alone_builds_from_the_database(tmp_path: Path) -> None:
    """In a process that has only ``tvm``: open, query the best record, apply its trace, run."""
    data: dict[str, Any] = {}
    trials = []
    for task, knobs in database_tasks():
        module = get_operator(task.operator)
        packed = module.pack(task.workload, knobs, module.data(task.workload))
        data |= {f"{task.key}.{name}": array for name, array in packed.items()}
        slow = record_of(task, 3.0, "host", knobs=knobs)
        trials += [(task, slow), (task, record_of(task, 1.0, "host", knobs=knobs))]
    paths = write_database(best_trials(trials), tmp_path / "database")
    assert all(path.exists() for path in paths)
    np.savez(tmp_path / "data.npz", **data)
    code = [sys.executable, "-c", textwrap.dedent(USE), "database", "data.npz"]
    done = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs = np.load(tmp_path / "data.npz")
    assert sorted(outputs) == sorted({task.key for task, _ in trials})
    for task, _knobs in database_tasks():
        module = get_operator(task.operator)
        reference = module.reference(task.workload, module.data(task.workload))
        y = module.unpack_output(task.workload, outputs[task.key])
        assert np.abs(y - reference).max() <= module.ERROR_BOUND * np.abs(reference).max()
    notes = {note["task"]: note for note in json.loads(paths[-1].read_text())}
    assert notes[lines.CONV_KEY]["knobs"] == lines.CONV_KNOBS
    weights = next(a for a in notes[lines.CONV_KEY]["arguments"] if a["name"] == "weights")
    assert weights == {"name": "weights", "shape": [1, 2, 6, 3, 3, 4], "dtype": "float32"}


def test_traces_of_assembly_tiles_survive_the_database(tmp_path: Path) -> None:
    from tvm import s_tir

    from tvm_ops.template import instantiate
    from tvm_ops.tuning.metaschedule import metaschedule

    task = parse_task("conv2d", "conv2d-n1_ci16_h14_w14_co16_k3_s1_p1_c4-f32", RPI3)
    assert default_knobs(task)["sketch"] == "neon"
    write_database([(task, record_of(task))], tmp_path)
    database = metaschedule().database.JSONDatabase(work_dir=str(tmp_path), allow_missing=False)
    (found,) = database.get_all_tuning_records()
    sch = s_tir.Schedule(found.workload.mod)
    found.trace.apply_to_schedule(sch, remove_postproc=False)
    import tvm

    ours = instantiate(task, default_knobs(task))
    tvm.ir.assert_structural_equal(sch.mod["main"].body, ours.body, map_free_vars=True)


def test_the_verb_writes_lines_and_databases(tmp_path: Path, run_cli: RunCli, refused: Any) -> None:
    task = parse_task("conv2d", lines.CONV_KEY, HOST)
    imported = record_of(task, 1.0, "autotvm:bcm2837", checked=False)
    log.append(log.log_path(tmp_path / "logs", "host", "conv2d"), [imported])
    common = ["export-log", "--target", "host", "--logs", "logs"]
    assert "no checked records of host" in refused(*common, "--format", "metaschedule", "-o", "d")
    own = [record_of(task, ms, "host") for ms in (3.0, 2.0)]
    log.append(log.log_path(tmp_path / "logs", "host", "conv2d"), own)

    assert run_cli(*common, "-o", "all.log").returncode == 0
    assert (tmp_path / "all.log").read_text().count("\n") == 3
    done = run_cli(*common, "--best", "-o", "best.log", "--json", "facts.json")
    assert done.returncode == 0 and (tmp_path / "best.log").read_text().count("\n") == 2
    assert json.loads((tmp_path / "facts.json").read_text())["records"] == {"conv2d": 2}
    done = run_cli(*common, "conv2d", "--format", "metaschedule", "-o", "database")
    assert done.returncode == 0 and "database/tasks.json" in done.stdout

    assert "no records of rpi5" in refused("export-log", "--target", "rpi5", "--logs", "logs",
                                           "-o", "x.log")  # fmt: skip
    assert "it is a folder" in refused(*common, "-o", "database")
    assert "it is a file" in refused(*common, "--format", "metaschedule", "-o", "all.log")
    assert "--best is for lines" in refused(
        *common, "--format", "metaschedule", "--best", "-o", "d"
    )
    assert "has no record of host" in refused(*common, "--workload", "conv2d-y", "-o", "x.log")
