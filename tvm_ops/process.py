"""Child processes that can neither hang, nor fill the memory, nor leave children behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """``exit_code`` is minus the signal's number for a process that a signal ended."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool

    @property
    def failure(self) -> str | None:
        """One line that says how it failed, None if it exited with 0."""
        if self.exit_code == 0:
            return None
        text = self.stderr.strip().splitlines()
        last = f": {text[-1].strip()[:300]}" if text else ""
        # qemu-user passes its guest's signal on by ending with it itself; a shell's way is 128 + n.
        number = -self.exit_code if self.exit_code < 0 else self.exit_code - 128
        if number in set(signal.Signals):
            return f"crashed: {signal.Signals(number).name}{last}"
        return f"exit code {self.exit_code}{last}"


def run_limited(
    argv: Sequence[str | Path],
    *,
    timeout: float | None,
    memory: int | None = None,
    stdin: str | None = None,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    whole_env: Mapping[str, str] | None = None,
) -> Finished:
    """Run ``argv`` in its own process group, which is killed as a whole after ``timeout`` seconds.

    ``memory`` limits the address space in bytes; ``env`` is added to this process's environment,
    ``whole_env`` is all that the program gets. Raises ``OSError`` if it cannot be started.
    """
    environment = {**os.environ, **env} if env else None
    child = subprocess.Popen(
        [str(part) for part in argv],
        cwd=cwd,
        env=environment if whole_env is None else dict(whole_env),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    if memory is not None:
        # From outside: a preexec_fn would copy this process, which may hold TVM and a GB of memory.
        with suppress(ProcessLookupError):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (memory, memory))
    timed_out = False
    try:
        stdout, stderr = child.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        kill_group(child)
        stdout, stderr = child.communicate()
    except BaseException:
        kill_group(child)
        child.wait()
        raise
    return Finished(child.returncode, stdout, stderr, timed_out)


def kill_group(child: subprocess.Popen[str]) -> None:
    """Kill a child that was started in its own session, and its children."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
