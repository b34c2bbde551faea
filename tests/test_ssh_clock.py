"""A board's clock over ssh, and measurements that heat or another clock disturbs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from c_kernels import compile_kernels, kernel
from conftest import ROOT
from ssh_server import (
    Server,
    running_server,  # noqa: F401 - fixtures
    ssh_client,  # noqa: F401
    wait_for,
)

from tvm_ops.boards import get_board, ssh
from tvm_ops.build import link_kernels
from tvm_ops.targets import get_target

HOST = get_target("host")


@pytest.fixture
def server(running_server: Server) -> Server:  # noqa: F811
    return running_server


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    kernels = [kernel(name) for name in ("rows", "hang")]
    return link_kernels([compile_kernels(HOST, folder)], kernels, HOST, folder / "bench")


def vcgencmd(server: Server, script: str) -> Path:
    """A firmware's program on the board; ``script`` prints its flags."""
    path = server.folder / "bin/vcgencmd"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def governor(server: Server) -> str:
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    return (policy / "scaling_governor").read_text().strip()


def assert_pinned(server: Server, program: Path, seen: Path) -> None:
    """Before and after the run ``seen`` gets the governor; it is restored."""
    board = get_board(server.address, HOST)
    board.connect()
    assert board.label.endswith("clock pinned while measuring")
    assert board.run(program, task="rows").error is None
    assert seen.read_text().split() == ["ondemand", "performance", "performance"]
    assert governor(server) == "ondemand"


def test_the_clock_is_pinned_and_restored(server, program) -> None:
    seen = server.folder / "seen"
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    vcgencmd(server, f"cat {policy}/scaling_governor >>{seen}; echo throttled=0x0")
    assert_pinned(server, program, seen)


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


def test_the_clock_is_pinned_by_sudo_where_that_is_allowed(server, program) -> None:
    seen = server.folder / "seen-sudo"
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    firmware = vcgencmd(server, f"cat {policy}/scaling_governor >>{seen}; echo throttled=0x0")
    sudo(server, "yes")
    assert_pinned(server, program, seen)
    firmware.unlink()


def test_a_clock_that_may_not_be_pinned_is_said_and_measured_as_it_is(
    server, program, monkeypatch
) -> None:
    monkeypatch.setattr(ssh, "PAUSES", (0.0, 0.0))
    sudo(server, "no")
    board = get_board(server.address, HOST)
    board.connect()
    words = "clock not pinned (governor ondemand, no right to change it)"
    assert board.label == f"{server.address}, wall clock, {words}"
    assert board.run(program, task="rows").error is None
    sudo(server, "yes")
    board.connect()
    sudo(server, "no")  # what is measured now would not compare with what was before
    result = board.run(program, task="rows")
    assert result.board_failed and result.error == (
        f"disturbed: {server.address}: its clock could not be pinned any more, in each of 3 runs"
    )
    policy = server.folder / "sys/devices/system/cpu/cpufreq/policy0"
    (policy / "scaling_available_governors").write_text("ondemand schedutil\n")
    board.connect()
    assert board.label.endswith("not pinned (governor ondemand, its kernel has no performance)")
    assert board.run(program, task="rows").error is None


def test_a_pinned_clock_that_falls_disturbs(server, program, monkeypatch) -> None:
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
    assert board.run(program, task="rows").error is None
    assert len(count.read_text()) == 5  # one look to connect, two in each of two runs
    firmware.unlink()


def test_the_clock_is_restored_where_the_run_is_interrupted(server, program) -> None:
    """Killing the client at once is the worst of what Ctrl-C can do."""
    code = f"""
import sys
from pathlib import Path
from tvm_ops.boards import get_board
from tvm_ops.targets import get_target
get_board("{server.address}", get_target("host")).run(Path(sys.argv[1]), task="hang")
"""
    get_board(server.address, HOST).connect()  # the connection is this process's
    command = [sys.executable, "-c", code, str(program)]
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


def test_a_disturbed_run_is_repeated(server, program, monkeypatch) -> None:
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
    assert board.run(program, task="rows").error is None
    assert len(count.read_text()) == 7
    vcgencmd(server, "echo throttled=0x50005")
    result = board.run(program, task="rows")
    assert result.board_failed and result.error == (
        f"disturbed: {server.address}: under-voltage, in each of 3 runs"
    )
    vcgencmd(server, "echo throttled=0x50000").unlink()
    (server.folder / "sys/class/thermal/thermal_zone0/temp").write_text("85000\n")
    result = board.run(program, task="rows")
    assert result.error is not None and "85 degrees" in result.error
