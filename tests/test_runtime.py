"""The C runtime: natively, under the sanitizers, and under qemu-aarch64 and qemu-arm."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from c_kernels import FOLDER, kernel

from tvm_ops import c_source, toolchain
from tvm_ops.process import Finished, run_limited
from tvm_ops.targets import Target, get_target

CHECKS = ("calls", "six", "refusals", "threads", "callers", "memory")
KERNELS = ("rows", "nested", "greedy", "sizes", "six")

# What libasan and libtsan say when malloc of "memory" gives back NULL, as it is asked to.
TOO_LARGE = "WARNING: AddressSanitizer failed to allocate"


@dataclass(frozen=True)
class Build:
    """One way to compile and run ``test_runtime.c``."""

    target: str
    flags: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    checks: tuple[str, ...] = CHECKS


# "fork" starts threads in the child of a process with threads, which libtsan refuses and qemu-user
# 7.2 ends with an assertion of its own. libasan's allocator does not release its locks in a child:
# one that a starting thread held at the fork is held for ever (gcc 12, seen in its stack).
ADDRESS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUILDS = {
    "native": Build("host", checks=(*CHECKS, "fork")),
    "address": Build("host", ADDRESS),
    # Without address space randomisation: libtsan of gcc 12 knows fewer layouts than kernels make.
    "thread": Build("host", ("-g", "-fsanitize=thread"), ("setarch", "-R")),
    "aarch64": Build("rpi4"),
    "armv7": Build("rpi4-armv7"),
}


def compile_test(build: Build, folder: Path) -> Path:
    target = get_target(build.target)
    tasks = folder / "tasks.c"
    tasks.write_text(c_source.tasks_c([kernel(name) for name in KERNELS]))
    runtime = [toolchain.RUNTIME / name for name in toolchain.LIBRARY_SOURCES]
    sources = [FOLDER / "test_runtime.c", FOLDER / "kernels.c", tasks, *runtime]
    program = folder / "test_runtime"
    static = ["-static"] if target.emulator else []
    flags = [*toolchain.C_FLAGS, *target.c_flags, *build.flags, *static]
    toolchain.run_tool([target.compiler, *flags, *sources, "-o", program])
    return program


@cache
def usable(wrapper: tuple[str, ...]) -> tuple[str, ...]:
    """The wrapper, or nothing where (as in some containers) it is not allowed."""
    return wrapper if run_limited([*wrapper, "true"], timeout=10).failure is None else ()


def run(build: Build, program: Path, *arguments: str, **env: str) -> Finished:
    target: Target = get_target(build.target)
    emulator = [target.emulator] if target.emulator else usable(build.wrapper)
    options = {
        "ASAN_OPTIONS": "allocator_may_return_null=1",
        "TSAN_OPTIONS": "allocator_may_return_null=1",
    }
    return run_limited([*emulator, program, *arguments], timeout=120, env=options | env)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The test program of a build, compiled at its first use."""
    return cache(lambda name: compile_test(BUILDS[name], tmp_path_factory.mktemp(name)))


Programs = Callable[[str], Path]


@pytest.mark.parametrize(("name", "check"), [(n, c) for n, b in BUILDS.items() for c in b.checks])
def test_check(programs: Programs, name: str, check: str) -> None:
    done = run(BUILDS[name], programs(name), check)
    assert done.failure is None, done.stderr
    assert not done.timed_out
    assert "Sanitizer" not in done.stderr.replace(TOO_LARGE, "")


def test_an_unknown_check_fails(programs: Programs) -> None:
    assert run(BUILDS["native"], programs("native"), "no such check").exit_code == 2


def test_sanitizers_are_on(tmp_path: Path) -> None:
    source = tmp_path / "overflow.c"
    source.write_text(
        "#include <stdlib.h>\n"
        "int main(int n, char** v) { (void)v; char* p = malloc(8); return p[8 * n]; }\n"
    )
    program = tmp_path / "overflow"
    toolchain.run_tool(["gcc", *ADDRESS, source, "-o", program])
    done = run(BUILDS["address"], program)
    assert done.exit_code != 0
    assert "heap-buffer-overflow" in done.stderr


@pytest.mark.parametrize(
    ("text", "threads"),
    [("3", 3), ("1", 1), ("1000", 64), ("", None), ("0", None), ("-2", None), ("two", None)],
)
def test_tvm_num_threads(programs: Programs, text: str, threads: int | None) -> None:
    done = run(BUILDS["native"], programs("native"), "count", TVM_NUM_THREADS=text)
    assert int(done.stdout) == (threads or min(64, len(os.sched_getaffinity(0))))


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi4-armv7"])
def test_every_source_compiles_without_warnings(target: str, tmp_path: Path) -> None:
    for source in sorted(toolchain.RUNTIME.glob("*.c")):
        toolchain.compile_c(source, get_target(target), tmp_path / "out.o", ["-pedantic"])


def test_the_public_header_is_cpp_too(tmp_path: Path) -> None:
    assert shutil.which("g++")
    source = tmp_path / "user.cpp"
    source.write_text('#include "tvm_ops.h"\nint main() { return tvm_ops_get_threads(); }\n')
    toolchain.run_tool(
        ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
         f"-I{toolchain.RUNTIME}", source]
    )  # fmt: skip
