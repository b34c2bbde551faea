"""The board ``ssh:[USER@]HOST[:PORT]``: a real one over OpenSSH, timed by its own clock."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tvm_ops.boards.address import Address
from tvm_ops.boards.base import Board, Measured
from tvm_ops.boards.call import Call
from tvm_ops.boards.condition import Condition, Probe, disturbance, read_facts
from tvm_ops.boards.seen import seen_now
from tvm_ops.boards.ssh_client import BoardGone, Exchange, run_script, script
from tvm_ops.errors import InputError
from tvm_ops.process import Finished
from tvm_ops.targets import Target

PAUSES = (5.0, 20.0)
"""Seconds to wait before a disturbed measurement is repeated, and again; then it is an error."""
MEMORY_LIMIT = 4 << 20
"""KiB of address space of a program; under an emulator there is no limit."""
TRANSFER_RATE = 1e6  # bytes a second that any network should reach
GRACE = 30.0  # seconds more until a connection counts as broken
_TIMED_OUT, _NOT_STARTED = 124, "timeout: failed to run command"  # what timeout(1) says


class SshBoard(Board):
    """Programs are copied into a private folder there, run alone, and leave nothing behind.

    ``connect`` raises ``InputError`` for a board that cannot be reached or cannot run
    the target's programs. Later a board that is gone is an error of the run.
    """

    times_wall_clock = True
    is_elsewhere = True

    def __init__(self, target: Target, address: Address) -> None:
        super().__init__(target)
        self.address, self.name = address, address.name
        self._probe: Probe | None = None

    @property
    def spec(self) -> str:
        return self.address.spec

    @property
    def label(self) -> str:
        """Says of the clock what is known before the board is asked for the first time."""
        parts = [f"{self.name}, wall clock"]
        if self.address.exec_prefix:
            parts.append(f"under {self.address.exec_prefix[0]}")
        if self._probe:
            parts.append(self._probe.clock)
        return ", ".join(parts)

    @property
    def probe(self) -> Probe:
        """What the board says of itself; raises ``InputError`` if it cannot be used."""
        if self._probe is None:
            self._probe = self._ask(keep=False)
        return self._probe

    def _ask(self, keep: bool) -> Probe:
        try:
            probe = probe_board(self.address, keep)
            probe.check(self.target, emulated=bool(self.address.exec_prefix))
        except BoardGone as error:
            raise InputError(f"board {error}") from None
        except InputError as error:
            raise InputError(f"board {self.name}: {error}") from None
        return probe

    def connect(self) -> None:
        """Asks the board what it is; the connection stays for those who come."""
        self._probe = self._ask(keep=True)

    def check_glibc(self, needed: str) -> None:
        """Raises ``InputError`` where the board's C library is older than a bundle's programs."""
        found = self.probe.glibc
        if not self.address.exec_prefix and found and _numbers(found) < _numbers(needed):
            raise InputError(
                f"board {self.name}: its glibc is {found}, the bundle needs {needed}: update the "
                "board, or build with the cross compiler of an older system"
            )

    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        """Repeats what was disturbed, by heat or by another clock, as often as ``PAUSES`` says."""
        try:
            for pause in (*PAUSES, None):
                measured = self._measure(call, timeout)
                if measured.error is None or pause is None:
                    return measured
                time.sleep(pause)
        except (BoardGone, InputError) as error:
            return Measured(Finished(1, "", "", False), error=str(error))
        raise AssertionError

    def _measure(self, call: Call, timeout: float) -> Measured:
        """One run. Raises ``BoardGone``."""
        sent = packed(self._files(call))
        wanted = " ".join(file.place for file in call.files if file.comes_back)
        memory = "unlimited" if self.address.exec_prefix else str(MEMORY_LIMIT)
        settings = [str(len(sent)), f"{timeout:g}", self.probe.pin, memory, wanted]
        arguments = [*settings, *self.address.exec_prefix, *self._there(call)]
        with Exchange(self.address, script("condition", "measure"), arguments) as exchange:
            exchange.send(sent)
            answer = exchange.finish(timeout + len(sent) / TRANSFER_RATE + GRACE)
        seen_now(self.name)
        if answer.exit_code:
            complaint = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise BoardGone(f"{self.name}: the run could not be set up: {complaint[:200]}")
        files = unpacked(answer.stdout)
        for file in call.files:
            if file.comes_back and f"files/{file.place}" in files:
                file.path.write_bytes(files[f"files/{file.place}"])
        return self._measured(files)

    def _there(self, call: Call) -> list[str]:
        return call.there

    def _files(self, call: Call) -> dict[str, Path]:
        there = {file.place: file.path for file in call.files if not file.comes_back}
        return there | {f"lib/{path.name}": path for path in call.libraries}

    def _measured(self, files: Mapping[str, bytes]) -> Measured:
        """What the script's files say; an error is a disturbance. Raises ``BoardGone``."""
        texts = {name: data.decode(errors="replace") for name, data in files.items()
                 if name in ("facts", "stdout.end", "stderr.end")}  # fmt: skip
        facts = read_facts(texts["facts"])
        code = int(facts["code"])
        finished = Finished(code, texts["stdout.end"], texts["stderr.end"], code == _TIMED_OUT)
        if _NOT_STARTED in finished.stderr:
            line = finished.stderr.strip().splitlines()[-1]
            hint = "programs have to be allowed below TMPDIR there (mount option noexec)"
            raise BoardGone(f"{self.name}: {line}; {hint}")
        before, after = (Condition.of(facts, f"{when}.") for when in ("before", "after"))
        reason = disturbance(before, after, self.probe.pins, "unpinned" in facts)
        if reason and not finished.failure:
            error = f"disturbed: {self.name}: {reason}, in each of {len(PAUSES) + 1} runs"
            return Measured(finished, error=error)
        return Measured(finished)


def probe_board(address: Address, keep: bool = False) -> Probe:
    """Ask the board what it is and how it is; raises ``BoardGone`` and ``InputError``.

    With ``keep`` the connection stays, and all that follows goes over it.
    """
    text = script("condition", "probe")
    answer = run_script(address, text, address.exec_prefix[:1], timeout=30, keep=keep)
    if answer.exit_code:
        raise InputError(answer.stderr.strip().splitlines()[-1] if answer.stderr else "no shell")
    probe = Probe.of(read_facts(answer.stdout.decode(errors="replace")))
    seen_now(address.name)
    return probe


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def packed(files: Mapping[str, Path]) -> bytes:
    """A tar of these files, by their place in it; programs stay programs, owners are left out."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for place in sorted(files):
            info = tarfile.TarInfo(place)
            info.size = files[place].stat().st_size
            info.mode = 0o755 if place.startswith("bin/") else 0o644
            with files[place].open("rb") as file:
                tar.addfile(info, file)
    return stream.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    """The plain files of a tar; raises ``BoardGone`` where it is cut short."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {member.name: content.read() for member, content in _plain(tar)}
    except tarfile.TarError as error:
        raise BoardGone(f"the answer is cut short ({error})") from None


def _plain(tar: tarfile.TarFile) -> Iterable[tuple[tarfile.TarInfo, io.BufferedReader]]:
    for member in tar:
        content = tar.extractfile(member) if member.isfile() else None
        if content is not None:
            yield member, content  # type: ignore[misc]
