"""The timing model as a QEMU plugin: compiled on first use, kept in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tvm_ops.cache import cached_folder
from tvm_ops.errors import InputError, Unavailable

SOURCES = Path(__file__).parent / "plugin"
CORES = Path(__file__).parent / "cores"
_FLAGS = ["-std=c++17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"]


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is missing; install it (Debian, Ubuntu: apt install {package})")
    return path


def qemu() -> str:
    """The path of ``qemu-aarch64``; raises ``InputError`` where there is none."""
    return _program("qemu-aarch64", "qemu-user")


def _version(program: str) -> str:
    out = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return out.stdout.splitlines()[0]


def version_number(qemu_version: str) -> int:
    """100 * major + minor of a ``qemu-aarch64 --version`` line; ``InputError`` before 7.2."""
    found = re.search(r"version (\d+)\.(\d+)", qemu_version)
    number = 100 * int(found[1]) + int(found[2]) if found else 0
    if number < 702:
        raise InputError(f"the modelled board needs QEMU 7.2 or newer, this is: {qemu_version}")
    return number


def _compile(compiler: str, qemu_number: int, to: Path) -> None:
    sources = sorted(SOURCES.glob("*.cpp"))
    objects = [to.with_name(f"{path.stem}.o") for path in sources]
    flags = [*_FLAGS, f"-DTVM_OPS_QEMU_VERSION={qemu_number}"]

    def compile_one(source: Path, to: Path) -> None:
        _call([compiler, *flags, "-c", "-o", str(to), str(source)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources, objects))
    _call([compiler, *_FLAGS, "-o", str(to), *map(str, objects), "-lcapstone"])
    for path in objects:
        path.unlink()


def _call(command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode and "capstone" in run.stderr:
        raise InputError(
            "libcapstone is missing; install it (Debian, Ubuntu: apt install libcapstone-dev)"
        )
    if run.returncode:
        raise Unavailable(f"{command[0]} cannot compile the board model: {run.stderr.strip()}")


@cache
def plugin() -> Path:
    """The compiled plugin; compiles it (about 4 s) when sources, compiler or QEMU are new.

    Raises ``InputError`` when qemu-aarch64, g++ or libcapstone is missing.
    """
    compiler = _program(os.environ.get("CXX", "g++"), "g++")
    qemu_version = _version(qemu())
    sources = {path.name: path.read_text() for path in sorted(SOURCES.glob("*.[ch]*"))}
    recipe = [_version(compiler), qemu_version, _FLAGS, sources]
    number = version_number(qemu_version)
    name = "plugin.so"
    folder = cached_folder("board-model", recipe, lambda to: _compile(compiler, number, to / name))
    return folder / name


def core_file(core: str) -> Path:
    """The description of a core (``cortex-a53``); raises ``InputError`` naming the known ones."""
    path = CORES / f"{core}.txt"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in CORES.glob("*.txt")))
        raise InputError(f"the modelled board has no core '{core}'; it has: {known}")
    return path
