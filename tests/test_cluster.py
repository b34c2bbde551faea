"""A job on a Dask cluster: the same log, workers that die and that join, what is refused."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from dask_processes import Cluster, cluster
from distributed import Client

from tvm_ops.boards import get_board
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning import log
from tvm_ops.tuning.cluster import ClusterPool, measure_here
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.space import knobs_id

KEY = "conv2d-n1_ci8_h6_w6_co8_k1_s1_p0-f32"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory):
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def task() -> Task:
    return parse_task("conv2d", KEY, get_target("rpi4"))


def steps(logs: Path) -> list[tuple[str, int | None, str | None]]:
    records = log.read_log(log.log_path(logs, "rpi4", "conv2d"))
    return [(knobs_id(r.knobs), r.cycles, r.error) for r in records]


def test_what_cannot_be_reached_or_has_no_workers_is_refused(
    running: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvm_ops.tuning.cluster.CONNECT_TIMEOUT", 1.0)
    for address in ("tcp://127.0.0.1:1", "nowhere", "ftp://127.0.0.1:1"):
        with pytest.raises(InputError, match=rf"--cluster {address}: no scheduler answers") as it:
            ClusterPool(address)
        assert "\n" not in str(it.value)
    left = [thing for thing in gc.get_objects() if isinstance(thing, Client)]
    assert not left, "half a client may close itself while another one starts, which never ends"
    with pytest.raises(InputError, match="it has no workers; dask worker tcp://127"):
        ClusterPool(running.address)


def test_the_log_is_that_of_local_workers_while_one_dies_and_one_joins(
    running: Cluster, task: Task, tmp_path: Path
) -> None:
    first = running.add_worker()
    running.add_worker("--resources", "ssh:pi@pi4=1")
    running.wait_for_workers(2)

    def disturb(progress: Progress) -> None:
        if progress.done == 3 and first.poll() is None:
            first.kill()
            first.wait()
            running.add_worker()

    with ClusterPool(running.address) as pool:
        done = tune(task, trials=12, logs=tmp_path / "cluster", pool=pool, observer=disturb)
    assert first.returncode == -9 and done.measured == 12
    tune(task, trials=12, logs=tmp_path / "local", workers=1)
    assert steps(tmp_path / "cluster") == steps(tmp_path / "local")


def test_boards_are_resources_and_this_machine_is_none(
    running: Cluster, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ClusterPool(running.address) as pool:
        with pytest.raises(InputError, match="board host is this machine: leave out --cluster"):
            pool.submit(Setting(task, "host"), default_knobs(task), None)
        gone = pool.submit(Setting(task, "ssh:pi@other"), default_knobs(task), None).result(30)
        assert gone.error and gone.is_environment and "has board ssh:pi@other" in gone.error
        with_options = "ssh:pi@pi4?exec_prefix=taskset%20-c%203"
        assert pool._next_board(["ssh:pi@other", with_options]) == with_options
        here = get_board("modelled", get_target("rpi4"))
        assert pool.prepare(here) == here.label
        both = get_board("ssh:pi@pi4,ssh:pi@other", get_target("rpi4"))
        with pytest.raises(InputError, match=r"board ssh:pi@other; .*--resources \"ssh:pi@other=1"):
            pool.prepare(both)
        with monkeypatch.context() as patch:
            patch.setattr("tvm_ops.tuning.cluster.fingerprint", lambda: "another")
            stale = pool.submit(Setting(task, "modelled"), default_knobs(task), None).result(60)
        assert stale.is_environment and "another version of tvm_ops" in (stale.error or "")
        monkeypatch.setattr(pool._client, "run", lambda _: {"tcp://127.0.0.1:5": "another"})
        with pytest.raises(InputError, match=r"worker tcp://127.0.0.1:5 has another version of"):
            pool._check_workers()


def test_a_scheduler_that_is_gone_is_no_candidates_fault(
    running: Cluster, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ClusterPool(running.address) as pool:
        running.stop()
        lost = pool.submit(Setting(task, "modelled"), default_knobs(task), None).result(60)
    assert lost.is_environment
    assert measure_here({}, 1.0, "other")["error"].startswith("environment: ")
