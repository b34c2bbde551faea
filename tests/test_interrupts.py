"""A job that is asked to end, or killed, in the middle of trials that would take a minute."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import ROOT

from tvm_ops.interrupts import Interrupts, catch_interrupts, uninterrupted

KEY = "conv2d-n1_ci8_h6_w6_co8_k1_s1_p0-f32"
JOB = """
import signal, sys
from tvm_ops.cli import main
from tvm_ops.tuning import run_job, workers
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
command = [sys.executable, sys.argv.pop(1)]  # candidates loop forever
run_job.open_pool = lambda *_: workers.WorkerPool(2, command)
sys.exit(main(sys.argv[1:]))
"""


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def is_candidate(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return runs(process) and process.name() == "bench"
    return False


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGINT, 130, "tvm-ops: interrupted"),
        (signal.SIGTERM, 143, "tvm-ops: terminated"),
        (signal.SIGHUP, 129, "tvm-ops: interrupted, its terminal was closed"),
        (signal.SIGKILL, -9, None),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "",
)
def test_workers_and_what_they_run_end_at_once(
    tmp_path: Path, number: signal.Signals, code: int, words: str | None
) -> None:
    """And leave nothing behind: neither processes nor files."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    env = {"PYTHONPATH": paths, "MISBEHAVE": "loop", "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", JOB, str(ROOT / "tests/misbehaving_worker.py"), "tune"]
    command += ["conv2d", "--target", "host", "--workload", KEY, "--logs", str(tmp_path / "logs")]
    job = subprocess.Popen(
        command, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    whole = psutil.Process(job.pid)
    programs: list[psutil.Process] = []

    def a_candidate_runs() -> bool:
        with suppress(psutil.NoSuchProcess):  # one that ends while they are listed
            programs[:] = whole.children(recursive=True)
        assert job.poll() is None
        return any(map(is_candidate, programs))

    wait_for(a_candidate_runs, 60)
    job.send_signal(number)
    _, stderr = job.communicate(timeout=45)  # of 60 that a trial takes; a busy machine needs 10
    assert job.returncode == code
    assert words is None or stderr.splitlines()[-1] == words
    wait_for(lambda: not any(map(runs, programs)), 5)
    wait_for(lambda: not list(temporary.iterdir()), 5)


def test_they_wait_for_the_end_of_a_block_and_what_is_ignored_stays_so() -> None:
    handlers = {number: signal.getsignal(number) for number in (2, 15, 1)}
    steps = []
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        interrupts = catch_interrupts()
        with pytest.raises(KeyboardInterrupt):
            with uninterrupted():
                signal.raise_signal(signal.SIGHUP)
                steps.append("terminal")
            with uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                steps.append("inside")
            steps.append("after")
        assert steps == ["terminal", "inside"]
        assert interrupts == Interrupts(signal.SIGTERM) and interrupts.exit_code == 143
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
