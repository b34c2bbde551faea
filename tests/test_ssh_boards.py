"""Boards over ssh, against a real sshd on loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from c_kernels import ARGUMENTS, compile_kernels, kernel
from conftest import ROOT
from ssh_server import (
    Server,
    client_of,
    meeting_prefix,
    running_server,  # noqa: F401 - fixtures
    ssh_client,  # noqa: F401
    ssh_server,
)

from tvm_ops.boards import get_board, ssh
from tvm_ops.build import link_kernels
from tvm_ops.peers import get_peer
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning import log
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.session import tune

HOST = get_target("host")
KEY = "conv2d-n1_ci4_h6_w6_co8_k1_s1_p0-f32"
Y = ARGUMENTS[-1]
PREFIX = "qemu-aarch64 -L /usr/aarch64-linux-gnu"


@pytest.fixture
def server(running_server: Server) -> Server:  # noqa: F811
    return running_server


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, linked = tmp_path_factory.mktemp("programs"), {}
    for name in ("host", "rpi4"):
        target = get_target(name)
        kernels = [kernel(n) for n in ("rows", "crash", "hang")]
        obj = compile_kernels(target, folder)
        linked[name] = link_kernels([obj], kernels, target, folder / f"bench-{name}")
    return linked


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {a.name: rng.standard_normal(a.shape, np.float32) for a in ARGUMENTS[:-1]}


def expected(given: dict[str, np.ndarray]) -> np.ndarray:
    return given["bias"][:, None] + np.cumsum(given["x"] * given["weights"], axis=1)


def vcgencmd(server: Server, script: str) -> Path:
    """A firmware's program on the board; ``script`` prints its flags."""
    path = server.folder / "bin/vcgencmd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_run_gives_all_samples_and_leaves_nothing(server, programs) -> None:
    board = get_board(server.address, HOST)
    board.connect()
    given = arrays()
    result = board.run(
        programs["host"], task="rows", inputs=given, output=(Y.name, Y.shape, Y.dtype), repeat=3
    )
    assert (result.board, result.error, result.cycles) == (server.address, None, None)
    assert result.seconds and len(result.seconds) == 3 and min(result.seconds) > 0
    np.testing.assert_allclose(result.outputs["y"], expected(given), rtol=1e-5, atol=1e-5)
    assert list(server.temporary.iterdir()) == []
    # All of it went over one connection.
    assert (server.folder / "sshd.log").read_text().count("Accepted publickey") == 1


def test_programs_under_an_emulator(server, programs) -> None:
    spec = f"{server.address}?exec_prefix={PREFIX.replace(' ', '%20').replace('/', '%2F')}"
    board = get_board(spec, get_target("rpi4"))
    assert board.spec == spec and board.name == server.address
    board.prepare()
    assert board.label.startswith(f"{server.address}, wall clock, under qemu-aarch64")
    given = arrays()
    output = (Y.name, Y.shape, Y.dtype)
    result = board.run(programs["rpi4"], task="rows", inputs=given, output=output)
    np.testing.assert_allclose(result.outputs["y"], expected(given), rtol=1e-5, atol=1e-5)


def test_failures_are_the_programs_own(server, programs) -> None:
    board = get_board(server.address, HOST)
    result = board.run(programs["host"], task="crash")
    assert (result.error, result.board_failed) == ("crashed: SIGSEGV", False)
    result = board.run(programs["host"], task="nothing")
    assert result.error is not None and "no such task (--list)" in result.error
    start = time.monotonic()
    assert board.run(programs["host"], task="hang", timeout=1).error == "timed out after 1 s"
    assert time.monotonic() - start < 20
    assert list(server.temporary.iterdir()) == []


def test_a_program_that_cannot_be_started_is_the_boards_fault(server, programs) -> None:
    prefix = server.folder / "bin/prefix"
    prefix.write_text("#!/no/such/interpreter\n")
    prefix.chmod(0o755)
    result = get_board(f"{server.address}?exec_prefix=prefix", HOST).run(programs["host"])
    assert result.board_failed and "failed to run command" in (result.error or "")
    prefix.unlink()


def governor(server: Server) -> str:
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    return (policy / "scaling_governor").read_text().strip()


def test_the_clock_is_pinned_and_restored(server, programs) -> None:
    seen = server.folder / "seen"
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    vcgencmd(server, f"cat {policy}/scaling_governor >>{seen}; echo throttled=0x0")
    board = get_board(server.address, HOST)
    board.connect()
    assert board.label.endswith("clock pinned while measuring")
    assert board.run(programs["host"], task="rows").error is None
    assert seen.read_text().split() == ["ondemand", "performance", "performance"]
    assert governor(server) == "ondemand"


