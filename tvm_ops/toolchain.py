"""The C compilers of the targets: compile, link, and the runtime's objects, compiled once."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tvm_ops.cache import cache_root, cached_folder
from tvm_ops.errors import CheckFailed, Unavailable
from tvm_ops.targets import Target

RUNTIME = Path(__file__).parent / "runtime"
LIBRARY_SOURCES = ["tvm_ops_runtime.c", "tvm_ops_workspace.c", "tvm_ops_call.c"]
BENCH_SOURCES = ["bench.c", "bench_data.c"]
C_FLAGS = [
    "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-pthread",
    "-fno-asynchronous-unwind-tables", f"-I{RUNTIME}",
]  # fmt: skip
_PACKAGES = {
    "gcc": "gcc",
    "aarch64-linux-gnu-gcc": "g++-aarch64-linux-gnu",
    "arm-linux-gnueabihf-gcc": "g++-arm-linux-gnueabihf",
}


def run_tool(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Standard output of a compiler or linker; ``CheckFailed`` with its first error otherwise."""
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        package = _PACKAGES.get(arguments[0], arguments[0])
        raise Unavailable(f"{arguments[0]} is not installed; apt-get install {package}") from None
    if done.returncode != 0:
        lines = done.stderr.splitlines() or [f"exit code {done.returncode}"]
        first = next((line for line in lines if "error" in line or "undefined" in line), lines[0])
        raise CheckFailed(f"{arguments[0]} failed: {first.strip()}")
    return done.stdout


def compile_c(source: Path, target: Target, obj: Path, flags: Sequence[str] = ()) -> None:
    """One C11 file to an object for the target."""
    run_tool([target.compiler, *C_FLAGS, *target.c_flags, *flags, "-c", source, "-o", obj])


@cache
def compiler_version(compiler: str) -> str:
    """The first line of ``--version``, such as ``gcc (Debian 12.2.0-14) 12.2.0``."""
    return run_tool([compiler, "--version"]).splitlines()[0]


def sysroot(target: Target) -> Path | None:
    """The folder of the cross compiler's C library, for ``qemu -L``; None where none is needed."""
    return _sysroot(target.compiler) if target.emulator else None


@cache
def _sysroot(compiler: str) -> Path:
    library = Path(run_tool([compiler, "-print-file-name=libc.so.6"]).strip()).resolve()
    return library.parent.parent


def needed_glibc(programs: Sequence[Path]) -> str:
    """The oldest glibc that has every symbol version which these files ask for, as ``2.34``."""
    text = "".join(run_tool(["readelf", "-W", "--dyn-syms", p]) for p in programs)
    versions = re.findall(r"@GLIBC_(\d+)\.(\d+)", text)
    major, minor = max(((int(a), int(b)) for a, b in versions), default=(2, 0))
    return f"{major}.{minor}"


def runtime_objects(target: Target) -> Path:
    """A folder with the objects of the runtime and bench, compiled at the first use.

    Raises ``Unavailable`` if the target's compiler is missing.
    """
    return _runtime_objects(target.compiler, target.c_flags, cache_root())


@cache
def _runtime_objects(compiler: str, c_flags: tuple[str, ...], _root: Path) -> Path:
    sources = sorted(RUNTIME.glob("*.[ch]"))
    recipe = {
        "compiler": compiler_version(compiler),
        # The folder of the headers is the checkout's place, which the objects do not depend on.
        "flags": [*c_flags, *(flag for flag in C_FLAGS if not flag.startswith("-I"))],
        "sources": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sources},
    }

    def make(folder: Path) -> None:
        for name in LIBRARY_SOURCES + BENCH_SOURCES:
            obj = folder / Path(name).with_suffix(".o")
            run_tool([compiler, *C_FLAGS, *c_flags, "-c", RUNTIME / name, "-o", obj])

    return cached_folder(f"runtime-{compiler}", recipe, make)


def objects_of(folder: Path, sources: Sequence[str]) -> list[Path]:
    """The objects in that folder of these sources."""
    return [folder / Path(name).with_suffix(".o") for name in sources]


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """A folder on the same file system as ``path``, from which a finished file is renamed to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
