"""A real sshd on loopback as an ordinary process, with keys, config and known hosts of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
# Root without the right to write what its mode forbids: files are as they are to others.
AS_A_USER = (
    "ForceCommand setpriv --bounding-set=-dac_override --inh-caps=-dac_override "
    'sh -c "$SSH_ORIGINAL_COMMAND"\n'
)


@dataclass
class Server:
    """``folder`` has all files: ``sys`` stands for the board's /sys, ``bin`` is in its PATH."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"ssh:{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def ssh(self) -> str:
        """For ``TVM_OPS_SSH``: the client with this server's keys and hosts."""
        return f"ssh -F {self.folder / 'config'}"

    @property
    def temporary(self) -> Path:
        """The board's folder for what is temporary."""
        return self.folder / "tmp"

    def stop(self) -> None:
        """The server and all connections."""
        family = [self.process.pid]
        family += [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        for pid in family:
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()
        self.process.wait()


def client_of(config: Path, *servers: Server) -> str:
    """For ``TVM_OPS_SSH``: one client for several servers."""
    for server in servers:
        match = f'Match exec "test %p = {server.port}"'
        with config.open("a") as file:
            file.write(f"{match}\n Include {server.folder / 'config'}\n")
    return f"ssh -F {config}"


def meeting_prefix(met: Path, first: Server, second: Server, before: str = "") -> None:
    """A prefix ``meet`` for programs: ``met`` is made once one runs on each board at a time.

    Until then each waits for the other one, up to 20 s; the first of a job, which has nothing
    beside it, 1 s.
    ``runs`` in the server's folder has a byte for each.
    """
    for own, other in ((first.folder, second.folder), (second.folder, first.folder)):
        path = own / "bin/meet"
        path.write_text(
            f"#!/bin/sh\necho >>{own}/runs\nmkdir {own}/busy\n"
            f"cat {first.folder}/runs {second.folder}/runs 2>/dev/null | wc -l >{own}/so-far\n"
            f"[ $(cat {own}/so-far) -gt 1 ] && tries=400 || tries=20\n"
            f"for i in $(seq $tries); do [ ! -e {met} ] || break\n"
            f"[ ! -e {other}/busy ] || touch {met}; sleep 0.05; done\n"
            f'{before} "$@"\ncode=$?\nrmdir {own}/busy\nexit $code\n'
        )
        path.chmod(0o755)


def wait_for(condition: Callable[[], object]) -> None:
    """Up to a minute: other work may have the machine."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def board_system(folder: Path, governor: str = "ondemand") -> None:
    """What a Raspberry Pi's kernel shows of heat and clock; the governor's file can be written."""
    policy = folder / "devices/system/cpu/cpufreq/policy0"
    zone = folder / "class/thermal/thermal_zone0"
    for path in (policy, zone):
        path.mkdir(parents=True, exist_ok=True)
    (policy / "scaling_governor").unlink(missing_ok=True)
    (policy / "scaling_available_governors").unlink(missing_ok=True)
    (policy / "scaling_governor").write_text(f"{governor}\n")
    (policy / "scaling_cur_freq").write_text("1800000\n")
    (zone / "temp").write_text("48000\n")


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Started on a free port; ends with all its connections."""
    assert SSHD, "sshd is missing; bash scripts/setup.sh installs it"
    for name in ("tmp", "bin", "sys"):
        (folder / name).mkdir(parents=True)
    board_system(folder / "sys")
    host_key, key = make_key(folder / "host_key"), make_key(folder / "key")
    shutil.copy(key.with_suffix(".pub"), folder / "authorized_keys")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd confines itself
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "TMPDIR": folder / "tmp",
        "TVM_OPS_SYS": folder / "sys",
        "TVM_OPS_LOCK": folder / "lock",
    }
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        "MaxStartups 100\n"
        f"{AS_A_USER if os.getuid() == 0 else ''}"
        "SetEnv " + " ".join(f'{name}="{value}"' for name, value in environment.items()) + "\n"
    )
    (folder / "config").write_text(
        f"Host *\n IdentityFile {key}\n IdentitiesOnly yes\n"
        f" UserKnownHostsFile {folder / 'known_hosts'}\n GlobalKnownHostsFile none\n"
        " StrictHostKeyChecking yes\n UpdateHostKeys no\n"
    )
    kind, value, *_ = host_key.with_suffix(".pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {value}\n")
    with (folder / "sshd.log").open("wb") as log:
        # It stops by itself where the tests were killed.
        command = ["timeout", "1800", SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(command, stderr=log, start_new_session=True)
    server = Server(folder, port, process)
    try:
        _wait(server)
        yield server
    finally:
        server.stop()


def _wait(server: Server) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            assert server.process.poll() is None, (server.folder / "sshd.log").read_text()
            time.sleep(0.05)
    raise AssertionError("sshd does not listen")


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a file."""
    with ssh_server(tmp_path_factory.mktemp("board")) as server:
        yield server


@pytest.fixture(autouse=True)
def ssh_client(running_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of that server; what is known of boards stays in the test's own folder."""
    monkeypatch.setenv("TVM_OPS_SSH", running_server.ssh)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TVM_OPS_BOARDS", str(tmp_path / "boards.yaml"))
    board_system(running_server.folder / "sys")