def sudo(server: Server, allowed: str) -> None:
    """The board's: ``allowed`` says yes or no; only the governor may be written, as sudoers has it.

    Like the kernel's, the file keeps what it has where nothing is written.
    """
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    (policy / "scaling_governor").chmod(0o444)
    (server.folder / "sudo-allowed").write_text(allowed)
    path = server.folder / "bin/sudo"
    path.write_text(
        f"#!/bin/sh\n[ $(cat {server.folder}/sudo-allowed) = yes ] || exit 1\n"
        f'[ "$*" = "-n tee {policy}/scaling_governor" ] || exit 1\n'
        f'text=$(cat)\n[ -n "$text" ] || exit 0\n'
        f'cd {policy}; echo "$text" >new; chmod 444 new; mv -f new scaling_governor\n'
    )
    path.chmod(0o755)


def test_the_clock_is_pinned_by_sudo_where_that_is_allowed(server, programs) -> None:
    seen = server.folder / "seen-sudo"
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    firmware = vcgencmd(server, f"cat {policy}/scaling_governor >>{seen}; echo throttled=0x0")
    sudo(server, "yes")
    board = get_board(server.address, HOST)
    board.connect()
    assert board.label.endswith("clock pinned while measuring")
    assert board.run(programs["host"], task="rows").error is None
    assert seen.read_text().split() == ["ondemand", "performance", "performance"]
    assert governor(server) == "ondemand"
    firmware.unlink()


def test_a_clock_that_may_not_be_pinned_is_said_and_measured_as_it_is(
    server, programs, monkeypatch
) -> None:
    monkeypatch.setattr(ssh, "PAUSES", (0.0, 0.0))
    sudo(server, "no")
    board = get_board(server.address, HOST)
    board.connect()
    words = "clock not pinned (governor ondemand, no right to change it)"
    assert board.label == f"{server.address}, wall clock, {words}"
    assert board.run(programs["host"], task="rows").error is None
    sudo(server, "yes")
    board.connect()
    sudo(server, "no")  # what is measured now would not compare with what was before
    result = board.run(programs["host"], task="rows")
    assert result.board_failed and result.error == (
        f"disturbed: {server.address}: its clock could not be pinned any more, in each of 3 runs"
    )
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    (policy / "scaling_available_governors").write_text("ondemand schedutil\n")
    board.connect()
    assert board.label.endswith("not pinned (governor ondemand, its kernel has no performance)")
    assert board.run(programs["host"], task="rows").error is None


def test_a_pinned_clock_that_falls_disturbs(server, programs, monkeypatch) -> None:
    """The second time that it is looked at, in the first run; then it is as it was."""
    monkeypatch.setattr(ssh, "PAUSES", (0.0, 0.0))
    count = server.folder / "looks"
    count.write_text("")
    clock = server.folder / "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq"
    firmware = vcgencmd(
        server,
        f"echo >>{count}; case $(wc -l <{count}) in 3) echo 600000 >{clock};; "
        f"*) echo 1800000 >{clock};; esac; echo throttled=0x0",
    )
    board = get_board(server.address, HOST)
    board.connect()
    assert board.run(programs["host"], task="rows").error is None
    assert len(count.read_text()) == 5  # one look to connect, two in each of two runs
    firmware.unlink()


def test_the_clock_is_restored_where_the_run_is_interrupted(server, programs) -> None:
    """Killing the client at once is the worst of what Ctrl-C can do."""
    code = f"""
import sys
from pathlib import Path
from tvm_ops.boards import get_board
from tvm_ops.targets import get_target
get_board("{server.address}", get_target("host")).run(Path(sys.argv[1]), task="hang")
"""
    get_board(server.address, HOST).connect()  # the connection is this process's
    command = [sys.executable, "-c", code, str(programs["host"])]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    for number in (signal.SIGINT, signal.SIGKILL):
        child = subprocess.Popen(command, env=env, stderr=subprocess.PIPE)
        wait_for(lambda: governor(server) == "performance")
        child.send_signal(number)
        child.communicate()
        if number == signal.SIGKILL:  # its ssh lives on until the board is done
            kill_programs(server)
        wait_for(lambda: governor(server) == "ondemand" and not list(server.temporary.iterdir()))


