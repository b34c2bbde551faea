"""Search, log, workers and sessions."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tvm_ops.build import build_library, compile_entry
from tvm_ops.compare import compare
from tvm_ops.errors import InputError, UntunedWarning
from tvm_ops.operators import operator_names
from tvm_ops.targets import get_target
from tvm_ops.task import Task, listed_tasks, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning import log
from tvm_ops.tuning.log import Record, best, new_record
from tvm_ops.tuning.nearest import best_knobs
from tvm_ops.tuning.search import KnobSearch
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.space import check_knobs, knobs_id
from tvm_ops.tuning.workers import Worker, WorkerPool

SMALL = "winograd_conv2d-n1_ci8_h6_w6_co8_k3_s1_p1-f32"


@pytest.fixture
def task() -> Task:
    return parse_task("winograd_conv2d", SMALL, get_target("rpi4"))


def steps(path: Path) -> list[tuple[str, int | None, str | None]]:
    """What has to be the same in two logs: candidates in order, cycles, errors."""
    return [(knobs_id(r.knobs), r.cycles, r.error) for r in log.read_log(path)]


def search_of(task: Task, seed: int) -> KnobSearch:
    template = get_schedule(task.operator)
    space = template.space(task.workload, task.target)
    return KnobSearch(space, lambda k: template.legal(task.workload, task.target, k), seed, 12)


@pytest.mark.parametrize("name", operator_names())
def test_search_repeats_itself_and_learns(name: str) -> None:
    """A made-up cost on the first list-valued knob: batches get better, none comes twice."""
    task = listed_tasks(name, get_target("rpi4"))[0]
    template = get_schedule(name)
    space = template.space(task.workload, task.target)

    def cost(knobs: dict[str, object]) -> float:
        number = json.dumps(knobs).encode()
        return 1.0 + sum(number) % 97 / 97 + 3 * (knobs["sketch"] != sorted(space)[0])

    runs = []
    for _ in range(2):
        search, proposed, means = search_of(task, seed=5), [], []
        for _ in range(5):
            batch = search.propose()
            if not batch:  # a small space, all of it proposed
                break
            for knobs in batch:
                check_knobs(space, knobs, "proposal")
                assert template.legal(task.workload, task.target, knobs)
            costs = [cost(k) for k in batch]
            search.report(costs)
            proposed += [knobs_id(k) for k in batch]
            means.append(sum(costs) / len(costs))
        assert len(set(proposed)) == len(proposed)
        has_learnt = len(space) > 1 and len(means) > 2  # a smaller space is all proposed before
        assert not has_learnt or min(means[2:]) < means[0]
        runs.append(proposed)
    assert runs[0] == runs[1]
    assert [knobs_id(k) for k in search_of(task, seed=6).propose()] != runs[0][:12]


def test_session_repeats_itself_resumes_and_measures_nothing_twice(
    task: Task, tmp_path: Path
) -> None:
    whole = tune(task, trials=14, seed=3, logs=tmp_path / "whole")
    path = log.log_path(tmp_path / "whole", "rpi4", "winograd_conv2d")
    expected = steps(path)
    assert whole.done == whole.measured == len(expected) == 14
    assert expected[0][0] == knobs_id(default_knobs(task))
    assert len({knobs for knobs, _, _ in expected}) == 14

    first = tune(task, trials=7, seed=3, logs=tmp_path / "parts")
    second = tune(task, trials=14, seed=3, logs=tmp_path / "parts")
    parts = log.log_path(tmp_path / "parts", "rpi4", "winograd_conv2d")
    assert (first.measured, second.measured, second.done) == (7, 7, 14)
    assert steps(parts) == expected
    assert whole.best and second.best and whole.best.knobs == second.best.knobs

    again = tune(task, trials=14, seed=3, logs=tmp_path / "parts")
    assert again.measured == 0 and steps(parts) == expected
    other = tune(task, trials=1, seed=9, logs=tmp_path / "parts")
    assert other.measured == 0 and other.best and other.best.knobs == whole.best.knobs


def test_interrupt_leaves_a_log_that_the_next_run_goes_on_with(task: Task, tmp_path: Path) -> None:
    program = f"""
        import signal
        from pathlib import Path
        from tvm_ops.targets import get_target
        from tvm_ops.task import parse_task
        from tvm_ops.tuning.session import tune
        task = parse_task("winograd_conv2d", "{SMALL}", get_target("rpi4"))
        # A shell's background jobs, and so perhaps this test, are started with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            tune(task, trials=500, seed=3, logs=Path("{tmp_path}"))
        except KeyboardInterrupt:
            raise SystemExit(130)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    path = log.log_path(tmp_path, "rpi4", "winograd_conv2d")
    deadline = time.monotonic() + 120
    while len(log.read_log(path)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    measured = steps(path)
    assert 3 <= len(measured) < 500
    result = tune(task, trials=len(measured) + 1, seed=3, logs=tmp_path)
    assert result.measured == 1 and steps(path)[:-1] == measured


def test_small_kernels_are_not_cut_off_for_a_cold_cache(tmp_path: Path) -> None:
    """Six thousand warm cycles are thirty thousand cold ones."""
    key = "winograd_conv2d-n3_ci3_h3_w3_co1_k3_s1_p0-f32"
    task = parse_task("winograd_conv2d", key, get_target("rpi4"))
    assert tune(task, trials=6, logs=tmp_path).failures == {}


def test_one_pool_serves_several_tasks(task: Task, tmp_path: Path) -> None:
    """Turn by turn, without workers that start again; the log is that of sessions of their own."""
    other = parse_task("conv2d", "conv2d-n1_ci8_h6_w6_co8_k1_s1_p0-f32", get_target("rpi5"))
    with WorkerPool(2) as pool:
        processes = [worker._process for worker in pool._workers]
        for trials, one in ((2, task), (2, other), (4, task), (3, other)):
            tune(one, trials=trials, logs=tmp_path / "shared", pool=pool)
        assert processes == [worker._process for worker in pool._workers]
    for trials, one in ((4, task), (3, other)):
        tune(one, trials=trials, logs=tmp_path / "own")
        shared, own = (
            steps(log.log_path(tmp_path / folder, one.target.name, one.operator))
            for folder in ("shared", "own")
        )
        assert shared == own and len(own) == trials


def test_wrong_results_are_logged_and_never_chosen(task: Task, tmp_path: Path) -> None:
    result = tune(task, trials=3, logs=tmp_path, bound=1e-12)
    assert result.best is None and result.failures == {"wrong result": 3}
    records = log.read_log(log.log_path(tmp_path, "rpi4", "winograd_conv2d"))
    assert all(not r.checked and r.max_error and r.max_error > 1e-12 for r in records)
    with pytest.warns(UntunedWarning, match="is not tuned for rpi4: default knobs"):
        knobs, chosen = best_knobs(task, tmp_path)
    assert chosen is None and knobs == default_knobs(task)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("os.abort()", "crash: the worker was ended by SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crash: the worker was ended by SIGSEGV"),
        ("sys.exit(7)", "crash: the worker ended with exit code 7"),
        ("time.sleep(600)", "hang: no result after 0.5 s"),
        ("os.fork() or time.sleep(600); time.sleep(600)", "hang: no result after 0.5 s"),
    ],
)
def test_worker_outlives(body: str, kind: str) -> None:
    """The first job misbehaves, the second is well answered by a new process."""
    script = f"""
        import json, os, signal, sys, time
        for line in sys.stdin:
            if json.loads(line)["knobs"]["bad"]:
                {body}
            print(json.dumps({{"seconds": [1.5]}}), flush=True)
    """
    worker = Worker([sys.executable, "-c", textwrap.dedent(script)])
    try:
        assert worker.call({"knobs": {"bad": False}}, 30).seconds == [1.5]
        outcome = worker.call({"knobs": {"bad": True}}, 0.5)
        assert outcome.error == kind and outcome.seconds == []
        assert worker.call({"knobs": {"bad": False}}, 30).seconds == [1.5]
    finally:
        worker.stop()


