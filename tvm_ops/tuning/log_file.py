"""Files of lines that only grow: appended under a lock, each line whole or not at all.

A writer that is killed leaves a torn last line. It is no record yet: whoever reads next passes it
over, whoever writes next cuts it off, and both say so. Locks are ``flock``'s: on the file itself,
and gone with the process that held them.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from tvm_ops.errors import InputError, JobStopped, RepairedWarning

_CHUNK = 1 << 16  # bytes; a torn line is shorter


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append lines, which end in a newline, and make folders on the way; all of them or none.

    They survive the death of this process, and that of the machine after ``sync``. Raises
    ``JobStopped`` where they cannot be written, on a full disk for one.
    """
    data = "".join(lines).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path, "a+") as file:
            _append(file, path, data)
    except OSError as error:
        raise _unwritable(path, error) from error


def _append(file: FileIO, path: Path, data: bytes) -> None:
    _cut_torn_line(file, path)
    size = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data) :]
    except BaseException:  # also Ctrl-C: half a line must not stay
        file.truncate(size)
        raise


def sync(path: Path) -> None:
    """Have what was appended on the disk, so that it survives a power failure.

    Raises ``JobStopped`` where the disk does not take it.
    """
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error


def repair(path: Path) -> None:
    """Cut off a torn last line and warn of it; nothing for a file that is whole or absent.

    Raises ``JobStopped`` where the file cannot be written.
    """
    if not path.exists():
        return
    try:
        with _locked(path, "r+") as file:
            _cut_torn_line(file, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank with its place, ``FILE:LINE``; an absent file has none.

    A torn last line is passed over with a warning. Raises ``InputError`` for what is no text.
    """
    if not path.exists():
        return
    with _locked(path, "r") as file:
        data = file.readall()
    whole, torn = _split(data)
    try:
        lines = whole.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text ({error.reason} at byte {error.start})") from None
    if torn:
        _warn(path, torn, "passed over; the next trial that is logged cuts it off")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield line, f"{path}:{number}"


def check_writable(path: Path) -> None:
    """Raises ``JobStopped`` where nothing can be appended, before there is anything to append.

    Makes nothing: a job that is refused later leaves no trace.
    """
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if there != path and not there.is_dir():
        raise _unwritable(path, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not os.access(there, os.W_OK):
        why = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
        raise _unwritable(path, OSError(why, os.strerror(why)))


@contextmanager
def _locked(path: Path, mode: str) -> Iterator[FileIO]:
    """The file without a buffer, alone with it (a reader: alone with other readers)."""
    with FileIO(path, mode) as file:
        fcntl.flock(file, fcntl.LOCK_SH if mode == "r" else fcntl.LOCK_EX)
        yield file


def _cut_torn_line(file: FileIO, path: Path) -> None:
    size = file.seek(0, os.SEEK_END)
    tail = b""
    while b"\n" not in tail and len(tail) < size:
        start = max(size - len(tail) - _CHUNK, 0)
        file.seek(start)
        tail = file.read(size - len(tail) - start) + tail
    torn = _split(tail)[1]
    if torn:
        file.truncate(size - len(torn))
        _warn(path, torn, "cut off")
    elif tail and not tail.endswith(b"\n"):
        file.seek(0, os.SEEK_END)
        file.write(b"\n")  # only the newline of a whole record was missing


def _split(data: bytes) -> tuple[bytes, bytes]:
    """What is whole, and the torn line after it; an object without its newline is whole.

    Torn is the beginning of an object, or zeros, which a power failure leaves; anything else is for
    the reader to refuse.
    """
    end = data.rfind(b"\n") + 1
    last = data[end:]
    try:
        torn = not isinstance(json.loads(last), dict)
    except ValueError:
        torn = True
    if torn and last and (last.startswith(b"{") or not last.strip(b"\0")):
        return data[:end], last
    return data, b""


def _warn(path: Path, torn: bytes, what: str) -> None:
    message = f"{path}: the last line is torn, its writer was killed ({len(torn)} bytes, {what})"
    warnings.warn(RepairedWarning(message), stacklevel=3)


def _unwritable(path: Path, error: OSError) -> JobStopped:
    return JobStopped(
        f"{path} cannot be written: {error.strerror}; what was logged before is kept, "
        "the same command goes on once that is mended"
    )
