"""OpenSSH's own client: its keys, config and known hosts, one connection for all that is asked.

Nothing is asked of a person (BatchMode); what ssh complains of becomes one line with the cure.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tvm_ops.boards.address import Address
from tvm_ops.errors import InputError

SCRIPTS = Path(__file__).parent / "on_board"
CONNECT_TIMEOUT = 10  # seconds
SSH_FAILED = 255  # exit code of ssh itself

_OPTIONS = (
    "BatchMode=yes", f"ConnectTimeout={CONNECT_TIMEOUT}", "ServerAliveInterval=5",
    "ServerAliveCountMax=3", "ControlPersist=300", "LogLevel=ERROR",
    "ForwardAgent=no", "ForwardX11=no", "RequestTTY=no", "RemoteCommand=none",
)  # fmt: skip

# What ssh says, and the cause and cure that follow from it; {host} as known_hosts has it.
_CAUSES = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED",
     "its host key has changed: the board was set up anew, or somebody is in between; if you know "
     "why, forget the old key: ssh-keygen -R '{host}'"),
    ("Host key verification failed",
     "its host key is not known yet; look at it and accept it once, by hand: {command}"),
    ("Permission denied",
     "it accepts none of your keys; put one there: ssh-copy-id, or start ssh-agent and ssh-add"),
    ("Could not resolve hostname", "no such host; write its name, number or alias of ssh's config"),
    ("Connection refused", "nothing listens there; start sshd on the board, or give its port"),
    ("Connection timed out", "no answer; is it on, and in this network?"),
    ("timed out", "no answer; is it on, and in this network?"),
    ("No route to host", "no answer; is it on, and in this network?"),
)  # fmt: skip


class BoardGone(RuntimeError):
    """The board cannot be reached, or its connection broke; one line."""


@dataclass(frozen=True)
class Answer:
    """What a script on the board printed."""

    exit_code: int
    stdout: bytes
    stderr: str


def script(*names: str) -> str:
    """Scripts of ``on_board`` as one."""
    return "\n".join((SCRIPTS / f"{name}.sh").read_text() for name in names)


def run_script(
    address: Address, text: str, arguments: Sequence[str], timeout: float = 60.0, keep: bool = False
) -> Answer:
    """Run a shell script on the board, without input. Raises ``BoardGone``, ``InputError``.

    With ``keep`` the connection stays, for others to use: a child of this process for its life.
    """
    return Exchange(address, text, arguments, keep).finish(timeout)


class Exchange:
    """One running script: ``send`` its input when it has said ``ready``, then ``finish``.

    A context manager: leaving it closes the script's input, by which the script knows the end.
    """

    def __init__(
        self, address: Address, text: str, arguments: Sequence[str], keep: bool = False
    ) -> None:
        self._address = address
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        remote = shlex.join(["sh", "-c", text, "tvm_ops", *arguments])
        self._process = subprocess.Popen(
            [*command(address, keep), remote],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,  # a file: a connection that is kept would hold a pipe open
            start_new_session=True,  # Ctrl-C is for this process, which then closes the input
        )

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def send(self, data: bytes) -> None:
        """Wait for the script's turn, as long as it takes, and send; ``finish`` has what failed."""
        assert self._process.stdin and self._process.stdout
        for line in self._process.stdout:  # a login shell's greetings may come before
            if line == b"ready\n":
                with suppress(BrokenPipeError):
                    self._process.stdin.write(data)
                    self._process.stdin.flush()
                return

    def finish(self, timeout: float) -> Answer:
        """The rest of its output; after ``timeout`` seconds the connection counts as broken."""
        assert self._process.stdout
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(timeout, end)
        timer.start()
        try:
            output = self._process.stdout.read()
            code = self._process.wait()
        finally:
            timer.cancel()
        self._complaints.seek(0)
        complaints = self._complaints.read().decode(errors="replace")
        self.__exit__()
        if late.is_set():
            raise BoardGone(f"{self._address.name}: no answer within {timeout:g} s")
        if code == SSH_FAILED or code < 0:
            raise BoardGone(explain(self._address, complaints))
        return Answer(code, output, complaints)


def command(address: Address, keep: bool = False) -> list[str]:
    """The client up to the remote command. ``$TVM_OPS_SSH`` names another one, with options."""
    words = shlex.split(os.environ.get("TVM_OPS_SSH") or "ssh")
    if not words or shutil.which(words[0]) is None:
        name = words[0] if words else "ssh"
        raise InputError(f"{name} is not installed; apt-get install openssh-client")
    options = [part for option in _OPTIONS for part in ("-o", option)]
    # Whoever does not keep a connection uses one that is there: a worker's would end with it.
    options += ["-o", f"ControlMaster={'auto' if keep else 'no'}"]
    options += ["-o", f"ControlPath={_control_folder()}/%C"]
    options += ["-p", str(address.port)] if address.port else []
    options += ["-l", address.user] if address.user else []
    return [*words, *options, "--", address.host]


def explain(address: Address, complaints: str) -> str:
    """One line: the board, what is the matter, and what to do."""
    name, port = address.host, address.port
    host = f"[{name}]:{port}" if port and port != 22 else name
    by_hand = shlex.join(["ssh", *(["-p", str(port)] if port else []),
                          f"{address.user}@{name}" if address.user else name])  # fmt: skip
    for phrase, cause in _CAUSES:
        if phrase in complaints:
            return f"{address.name}: {cause.format(host=host, command=by_hand)}"
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    return f"{address.name}: {lines[-1][:200] if lines else 'the connection broke'}"


def _control_folder() -> Path:
    """A private folder for the connections' sockets, whose paths may have 107 characters only."""
    # Not by tempfile: workers have folders of their own, and share the session's connections.
    folder = Path(os.environ.get("TMPDIR") or "/tmp") / f"tvm_ops-ssh-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise InputError(f"{folder} is not your own private folder; remove it")
    return folder
