"""Signatures of bundles: OpenSSH's own (``ssh-keygen -Y``), in ``BUNDLE.sig`` beside the bundle."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tvm_ops.errors import InputError

NAMESPACE = "tvm_ops-bundle"
"""What the signatures are for: one made for something else does not count."""


def signature_path(bundle: Path) -> Path:
    """``BUNDLE.sig``."""
    return bundle.with_name(bundle.name + ".sig")


def check_key(key: Path) -> None:
    """Raises ``InputError`` where there is no such key, before anything is built."""
    if not key.is_file():
        raise InputError(f"signing key {key}: no such file; ssh-keygen -t ed25519 makes one")


def sign(bundle: Path, key: Path) -> Path:
    """Write ``BUNDLE.sig`` with a private key, or a public one whose private one the agent has."""
    check_key(key)
    with bundle.open("rb") as content:
        done = _keygen(["-Y", "sign", "-n", NAMESPACE, "-f", str(key)], content.read())
    if done.returncode:
        raise InputError(f"signing key {key}: {_reason(done)}")
    path = signature_path(bundle)
    path.write_bytes(done.stdout)
    return path


def verify(bundle: Path, allowed_signers: Path, signature: Path | None = None) -> str:
    """Who signed it, of those in the file of allowed signers (``man ssh-keygen``).

    ``signature`` is by default beside the bundle. Raises ``InputError`` for a bundle that is not
    signed, was changed since, or was signed by somebody else.
    """
    signature = signature or signature_path(bundle)
    if not bundle.is_file():
        raise InputError(f"bundle {bundle}: no such file")
    if not allowed_signers.is_file():
        raise InputError(f"allowed signers {allowed_signers}: no such file; see docs/boards.md")
    if not signature.is_file():
        raise InputError(f"bundle {bundle}: it is not signed: there is no {signature.name}")
    common = ["-n", NAMESPACE, "-s", str(signature), "-f", str(allowed_signers)]
    found = _keygen(["-Y", "find-principals", *common], b"")
    names = found.stdout.decode(errors="replace").splitlines()
    if found.returncode or not names:
        raise InputError(f"bundle {bundle}: its signer is not in {allowed_signers}")
    with bundle.open("rb") as content:
        done = _keygen(["-Y", "verify", "-I", names[0], *common], content.read())
    if done.returncode:
        raise InputError(
            f"bundle {bundle}: the signature does not fit: the bundle was changed after it was "
            "signed, or signed for something else"
        )
    return names[0]


@contextmanager
def trusted(bundle: Path, allowed_signers: Path | None) -> Iterator[Path]:
    """The bundle to open: a private copy whose signature was verified; itself if none is asked for.

    A copy, so that nobody can change it after it was verified.
    """
    if allowed_signers is None:
        yield bundle
        return
    if not bundle.is_file():
        raise InputError(f"bundle {bundle}: no such file")
    with tempfile.TemporaryDirectory(prefix="tvm_ops-signed-") as folder:
        copy = Path(folder) / bundle.name
        shutil.copyfile(bundle, copy)
        try:
            verify(copy, allowed_signers, signature_path(bundle))
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(bundle))) from None
        yield copy


def _keygen(arguments: list[str], content: bytes) -> subprocess.CompletedProcess[bytes]:
    if shutil.which("ssh-keygen") is None:
        raise InputError("ssh-keygen is not installed; apt-get install openssh-client")
    command = ["ssh-keygen", *arguments]
    # In a session of its own it has no terminal to ask for a passphrase on.
    return subprocess.run(
        command, input=content, capture_output=True, check=False, start_new_session=True
    )


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), f"exit code {done.returncode}")[:200]
