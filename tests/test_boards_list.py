"""``tvm-ops boards``, and the verbs that name boards over ssh, from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from ssh_server import (
    Server,
    running_server,  # noqa: F401 - fixtures
    ssh_client,  # noqa: F401
)

KEY = "conv2d-n1_ci4_h6_w6_co8_k1_s1_p0-f32"
TUNE = ["tune", "conv2d", "--target", "host", "--workload", KEY, "--logs", "logs"]


@pytest.fixture
def server(running_server: Server) -> Server:  # noqa: F811
    return running_server


@pytest.fixture
def states(run_cli, tmp_path: Path):
    """Exit code and facts by name of ``tvm-ops boards``."""

    def ask(*arguments: str):
        done = run_cli("boards", "--json", "boards.json", *arguments)
        assert done.stderr == "", done.stderr
        boards = json.loads((tmp_path / "boards.json").read_text())["boards"]
        return done.returncode, {board["name"]: board for board in boards}

    return ask


def test_states(server: Server, states, run_cli, tmp_path: Path) -> None:
    assert "no boards: name some in" in run_cli("boards").stdout
    (tmp_path / "boards.yaml").write_text(
        f"boards:\n  bench: {{address: '{server.address}', target: host}}\n"
        "  away: {address: 'ssh:127.0.0.1:9'}\n"
    )
    code, boards = states()
    assert code == 1 and set(boards) == {"bench", "away"}
    bench, away = boards["bench"], boards["away"]
    assert (bench["state"], bench["waiting"], bench["celsius"]) == ("free", 0, 48.0)
    assert bench["note"] == "clock pinned while measuring" and bench["target"] == "host"
    assert (away["state"], away["last_seen"]) == ("gone", None)
    assert str(away["note"]).startswith("nothing listens there")

    (server.folder / "sys/class/thermal/thermal_zone0/temp").write_text("85000\n")
    code, boards = states("--board", "bench")
    assert code == 0 and (boards["bench"]["state"], boards["bench"]["celsius"]) == ("hot", 85.0)
    (server.folder / "sys/class/thermal/thermal_zone0/temp").write_text("50000\n")

    queue = []
    try:
        for program in (["sleep", "60"], ["true"]):
            queue.append(subprocess.Popen(["flock", str(server.folder / "lock"), *program]))
            for _ in range(20):
                _, boards = states("--board", "bench")
                bench = boards["bench"]
                if (bench["state"], bench["waiting"]) == ("busy", len(queue) - 1):
                    break
        assert (bench["state"], bench["waiting"]) == ("busy", 1)
    finally:
        for process in reversed(queue):
            process.kill()
            process.wait()

    (tmp_path / "boards.yaml").unlink()
    code, boards = states()  # it was seen
    assert set(boards) == {server.address} and boards[server.address]["last_seen"]


def test_an_interrupted_session_goes_on(server: Server, run_cli, tmp_path: Path) -> None:
    """Ctrl-C: a valid log, nothing left on the board; the same command measures the rest."""
    command = [*TUNE, "--trials", "8", "--workers", "2", "--board", server.address]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "tvm_ops", *command]
    child = subprocess.Popen(run, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "logs/host/conv2d.jsonl"
    for _ in range(3600):
        if log.exists() and log.read_text().count("\n") >= 2:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert f"board: {server.address}, wall clock, clock pinned while measuring" in output
    before = [json.loads(line) for line in log.read_text().splitlines()]
    assert 2 <= len(before) <= 8 and {r["board"] for r in before} == {server.address}
    for _ in range(200):
        if not list(server.temporary.iterdir()):
            break
        time.sleep(0.05)
    assert list(server.temporary.iterdir()) == []
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    assert (policy / "scaling_governor").read_text() == "ondemand\n"
    done = run_cli(*command, "--json", "tuned.json")
    assert done.returncode == 0, done.stderr
    [row] = json.loads((tmp_path / "tuned.json").read_text())["rows"]
    assert (row["trials"], row["new"]) == (8, 8 - len(before))


def test_comparison_there(server: Server, run_cli) -> None:
    done = run_cli(
        "compare", "conv2d", "--target", "host", "--workload", KEY, "--board", server.address,
        "--against", "handwritten,ncnn", "--json", "c.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"runs on this machine, not on {server.address}" in done.stdout
    assert "geometric mean of handwritten's time over ours" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TUNE, "--board", "ssh:"], r"board 'ssh:' has to be ssh:[USER@]HOST[:PORT]"),
        ([*TUNE, "--board", "ssh"], "unknown board 'ssh'"),
        ([*TUNE, "--exec-prefix", "nice"], "--exec-prefix is for ssh boards"),
        ([*TUNE, "--board", "ssh:127.0.0.1:9"], "nothing listens there"),
        (["run", "b", "--board", "ssh:a", "--board", "ssh:b"], "run takes one --board, not 2"),
        (["deploy", "b.tar.gz"], "--board is needed"),
        (["deploy", "--board", "ssh:a"], "BUNDLE is needed"),
        (["deploy", "--rollback", "--board", "ssh:a"], "name the --prefix"),
        (["deploy", "--rollback", "--prefix", "x", "--board", "rpc:a@b:1"], "an ssh board"),
        (["deploy", "none", "--board", "ssh:a"], "bundle none: no such file"),
    ],
)
def test_bad_input_is_one_line(refused, arguments: list[str], message: str, tmp_path: Path) -> None:
    assert message in refused(*arguments)
    assert not (tmp_path / "logs").exists()
