"""Child processes that can neither hang, nor fill the memory, nor leave children behind."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROCESSES = 32
"""That a program may have at a time. ``RLIMIT_NPROC`` counts all of a user's processes, and none of
root's, so they are counted here, ``_COUNT_EVERY`` seconds apart: a file is read for each."""
_COUNT_EVERY = 0.1
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Finished:
    """``exit_code`` is minus the signal's number for a process that a signal ended."""

    exit_code: int
    stdout: str
    stderr: str
    timed_out: bool
    forked: bool = False  # past ``PROCESSES``, and ended for it

    @property
    def failure(self) -> str | None:
        """One line that says how it failed, None if it exited with 0."""
        if self.forked:
            return f"more than {PROCESSES} processes at a time"
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

    It is also killed when the program has ended, and when it has more than ``PROCESSES`` processes.
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
        with _counted(child) as too_many:
            stdout, stderr = child.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        kill_group(child)
        stdout, stderr = _rest(child)
    except BaseException:
        kill_group(child)
        child.wait()
        raise
    kill_group(child)  # what it left running
    return Finished(child.returncode, stdout, stderr, timed_out, too_many.is_set())


def _rest(child: subprocess.Popen[str]) -> tuple[str, str]:
    """What a killed child had written; nothing where one that left its group holds the pipes."""
    try:
        return child.communicate(timeout=1)
    except subprocess.TimeoutExpired:
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe:
                pipe.close()
        child.wait()
        return "", ""


@contextmanager
def _counted(child: subprocess.Popen[str]) -> Iterator[threading.Event]:
    """The event is set, and the child's group killed, once it has too many processes."""
    too_many, over = threading.Event(), threading.Event()

    def count() -> None:
        while not over.wait(_COUNT_EVERY):
            if len(descendants(child.pid, PROCESSES)) >= PROCESSES:
                too_many.set()
                kill_group(child)

    watch = threading.Thread(target=count, daemon=True)
    watch.start()
    try:
        yield too_many
    finally:
        over.set()
        watch.join()


def descendants(pid: int, enough: int = 1 << 16) -> list[int]:
    """Processes that a process started and that still run, theirs too; none where it is gone.

    Not many more than ``enough`` are looked for: they may multiply faster than they are found.
    """
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < enough:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    """Of all its threads; it may end meanwhile, and so may they."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def adopt_orphans() -> None:
    """From now on what loses its parent below this process becomes its child, not init's."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Kill and reap all that runs below this process, also what left its group or session.

    Nothing of the process's own may run meanwhile.
    """
    while children := descendants(os.getpid()):
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def kill_group(child: subprocess.Popen[str]) -> None:
    """Kill a child that was started in its own session, and its children."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
