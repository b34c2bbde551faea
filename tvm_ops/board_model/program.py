"""Finds the program to run and checks that the modelled board can run it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from tvm_ops.errors import InputError

_BIN_FOLDERS = ["usr/local/bin", "usr/bin", "bin", "usr/sbin", "sbin"]
_ELF_MACHINES = {3: "x86", 40: "32-bit ARM", 62: "x86-64", 183: "AArch64", 243: "RISC-V"}
_AARCH64 = 183


def _candidates(name: str, sysroot: Path | None) -> list[Path]:
    places = []
    if sysroot is not None:
        if "/" not in name:
            places += [sysroot / folder / name for folder in _BIN_FOLDERS]
        elif name.startswith("/"):
            places.append(sysroot / name.lstrip("/"))
    return [*places, Path(name)]


def _resolve(path: Path, sysroot: Path | None) -> Path:
    """Follows symbolic links inside the sysroot: an absolute one starts at its root."""
    for _ in range(40):  # the kernel's own limit
        if not path.is_symlink():
            break
        goal = path.readlink()
        if goal.is_absolute() and sysroot is not None and path.is_relative_to(sysroot):
            path = sysroot / str(goal).lstrip("/")
        else:
            path = path.parent / goal
    return path


def _check_machine(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        raise InputError(f"'{path}' is no program (ELF file) for AArch64 Linux")
    machine = struct.unpack_from("<H", header, 18)[0]
    if machine != _AARCH64:
        found = _ELF_MACHINES.get(machine, f"machine {machine}")
        raise InputError(f"'{path}' is a program for {found}; AArch64 is needed")


def find_program(argv: Sequence[str], sysroot: Path | None) -> Path:
    """The absolute path of the program ``argv[0]``, in the sysroot first, then here.

    Raises ``InputError`` where there is none, or none for AArch64.
    """
    if not argv:
        raise InputError("no program was given to run on the modelled board")
    if sysroot is not None:
        sysroot = sysroot.absolute()
    for place in _candidates(str(argv[0]), sysroot):
        path = _resolve(place, sysroot)
        if path.is_file():
            _check_machine(path)
            return path.absolute()
    where = f", nor in the sysroot {sysroot}" if sysroot else ""
    raise InputError(f"no program '{argv[0]}' here{where}")