def test_build_errors_are_outcomes(task: Task, tmp_path: Path) -> None:
    from tvm_ops.tuning.measure import Measurer

    impossible = default_knobs(task) | {"tile": [40, 8]}  # 80 accumulators
    outcome = Measurer(task, "modelled", tmp_path).measure(impossible)
    assert outcome.error and outcome.error.startswith("build: ") and "\n" not in outcome.error


def test_cut_off_is_logged(task: Task, tmp_path: Path) -> None:
    from tvm_ops.tuning.measure import Measurer

    outcome = Measurer(task, "modelled", tmp_path).measure(default_knobs(task), cycle_limit=100)
    assert outcome.error and outcome.error.startswith("cut off: ") and outcome.cycles is None


@pytest.fixture
def record(task: Task) -> Record:
    return new_record(
        task, default_knobs(task), "modelled", seconds=[2e-3], cycles=7, max_error=1e-6
    )


def test_log_round_trips(record: Record, tmp_path: Path) -> None:
    failed = dataclasses.replace(record, seconds=[], cycles=None, error="run: x", checked=False)
    path = tmp_path / "logs" / "x.jsonl"
    log.append(path, [record])
    log.append(path, [failed])
    assert log.read_log(path) == [record, failed]
    assert path.read_text().count("\n") == 2


