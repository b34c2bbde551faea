"""Libraries and programs: what is in them, what they need, what is refused."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from c_kernels import FOLDER, compile_kernels, kernel

from tvm_ops import c_source, toolchain
from tvm_ops.build import (
    SYSTEM_LIBRARIES,
    build_library,
    build_program,
    check_needs,
    compile_entry,
    link_kernels,
    link_library,
    link_program,
)
from tvm_ops.c_source import Argument, Kernel
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.process import run_limited
from tvm_ops.targets import Target, get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs, instantiate

TARGETS = ["host", "rpi4", "rpi4-armv7"]
KEY = "winograd_conv2d-n1_ci5_h6_w7_co6_k3_s1_p1-f32"


def entries(target: Target, *keys: str):
    tasks = [parse_task("winograd_conv2d", key, target) for key in keys or (KEY,)]
    return [(task, default_knobs(task)) for task in tasks]


def symbols(library: Path, *options: str) -> set[str]:
    text = toolchain.run_tool(["nm", "-D", *options, library])
    return {line.split()[-1] for line in text.splitlines()}


@pytest.mark.parametrize("name", TARGETS)
def test_library_shows_its_interface_and_needs_the_system_only(name: str, tmp_path: Path) -> None:
    target = get_target(name)
    library = build_library(entries(target), target, tmp_path, "demo")
    symbol = KEY.replace("-", "_")
    assert symbols(library.library, "--defined-only") == {*c_source.API, symbol}
    # Each undefined symbol has a version of glibc's, or is weak and may stay undefined.
    undefined = toolchain.run_tool(["nm", "-D", "--undefined-only", library.library]).splitlines()
    assert [s for s in undefined if "@GLIBC_" not in s and " w " not in s] == []
    needed = toolchain.run_tool(["readelf", "-d", library.library])
    found = set(re.findall(r"NEEDED.*\[(.*)\]", needed))
    assert found and found <= SYSTEM_LIBRARIES
    assert "GNU_STACK" in toolchain.run_tool(["readelf", "-lW", library.library])
    assert "RWE" not in toolchain.run_tool(["readelf", "-lW", library.library])


def test_library_files(tmp_path: Path) -> None:
    target = get_target("rpi4")
    built = entries(target)
    library = build_library(built, target, tmp_path, "demo")
    assert sorted(p.name for p in library.paths) == sorted(p.name for p in tmp_path.iterdir())
    assert json.loads(library.knobs.read_text()) == {KEY: built[0][1]}
    assert re.search(r"\bfmla\b", library.assembly[0].read_text())
    assert "float32[1, 5, 6, 7]" in library.header.read_text()


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_input_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    target = get_target(name)
    first = build_library(entries(target), target, tmp_path / "a", "demo")
    second = build_library(entries(target), target, tmp_path / "somewhere/else", "demo")
    assert [p.name for p in first.paths] == [p.name for p in second.paths]
    for one, two in zip(first.paths, second.paths, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["g++", "-std=c++11"]])
def test_the_header_is_c_and_cpp(compiler: list[str], tmp_path: Path) -> None:
    target = get_target("host")
    library = build_library(entries(target), target, tmp_path, "demo")
    source = tmp_path / ("user.cpp" if "g++" in compiler else "user.c")
    call = KEY.replace("-", "_")
    source.write_text(f'#include "demo.h"\nint main(void) {{ return {call}(0, 0, 0, 0); }}\n')
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{toolchain.RUNTIME}", f"-I{tmp_path}"]
    program = tmp_path / "user"
    toolchain.run_tool([*compiler, *flags, source, library.library, "-o", program])
    assert program.exists()


def test_libraries_come_and_go(tmp_path: Path) -> None:
    """Two libraries in one process have a pool each; dlclose leaves no thread behind."""
    target = get_target("host")
    obj = compile_kernels(target, tmp_path)
    paths = [link_library([kernel("rows")], [obj], target, tmp_path, n)[0] for n in ("a", "b")]
    program = tmp_path / "test_dlopen"
    source = FOLDER / "test_dlopen.c"
    toolchain.run_tool(["gcc", *toolchain.C_FLAGS, source, "-ldl", "-o", program])
    done = run_limited([program, *paths], timeout=60)
    assert (done.failure, done.timed_out) == (None, False)


@pytest.mark.parametrize("name", TARGETS)
def test_program_is_static(name: str, tmp_path: Path) -> None:
    target = get_target(name)
    program = build_program(entries(target), target, tmp_path / "bench")
    assert "NEEDED" not in toolchain.run_tool(["readelf", "-d", program])
    emulator = [target.emulator] if target.emulator else []
    done = run_limited([*emulator, program, "--list"], timeout=60)
    assert done.stdout.splitlines()[:2] == [KEY, "  x 1x5x6x7 of 4 bytes"]


def test_several_tasks_in_one_program(tmp_path: Path) -> None:
    target = get_target("host")
    keys = [KEY, KEY.replace("w7", "w8")]
    program = build_program(entries(target, *keys), target, tmp_path / "bench")
    for key in keys:
        assert run_limited([program, "--task", key], timeout=60).failure is None
    without = run_limited([program], timeout=60)
    assert without.exit_code == 2
    assert "--task is needed" in without.stderr


def test_linking_a_compiled_object(tmp_path: Path) -> None:
    from tvm_ops.lowering import compile_kernel

    target = get_target("rpi4")
    [(task, knobs)] = entries(target)
    obj = tmp_path / "kernel.o"
    compile_kernel(instantiate(task, knobs), task.symbol, target).write_to_file(str(obj))
    linked = link_program([obj], [(task, knobs)], target, tmp_path / "linked")
    built = build_program([(task, knobs)], target, tmp_path / "built")
    assert linked.read_bytes() == built.read_bytes()


def test_runtime_is_compiled_once_per_compiler_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path))
    folders = {name: toolchain.runtime_objects(get_target(name)) for name in TARGETS}
    assert len(set(folders.values())) == 3
    assert toolchain.runtime_objects(get_target("rpi5")) == folders["rpi4"]
    made = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.o")}
    assert len(made) == 3 * len(toolchain.LIBRARY_SOURCES + toolchain.BENCH_SOURCES)
    for name in TARGETS:
        toolchain.runtime_objects(get_target(name))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.o")} == made


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("demo", [], "nothing to build"),
        ("demo", [KEY, KEY], "is there twice"),
        ("de-mo", [KEY], "library name 'de-mo': letters"),
        ("../demo", [KEY], "library name"),
        ("", [KEY], "library name"),
    ],
)
def test_what_is_refused(name: str, keys: list[str], message: str, tmp_path: Path) -> None:
    target = get_target("host")
    asked = entries(target, *keys) if keys else []
    with pytest.raises(InputError, match=re.escape(message)):
        build_library(asked, target, tmp_path / "out", name)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_task_of_another_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is for rpi4, not for host"):
        build_library(entries(get_target("rpi4")), get_target("host"), tmp_path, "demo")


def test_a_failed_link_leaves_nothing(tmp_path: Path) -> None:
    """The kernel lacks a symbol: one line says which, and no file is there."""
    target = get_target("host")
    source, obj = tmp_path / "k.c", tmp_path / "k.o"
    source.write_text("int rows(float* x) { int nowhere(float*); return nowhere(x); }\n")
    toolchain.compile_c(source, target, obj)
    out = tmp_path / "out"
    with pytest.raises(CheckFailed, match=r"undefined reference to .nowhere"):
        link_library([kernel("rows")], [obj], target, out, "demo")
    with pytest.raises(CheckFailed, match=r"undefined reference to .nowhere"):
        link_kernels([obj], [kernel("rows")], target, out / "bench")
    assert list(out.iterdir()) == []


def test_a_library_that_needs_more_is_refused(tmp_path: Path) -> None:
    source, library = tmp_path / "k.cc", tmp_path / "libk.so"
    source.write_text("#include <iostream>\nvoid k() { std::cout << 1; }\n")
    subprocess.run(["g++", "-shared", "-fPIC", source, "-o", library], check=True)
    with pytest.raises(CheckFailed, match=r"libk.so needs libstdc\+\+"):
        check_needs(library)


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"apt-get install g\+\+-arm-linux-gnueabihf"):
        toolchain.run_tool(["arm-linux-gnueabihf-gcc", "--version"])


def test_kernels_that_c_cannot_take() -> None:
    x = Argument("x", (1,), "float32")
    with pytest.raises(InputError, match="x is float64; C has float32, float16, int8"):
        Kernel("k", "k", (Argument("x", (1,), "float64"), x), 1.0, {})
    with pytest.raises(InputError, match="17 arguments; 1 to 16 are allowed"):
        Kernel("k", "k", (x,) * 17, 1.0, {})
    header = (toolchain.RUNTIME / "tvm_ops.h").read_text()
    assert f"#define TVM_OPS_MAX_ARGUMENTS {c_source.MAX_ARGUMENTS}\n" in header
    assert set(re.findall(r"TVM_OPS_([A-Z]+\d+) = ", header)) == {
        d.upper() for d in c_source.C_TYPES
    }


def test_generated_c_is_readable() -> None:
    text = c_source.tasks_c([kernel("rows"), kernel("nested")])
    assert max(map(len, c_source.header_h("demo", [kernel("long" * 20)]).splitlines())) <= 100
    assert text == (FOLDER / "expected_tasks.c").read_text()


def test_options_of_one_target_do_not_reach_another() -> None:
    """rpi3 forbids paired loads, by an option that LLVM keeps for the whole process."""
    key = "winograd_conv2d-n1_ci8_h6_w6_co8_k3_s1_p1-f32"

    def assembly(target: str) -> str:
        task = parse_task("winograd_conv2d", key, get_target(target))
        return str(compile_entry(task, default_knobs(task)).inspect_source("asm"))

    before, between, after = assembly("rpi4"), assembly("rpi3"), assembly("rpi4")
    assert "ldp\tq" in before and "ldp\tq" not in between
    assert before == after


def test_threads_do_not_leave_one_targets_options_to_another(tmp_path: Path) -> None:
    """Rpi3 is compiled without pairs of loads; rpi5 with them, whatever was compiled before."""
    key = "dense-n1_ci32_co120_none-f32"

    def program(target: str, number: int) -> bytes:
        task = parse_task("dense", key, get_target(target))
        path = tmp_path / f"{target}-{number}"
        build_program([(task, default_knobs(task))], task.target, path)
        return path.read_bytes()

    alone = program("rpi5", 0)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: program("rpi3", number), range(6)))
    assert program("rpi5", 0) == alone
