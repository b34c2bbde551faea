"""What the project needs of this machine: what is there, what is missing, and how to get it."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_ops.board_model.plugin import version_number
from tvm_ops.cache import cache_root
from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FFI_CRASHES_FROM = (0, 1, 15)
"""apache-tvm-ffi from here on ends the process in every serialisation of TVM's IR."""

# Program, the argument that makes it tell its version, Debian's package.
PROGRAMS = (
    ("qemu-aarch64", "--version", "qemu-user"),
    ("qemu-arm", "--version", "qemu-user"),
    ("gcc", "--version", "gcc"),
    ("g++", "--version", "g++"),
    ("aarch64-linux-gnu-gcc", "--version", "gcc-aarch64-linux-gnu"),
    ("aarch64-linux-gnu-g++", "--version", "g++-aarch64-linux-gnu"),
    ("arm-linux-gnueabihf-gcc", "--version", "gcc-arm-linux-gnueabihf"),
    ("arm-linux-gnueabihf-g++", "--version", "g++-arm-linux-gnueabihf"),
    ("ssh", "-V", "openssh-client"),
)
# What the cache holds: its folders' names, what they are, and the size of making one.
CACHED = (
    ("runtime-", "runtime library, compiled", "seconds"),
    ("handwritten-", "hand-written peers, compiled", "seconds"),
    ("board-model-", "timing model, compiled", "20 seconds"),
    ("sysroot-common-", "ARM libraries and peers", "95 MB of downloads"),
    ("sysroot-", "board sysroots", "seconds"),
)


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    ``state`` is ``ok``, ``missing`` (absent or of the wrong version: something will not work) or
    ``later`` (made by the project itself on first use); ``hint`` is the command or the reason.
    """

    area: str
    name: str
    state: str
    found: str
    hint: str = ""


def examine() -> list[Finding]:
    """Look at this machine; changes nothing and downloads nothing."""
    return [*_python(), *_packages(), *_programs(), *_capstone(), *_cache()]


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 10):  # noqa: UP036 - a bare checkout runs with any Python
        yield Finding("python", "python", "ok", version)
    else:
        yield Finding("python", "python", "missing", version, "Python 3.10 or newer")


def requirements() -> tuple[list[Requirement], str]:
    """The pinned packages that apply to this Python, and the command that installs them.

    From setup.cfg in a checkout (the installed metadata may be older), else from the metadata.
    """
    from packaging.requirements import Requirement

    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "setup.cfg").is_file():
        config = configparser.ConfigParser()
        config.read(checkout / "setup.cfg", encoding="utf-8")
        lines = config["options"]["install_requires"].split("\n")
        command = "bash scripts/setup.sh"
    else:
        lines = metadata.requires("tvm_ops") or []
        command = f"{sys.executable} -m pip install --force-reinstall tvm_ops"
    wanted = [Requirement(line) for line in lines if line.strip()]
    return [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})], command


def _packages() -> Iterator[Finding]:
    try:
        wanted, command = requirements()
    except ModuleNotFoundError as error:  # the others cannot be compared without it
        yield Finding("python", str(error.name), "missing", "nothing", "bash scripts/setup.sh")
        return
    for requirement in wanted:
        yield _package(requirement, command)


def _package(requirement: Requirement, command: str) -> Finding:
    name, pin = requirement.name, str(requirement.specifier)
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding("python", name, "missing", f"nothing, {pin} is needed", command)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding("python", name, "ok", version)
    if name == "apache-tvm-ffi" and _numbers(version) >= FFI_CRASHES_FROM:
        pin += " (this one crashes in every serialisation of IR)"
    return Finding("python", name, "missing", f"{version}, needed {pin}", command)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))


def _programs() -> Iterator[Finding]:
    for program, argument, package in PROGRAMS:
        if shutil.which(program) is None:
            yield Finding("system", program, "missing", "nothing", f"apt-get install {package}")
            continue
        done = _run([program, argument])
        match = re.search(r"\d+\.\d+(\.\d+)?", done.stdout or done.stderr)  # ssh's choice
        if done.returncode or match is None:
            reason = f"does not run (exit {done.returncode})"
            yield Finding("system", program, "missing", reason, f"apt-get install {package}")
        elif program == "qemu-aarch64" and _too_old(done.stdout):
            hint = "Debian 12, Ubuntu 24.04 or newer have it"
            yield Finding("system", program, "missing", f"{match[0]}, needed 7.2 or newer", hint)
        else:
            yield Finding("system", program, "ok", match[0])


def _too_old(qemu_version: str) -> bool:
    """Whether this qemu cannot run the timing model."""
    try:
        version_number(qemu_version)
    except InputError:
        return True
    return False


def _capstone() -> Iterator[Finding]:
    """The header by the compiler's own search; it decodes instructions for the modelled board."""
    if shutil.which("gcc") is None:
        return
    source = "#include <capstone/capstone.h>\nCAPSTONE=CS_API_MAJOR.CS_API_MINOR\n"
    done = _run(["gcc", "-E", "-P", "-"], source)
    match = re.search(r"CAPSTONE=(\d+)\s*\.\s*(\d+)", done.stdout)
    if done.returncode or match is None:
        command = "apt-get install libcapstone-dev"
        yield Finding("system", "capstone/capstone.h", "missing", "nothing", command)
    else:
        yield Finding("system", "capstone/capstone.h", "ok", f"{match[1]}.{match[2]}")


def _cache() -> Iterator[Finding]:
    root = cache_root()
    left = {path for path in root.iterdir() if path.is_dir()}
    total = 0
    for prefix, what, cost in CACHED:
        mine = {p for p in left if p.name.startswith(prefix) and ".part-" not in p.name}
        left -= mine
        size = sum(_size(path) for path in mine)
        total += size
        if mine:
            # NAME-HASH: the hash tells a person nothing.
            names = {p.name.removeprefix(prefix).rpartition("-")[0] for p in mine} - {""}
            found = ", ".join([*sorted(names), _megabytes(size)])
            yield Finding("cache", what, "ok", found)
        else:
            yield Finding("cache", what, "later", "not made yet", f"made on first use ({cost})")
    total += sum(_size(path) for path in left)
    yield Finding("cache", "all of it", "ok", f"{root} ({_megabytes(total)})")


def _size(folder: Path) -> int:
    files = (path.lstat() for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return sum(stat.st_size for stat in files)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _run(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