def test_best_is_the_lowest_median_of_checked_trials(record: Record) -> None:
    spread = dataclasses.replace(record, seconds=[1e-3, 9e-3, 9e-3])
    wrong = dataclasses.replace(record, seconds=[1e-6], checked=False)
    failed = dataclasses.replace(record, seconds=[1e-6], error="run: x")
    assert best([spread, wrong, record, failed]) == record
    assert best([wrong, failed]) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line[:-5] + "\n", "no JSON"),
        (lambda line: "[1]\n", "a record is an object"),
        (lambda line: line.replace('"cycles"', '"cycels"'), "unknown field 'cycels', no field"),
        (lambda line: line.replace("0.002", "-1"), "seconds must be a list of positive numbers"),
        (lambda line: line.replace('"order"', '"ordre"'), "unknown knob 'ordre'"),
        (lambda line: line.replace('"neon"', '"moon"'), "unknown sketch 'moon'"),
        (lambda line: line.replace('"block_co": 0', '"block_co": 5'), "knob 'block_co' is 5"),
        (lambda line: line.replace('"block_co": 0, ', ""), "knob 'block_co' is missing"),
    ],
)
def test_bad_lines_name_file_and_line(
    record: Record, task: Task, tmp_path: Path, change: object, message: str
) -> None:
    path = tmp_path / "x.jsonl"
    changed = change(record.to_line())  # type: ignore[operator]
    assert changed != record.to_line()
    path.write_text(record.to_line() + changed)
    with pytest.raises(InputError, match=r"x\.jsonl:2: ") as caught:
        log.read_task(path, task)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_knobs_of_a_log_build_the_same_assembly(task: Task, tmp_path: Path) -> None:
    """Found by the search in this process; written, read and built in another."""
    knobs = search_of(task, seed=2).propose()[0]
    mine = compile_entry(task, knobs).inspect_source("asm")
    found = new_record(task, knobs, "modelled", seconds=[1e-9], cycles=1, max_error=0.0)
    log.append(log.log_path(tmp_path, "rpi4", "winograd_conv2d"), [found])
    command = [sys.executable, "-m", "tvm_ops", "build", "winograd_conv2d", "--target", "rpi4"]
    command += ["--workload", SMALL, "--logs", str(tmp_path), "-o", str(tmp_path / "out")]
    subprocess.run(command, check=True, env=os.environ, capture_output=True)
    assert (tmp_path / "out" / f"{task.symbol}.s").read_text() == mine
    here = build_library([(task, knobs)], task.target, tmp_path / "here", "winograd_conv2d")
    assert here.assembly[0].read_text() == mine


def test_boards_without_times_are_refused_before_any_work(tmp_path: Path) -> None:
    armv7 = parse_task("winograd_conv2d", SMALL, get_target("rpi3-armv7"))
    with pytest.raises(InputError, match="has no times, and timing of rpi3-armv7 is not modelled"):
        tune(armv7, trials=1, logs=tmp_path)
    with pytest.raises(InputError, match="has no times, and timing of rpi3-armv7 is not modelled"):
        compare([armv7], logs=tmp_path)
    assert list(tmp_path.iterdir()) == []
