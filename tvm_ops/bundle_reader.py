"""Opening a bundle of any origin: nothing is believed, nothing is left half-written."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tvm_ops.bundle_manifest import MANIFEST, listed_files, parse_manifest
from tvm_ops.errors import InputError
from tvm_ops.targets import Target, get_target

MAX_FILE = 1 << 30
MAX_MANIFEST = 16 << 20
_CHUNK = 1 << 20
_PLACE = re.compile(r"(bin|include|lib|weights)/[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,199}")
_MACHINES = {"x86_64": 62, "aarch64": 183, "armv7": 40}  # e_machine of the ELF header


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle: its folder, its manifest, and the target that the manifest names."""

    folder: Path
    manifest: dict[str, Any]
    target: Target

    @property
    def bench(self) -> Path:
        return self.folder / "bin" / "bench"

    @property
    def library(self) -> Path:
        return self.folder / "lib" / f"lib{self.manifest['name']}.so"


def open_bundle(path: Path, dest: Path) -> Bundle:
    """Unpack a bundle into the folder ``dest``, which must not exist or be empty.

    Raises ``InputError`` for what is no bundle, or not a sound one: see ``docs/bundle.md``.
    """
    path, dest = Path(path), Path(dest)
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise InputError(f"{dest} exists; a bundle is unpacked into a new or empty folder")
    dest.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{dest.name}.", dir=dest.parent))
    try:
        with _complaints_about(path):
            manifest = _unpack(path, scratch)
            target = _check_target(manifest, scratch)
        scratch.chmod(0o755)
        scratch.replace(dest)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return Bundle(dest, manifest, target)


@contextmanager
def _complaints_about(path: Path) -> Iterator[None]:
    """One line that names the file, whatever is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"bundle {path}: {error}") from None
    except RecursionError:
        raise InputError(f"bundle {path}: the archive's headers are nested too deeply") from None
    except FileNotFoundError:
        raise InputError(f"bundle {path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"bundle {path}: is a folder, has to be a .tar.gz file") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise InputError(f"bundle {path}: no readable .tar.gz file ({error})") from None


class _Unzipped(gzip.GzipFile):
    """Refuses the giant reads that a malicious tar header asks for."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > MAX_MANIFEST:
            raise InputError("a header of the archive is too large")
        return super().read(size)


def _unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Write the files that the manifest lists, each checked, and return the manifest."""
    with (
        path.open("rb") as file,
        _Unzipped(fileobj=file) as unzipped,
        # mode "r:" and not "r|", which would join a giant header from small reads.
        tarfile.open(fileobj=unzipped, mode="r:") as tar,
    ):
        manifest = _read_manifest(tar)
        missing = listed_files(manifest)
        while (member := tar.next()) is not None:
            _check_member(member)
            listed = missing.pop(member.name, None)
            if listed is None:
                raise InputError(f"{_quoted(member)} is not in the manifest, or is there twice")
            if member.size != listed["size"]:
                raise InputError(f"{_quoted(member)} has another size than the manifest says")
            _write_member(tar, member, listed["sha256"], folder)
        _read_to_the_end(unzipped)
    if missing:
        raise InputError(f"'{min(missing)}' of the manifest is missing")
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def _read_to_the_end(unzipped: gzip.GzipFile) -> None:
    """What follows the last file is padding, and gzip's checksum, which only a full read checks."""
    size = 0
    while chunk := unzipped.read(tarfile.RECORDSIZE):
        size += len(chunk)
        if any(chunk) or size > 4 * tarfile.RECORDSIZE:
            raise InputError("there is more in the archive after its end")


def _read_manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    member = tar.next()
    if member is None or member.name != MANIFEST:
        raise InputError(f"the first file has to be {MANIFEST}")
    _check_member(member)
    if member.size > MAX_MANIFEST:
        raise InputError(f"{MANIFEST} is too large: {MAX_MANIFEST} bytes are allowed")
    return parse_manifest(_content(tar, member).read(member.size))


def _check_member(member: tarfile.TarInfo) -> None:
    """Only plain files of a sane size in the known folders."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"{_quoted(member)} would lie outside the bundle's folder")
    if member.name != MANIFEST and not _PLACE.fullmatch(member.name):
        raise InputError(f"{_quoted(member)}: files may be in bin, include, lib and weights")
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
        raise InputError(
            f"'{member.name}' is no plain file; links, devices, folders are not allowed"
        )
    if member.size > MAX_FILE:
        raise InputError(f"{_quoted(member)} has {member.size} bytes, {MAX_FILE} are allowed")


def _quoted(member: tarfile.TarInfo) -> str:
    """The name on one line, whatever is in it."""
    return ascii(member.name[:100])


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise InputError(f"{_quoted(member)} has no content")
    return content


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, sha256: str, folder: Path) -> None:
    place = folder / member.name
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    content = _content(tar, member)
    with place.open("xb") as file:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != sha256:
        raise InputError(f"{_quoted(member)} has a wrong checksum: it is damaged or was changed")
    place.chmod(0o755 if place.parent.name == "bin" else 0o644)


def _check_target(manifest: dict[str, Any], folder: Path) -> Target:
    """The target of the manifest; its programs have to be what the manifest says they are."""
    target = get_target(manifest["target"]["name"])
    if manifest["target"]["isa"] != target.isa:
        raise InputError(f"isa '{manifest['target']['isa']}': {target.name} has {target.isa}")
    for name in (f"lib/lib{manifest['name']}.so", "bin/bench"):
        if not (folder / name).is_file():
            raise InputError(f"'{name}' is missing")
        header = (folder / name).open("rb").read(20)
        machine = struct.unpack_from("<H", header, 18)[0] if len(header) == 20 else None
        if header[:4] != b"\x7fELF" or machine != _MACHINES[target.isa]:
            raise InputError(f"'{name}' is no program for {target.isa}, as {target.name} needs it")
    return target
