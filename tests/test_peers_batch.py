"""Many jobs in one process of a board: each as if it were alone."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tvm_ops.boards import get_board
from tvm_ops.operators._conv import ConvWorkload, conv_data, conv_reference
from tvm_ops.peers import PeerFailed, get_peer, process
from tvm_ops.peers.on_board import board_version, job_folder, run_on_board
from tvm_ops.targets import get_target
from tvm_ops.task import Task

RPI4 = get_target("rpi4")
WORKLOADS = [
    ConvWorkload(1, 16, 14, 14, 24, activation="none"),
    ConvWorkload(1, 32, 14, 14, 32, groups=32, activation="relu6"),
    ConvWorkload(1, 64, 14, 14, 64, (1, 1), (1, 1), (0, 0)),
]


def measure(workloads):
    tasks = [Task("conv2d", workload, RPI4) for workload in workloads]
    data = [conv_data(workload) for workload in workloads]
    return get_peer("ncnn").measure_all(tasks, get_board("modelled", RPI4), data)


def test_a_job_does_not_depend_on_the_others():
    together = measure(WORKLOADS)
    (last,) = measure(WORKLOADS[2:])
    assert together[2].cycles == pytest.approx(last.cycles, rel=5e-3)
    for workload, result in zip(WORKLOADS, together, strict=True):
        assert result.why_not is None
        expected = conv_reference(workload, conv_data(workload))
        assert np.abs(result.output - expected).max() < 1e-3 * np.abs(expected).max()


def test_what_a_peer_cannot_run_costs_the_others_nothing():
    armv7 = Task("conv2d", WORKLOADS[0], get_target("rpi4-armv7"))
    tasks = [armv7, Task("conv2d", WORKLOADS[1], RPI4)]
    board = SimpleNamespace(name="emulated")
    data = [conv_data(workload) for workload in WORKLOADS[:2]]
    results = get_peer("ncnn").measure_all(tasks[::-1], board, data[::-1])
    assert results[0].output is not None
    assert "ARMv7" in results[1].why_not


# A library that crashes in job 1, hangs in job 2 and raises in job 3.
RUNNER = """
import os, time
import numpy as np

class Network:
    def __init__(self, folder, x, settings):
        self.number = int(x[0])
    def prepare(self): pass
    def run(self):
        if self.number == 1: os.abort()
        if self.number == 2: time.sleep(60)
        if self.number == 3: raise ValueError("of no use")
    def output(self): return np.array([self.number])
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """Five jobs of a library of ours, beside a copy of serve.py."""
    (tmp_path / "serve.py").write_text(process.SERVE.read_text())
    (tmp_path / "run_ours.py").write_text(RUNNER)
    monkeypatch.setattr(process, "SERVE", tmp_path / "serve.py")
    for number in range(5):
        for part in ("operator", "trivial"):
            (job_folder(tmp_path, number) / part).mkdir(parents=True)
            np.save(job_folder(tmp_path, number) / part / "x.npy", np.array([number]))
    job = {"library": "ours", "package": "numpy", "settings": {}, "jobs": 5, "timeout": 3}
    (tmp_path / "job.json").write_text(json.dumps(job))
    return tmp_path


def test_a_crash_or_a_hang_costs_only_its_job(jobs):
    results = run_on_board(RPI4, jobs, 5, timed=True, timeout=3)
    assert [int(results[i].output[0]) for i in (0, 4)] == [0, 4]
    assert results[0].version == results[4].version == board_version(RPI4, "numpy")
    assert results[0].network is not None
    assert results[4].trivial is not None
    failures = [results[i] for i in (1, 2, 3)]
    assert all(isinstance(failed, PeerFailed) for failed in failures)
    assert [str(failed) for failed in failures] == [
        "crashed: SIGABRT",
        "no result within 3 s",
        "ValueError: of no use",
    ]


def test_a_library_that_cannot_be_imported_fails_every_job(jobs):
    (jobs / "run_ours.py").write_text("import no_such_library")
    results = run_on_board(RPI4, jobs, 5, timed=False, timeout=3)
    assert {str(failed) for failed in results} == {
        "ModuleNotFoundError: No module named 'no_such_library'"
    }


def test_a_package_that_the_board_lacks():
    with pytest.raises(PeerFailed, match="not on the board"):
        board_version(RPI4, "no-such-package")
