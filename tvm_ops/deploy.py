"""Install a bundle on a board: checked there before it counts, and the version before is kept.

``on_board/install.sh`` does what happens on the board.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from tvm_ops.boards import get_board
from tvm_ops.boards.address import Address
from tvm_ops.boards.call import Call
from tvm_ops.boards.condition import read_facts
from tvm_ops.boards.ssh import TRANSFER_RATE, SshBoard, packed
from tvm_ops.boards.ssh_client import Answer, BoardGone, Exchange, run_script, script
from tvm_ops.bundle_manifest import MANIFEST, listed_files
from tvm_ops.bundle_reader import Bundle, open_bundle
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.run import Row, run_tasks
from tvm_ops.signature import trusted
from tvm_ops.targets import Target

_PREFIX = "tvm_ops"  # in the user's home on the board, and in it a folder for each bundle's name
_TIMEOUT = 60.0  # seconds for each step, beside the transfer
_SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Deployment:
    """What is on the board now. ``rows`` are the check's; ``changed``: it was not there before."""

    board: str
    prefix: str
    current: str
    previous: str | None
    rows: list[Row] = field(default_factory=list)
    changed: bool = True


class _Installed(SshBoard):
    """Runs what is installed in a folder there, and copies the inputs only."""

    def __init__(self, target: Target, address: Address, folder: str) -> None:
        super().__init__(target, address)
        self._folder = folder

    def _there(self, call: Call) -> list[str]:
        return [f"{self._folder}/bin/bench", *call.there[1:]]

    def _files(self, call: Call) -> dict[str, Path]:
        return {f.place: f.path for f in call.files[1:] if not f.comes_back}


def deploy(
    path: Path, board: str, prefix: str | None = None, signers: Path | None = None
) -> Deployment:
    """Copy a bundle to an ssh board, check its files and what its kernels compute, install it.

    ``prefix`` is a folder there (default: ``tvm_ops/NAME`` in the home). Only what passes becomes
    ``PREFIX/current``, by one rename. With ``signers``, a file of allowed signers, nothing is
    unpacked that none of them has signed. Raises ``InputError`` for a bundle or board that cannot
    be used, ``CheckFailed`` if the check fails on the board; what was current then still is.
    """
    with trusted(path, signers) as source, tempfile.TemporaryDirectory(prefix="tvm_ops-") as folder:
        bundle = open_bundle(source, Path(folder) / "bundle")
        place = _ssh_board(board, bundle.target)
        place.connect()
        place.check_glibc(str(bundle.manifest.get("glibc", "2.0")))
        prefix = prefix or default_prefix(bundle)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
        state = _facts(_ask(place, "state", prefix))
        if state["current"].endswith(f"-{digest}") and "folder" in state:
            rows = _check(place, bundle, state["folder"])
            previous = state["previous"] or None
            return Deployment(place.name, prefix, state["current"], previous, rows, changed=False)
        staged = _stage(place, bundle, prefix)
        # Microseconds, as the same bundle may come again within a second of a damaged one.
        version = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{digest}"
        try:
            rows = _check(place, bundle, staged)
            done = _facts(_ask(place, "commit", prefix, Path(staged).name, version))
        except BaseException:
            _ask(place, "discard", prefix, Path(staged).name)
            raise
        return Deployment(place.name, prefix, version, done["previous"] or None, rows)


def rollback(address: Address, prefix: str) -> Deployment:
    """Exchange the current and the previous version; raises ``InputError`` if there is none."""
    answer = _asked(address, "rollback", prefix)
    facts = _facts(answer)
    return Deployment(address.name, prefix, facts["current"], facts["previous"] or None)


def default_prefix(bundle: Bundle) -> str:
    """In the home on the board: each bundle's name has its own versions."""
    return f"{_PREFIX}/{bundle.manifest['name']}"


def library_prefix(path: Path) -> str:
    """The default prefix of the bundle in a file; raises ``InputError`` if it is not sound."""
    with tempfile.TemporaryDirectory(prefix="tvm_ops-") as folder:
        return default_prefix(open_bundle(path, Path(folder) / "bundle"))


def _ssh_board(name: str, target: Target) -> SshBoard:
    board = get_board(name, target)
    if not isinstance(board, SshBoard):
        raise InputError(f"board {board.name}: deploy needs one ssh board, ssh:[USER@]HOST[:PORT]")
    return board


def _stage(board: SshBoard, bundle: Bundle, prefix: str) -> str:
    """The folder on the board where the bundle's files lie now, their checksums compared there."""
    with tempfile.TemporaryDirectory(prefix="tvm_ops-sums-") as folder:
        sums = Path(folder) / _SUMS
        manifest = bundle.folder / MANIFEST
        lines = [f"{hashlib.sha256(manifest.read_bytes()).hexdigest()}  {MANIFEST}\n"]
        files = listed_files(bundle.manifest)
        lines += [f"{entry['sha256']}  {name}\n" for name, entry in files.items()]
        sums.write_text("".join(lines))
        sent = packed({_SUMS: sums} | {n: bundle.folder / n for n in (MANIFEST, *files)})
    arguments = ["stage", prefix, str(len(sent))]
    try:
        with Exchange(board.address, script("install"), arguments) as exchange:
            exchange.send(sent)
            answer = exchange.finish(_TIMEOUT + len(sent) / TRANSFER_RATE)
    except BoardGone as error:
        raise InputError(f"board {error}") from None
    return _sound(board.name, answer).stdout.decode().strip()


def _check(board: SshBoard, bundle: Bundle, folder: str) -> list[Row]:
    """Every task's result there against numpy's; ``CheckFailed`` names what is wrong."""
    installed = _Installed(bundle.target, board.address, folder)
    rows = run_tasks(bundle, installed, check=True)
    wrong = [f"{row.task}: {row.error}" for row in rows if row.error]
    if wrong:
        raise CheckFailed(f"not installed on {board.name}: {'; '.join(wrong)}")
    return rows


def _ask(board: SshBoard, *arguments: str) -> Answer:
    return _asked(board.address, *arguments)


def _asked(address: Address, *arguments: str) -> Answer:
    try:
        answer = run_script(address, script("install"), arguments, timeout=_TIMEOUT)
    except BoardGone as error:
        raise InputError(f"board {error}") from None
    return _sound(address.name, answer)


def _sound(name: str, answer: Answer) -> Answer:
    if answer.exit_code:
        lines: Sequence[str] = answer.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(f"board {name}: {lines[-1][:200]}")
    return answer


def _facts(answer: Answer) -> dict[str, str]:
    return read_facts(answer.stdout.decode(errors="replace"))
