"""Boards over ssh as resources of the Dask workers next to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from dask_processes import Cluster, cluster
from ssh_server import Server, meeting_prefix, ssh_server

from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.tuning import log
from tvm_ops.tuning.measure import WALL_CLOCK_REPEATS

KEY = "conv2d-n1_ci4_h6_w6_co8_k1_s1_p0-f32"
QEMU = "qemu-aarch64 -L /usr/aarch64-linux-gnu"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    folder = tmp_path_factory.mktemp("boards")
    with ssh_server(folder / "a") as first, ssh_server(folder / "b") as second:
        meeting_prefix(folder / "met", first, second, before=QEMU)
        yield [first, second]


@pytest.fixture(scope="module")
def running(boards: list[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A worker without a board, and one beside each, which alone has that board's keys."""
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        running.add_worker(TVM_OPS_SSH="ssh -F none")
        for board in boards:
            resources = ["--resources", f"{board.address}=1"]
            running.add_worker(*resources, TVM_OPS_SSH=board.ssh)
        running.wait_for_workers(3)
        yield running


@pytest.fixture
def tune(tmp_path: Path, running: Cluster) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``tvm-ops tune`` on a machine that reaches the scheduler and no board."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tvm_ops", "tune", "conv2d", "--target", "rpi4"]
        command += ["--workload", KEY, "--cluster", running.address, "--logs", str(tmp_path)]
        env = os.environ | {"PYTHONPATH": str(ROOT), "TVM_OPS_SSH": "ssh -F none"}
        return subprocess.run(
            [*command, *arguments], env=env, capture_output=True, text=True, check=False
        )

    return run


def test_each_trial_goes_through_the_worker_beside_the_board(
    boards: list[Server], tune: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """And both boards measure at the same time."""
    names = [board.address for board in boards]
    where = [part for name in names for part in ("--board", name)]
    facts = tmp_path / "facts.json"
    done = tune(*where, "--exec-prefix", "meet", "--trials", "6", "--json", str(facts))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("under meet, clock pinned while measuring") == 2
    task = parse_task("conv2d", KEY, get_target("rpi4"))
    records = log.read_task(log.log_path(tmp_path, "rpi4", "conv2d"), task)
    assert [record.error for record in records] == [None] * 6
    assert {len(record.seconds) for record in records} == {WALL_CLOCK_REPEATS}
    for board in boards:
        mine = [record for record in records if record.board == board.address]
        assert len((board.folder / "runs").read_text()) == len(mine) == 3
        assert list(board.temporary.iterdir()) == []
    assert (boards[0].folder.parent / "met").exists()
    assert json.loads(facts.read_text())["rows"][0]["new"] == 6


def test_a_board_that_cannot_be_used_is_said_before_any_trial(
    boards: list[Server],
    running: Cluster,
    tune: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    nobody = tune("--board", "ssh:pi@nowhere.invalid")
    assert nobody.returncode == 2 and nobody.stderr == (
        f"tvm-ops: error: --cluster {running.address}: no worker of the cluster has board "
        "ssh:pi@nowhere.invalid; start one beside it: dask worker ADDRESS --resources "
        '"ssh:pi@nowhere.invalid=1"\n'
    )
    if os.uname().machine == "x86_64":
        other = tune("--board", boards[0].address)
        assert other.returncode == 2 and other.stderr.count("\n") == 1
        assert "its programs are 64-bit x86_64" in other.stderr
    assert not (tmp_path / "rpi4").exists()