def kill_programs(server: Server) -> None:
    """End the ssh clients that a killed process left, by their ids."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[:1] == ["ssh"] and str(server.folder / "config") in words:
            process.kill()


def wait_for(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it does not happen")


def test_a_disturbed_run_is_repeated(server, programs, monkeypatch) -> None:
    monkeypatch.setattr(ssh, "PAUSES", (0.0, 0.0))
    count = server.folder / "count"
    count.write_text("")
    # Throttled in the second look of the first run and in both of the second, then not any more.
    vcgencmd(
        server,
        f"echo >>{count}; case $(wc -l <{count}) in 3|4|5) echo throttled=0x4;; "
        "*) echo throttled=0x0;; esac",
    )
    board = get_board(server.address, HOST)
    board.connect()  # the first look
    assert board.run(programs["host"], task="rows").error is None
    assert len(count.read_text()) == 7
    vcgencmd(server, "echo throttled=0x50005")
    result = board.run(programs["host"], task="rows")
    assert result.board_failed and result.error == (
        f"disturbed: {server.address}: under-voltage, in each of 3 runs"
    )
    vcgencmd(server, "echo throttled=0x50000").unlink()
    (server.folder / "sys/class/thermal/thermal_zone0/temp").write_text("85000\n")
    result = board.run(programs["host"], task="rows")
    assert result.error is not None and "85 degrees" in result.error


def test_two_runs_take_turns(server, programs) -> None:
    """The lock is the board's own, whoever asks."""
    boards = [get_board(server.address, HOST) for _ in range(2)]
    for board in boards:
        board.connect()
    first = threading.Thread(
        target=boards[0].run, args=[programs["host"]], kwargs={"task": "hang", "timeout": 2}
    )
    first.start()
    wait_for(lambda: get_probe(server).holders == 1)
    second = threading.Thread(
        target=boards[1].run, args=[programs["host"]], kwargs={"task": "rows"}
    )
    second.start()
    wait_for(lambda: get_probe(server).waiting == 1)
    assert first.is_alive()
    for thread in (first, second):
        thread.join()
    probe = get_probe(server)
    assert (probe.holders, probe.waiting) == (0, 0)


def get_probe(server: Server):
    from tvm_ops.boards.address import parse_address

    return ssh.probe_board(parse_address(server.address))


def test_tuning_on_two_boards(server, tmp_path, tmp_path_factory, monkeypatch) -> None:
    """Both at a time, the log says which, and a session that goes on knows what both have done."""
    task = parse_task("conv2d", KEY, HOST)
    with ssh_server(tmp_path_factory.mktemp("other")) as other:
        monkeypatch.setenv("TVM_OPS_SSH", client_of(tmp_path / "config", server, other))
        both = f"{server.address},{other.address}"
        meeting_prefix(tmp_path / "met", server, other)
        specs = ",".join(f"{name}?exec_prefix=meet" for name in both.split(","))
        done = tune(task, trials=6, board=specs, logs=tmp_path, workers=2)
        assert (tmp_path / "met").exists()
        assert done.best and done.best.board in both.split(",")
    records = log.read_task(log.log_path(tmp_path, "host", "conv2d"), task)
    assert {record.board for record in records} == {server.address, other.address}
    assert not any((record.error or "").startswith("environment") for record in records)
    again = tune(task, trials=6, board=both.replace(other.address, server.address).split(",")[0],
                 logs=tmp_path, workers=1)  # fmt: skip
    assert 0 < again.measured < 6


def test_a_board_that_goes_away_leaves_its_work_to_the_other(
    server, programs, tmp_path, tmp_path_factory, monkeypatch
) -> None:
    with ssh_server(tmp_path_factory.mktemp("gone")) as other:
        monkeypatch.setenv("TVM_OPS_SSH", client_of(tmp_path / "config", server, other))
        group = get_board(f"{other.address},{server.address}", HOST)
        group.connect()
        assert group.run_in_turn(tmp_path, programs["host"], task="rows").board == other.address
    for _ in range(2):
        result = group.run_in_turn(tmp_path, programs["host"], task="rows")
        assert (result.board, result.error) == (server.address, None)
    alone = get_board(other.address, HOST).run(programs["host"], task="rows")
    assert alone.board_failed and "nothing listens there" in (alone.error or "")


def test_a_trial_is_checked(server, tmp_path) -> None:
    task = parse_task("conv2d", KEY, HOST)
    measurer = Measurer(task, server.address, tmp_path)
    outcome = measurer.measure(default_knobs(task))
    assert (outcome.error, outcome.board, len(outcome.seconds)) == (None, server.address, 15)


def test_the_handwritten_peer_runs_there(server) -> None:
    task = parse_task("conv2d", KEY, HOST)
    board = get_board(server.address, HOST)
    data = Measurer(task, "host", Path()).arrays
    there = get_peer("handwritten").measure(task, board, data)
    here = get_peer("handwritten").measure(task, get_board("host", HOST), data)
    assert there.output is not None and here.output is not None and there.seconds
    assert np.array_equal(there.output, here.output)
