"""From (task, knobs) to what runs on a board: a shared library, or one static bench program."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tvm_ops import c_source, toolchain
from tvm_ops.c_source import Argument, Kernel
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.operators import get_operator
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task

Entry = tuple[Task, Knobs]
"""One kernel to build."""

_LLVM = threading.Lock()
"""TVM sets a target's LLVM options for the whole process and then puts back what it found. Two
threads that compile for rpi3 at a time would leave its options to all that is compiled later: a
dense layer of 32 to 120 channels then takes 857 instead of 761 modelled cycles on rpi5."""

SYSTEM_LIBRARIES = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"}


@dataclass(frozen=True)
class Library:
    """The files that ``build_library`` wrote."""

    name: str
    kernels: tuple[Kernel, ...]
    library: Path  # libNAME.so
    header: Path  # NAME.h
    knobs: Path  # NAME.knobs.json
    assembly: tuple[Path, ...]  # SYMBOL.s

    @property
    def paths(self) -> list[Path]:
        return [self.library, self.header, self.knobs, *self.assembly]


def describe(task: Task, knobs: Knobs) -> Kernel:
    """What the C side has to know of a task that is built with these knobs."""
    from tvm_ops.template import kernel_arguments

    layouts = get_operator(task.operator).layouts(task.workload)
    arguments = tuple(
        Argument(name, shape, dtype, layouts.get(name, Argument.layout))
        for name, shape, dtype in kernel_arguments(task, knobs)
    )
    return Kernel(task.key, task.symbol, arguments, float(task.workload.macs), dict(knobs))


def compile_entry(task: Task, knobs: Knobs) -> Any:
    """The TVM module of one kernel; what TVM refuses is raised as it is."""
    from tvm_ops.lowering import compile_kernel
    from tvm_ops.template import instantiate

    return compile_kernel(instantiate(task, knobs), task.symbol, task.target)


def build_library(entries: Sequence[Entry], target: Target, out_dir: Path, name: str) -> Library:
    """Write libNAME.so, NAME.h, NAME.knobs.json and SYMBOL.s for each task into ``out_dir``.

    The library needs libc, libm, libpthread and libdl only. Raises ``InputError`` for a name that
    is no C identifier, for no entries, or for a task that is there twice or for another target.
    """
    _check(entries, target)
    out_dir = Path(out_dir)
    with toolchain.scratch_beside(out_dir / name) as scratch:
        objects, sources = [], {}
        for number, (task, knobs) in enumerate(entries):
            objects.append(scratch / f"kernel_{number}.o")
            with _LLVM:
                module = compile_entry(task, knobs)
                module.write_to_file(str(objects[-1]))
                sources[task.symbol] = module.inspect_source("asm")
        kernels = [describe(task, knobs) for task, knobs in entries]
        built = link_library(kernels, objects, target, out_dir, name)
        assembly = [_write(out_dir / f"{s}.s", text, scratch) for s, text in sources.items()]
    return Library(name, tuple(kernels), *built, tuple(assembly))


def link_library(
    kernels: Sequence[Kernel], objects: Sequence[Path], target: Target, out_dir: Path, name: str
) -> tuple[Path, Path, Path]:
    """libNAME.so, NAME.h and NAME.knobs.json from compiled kernels."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(
            f"library name '{name}': letters, digits and _ are allowed, a letter first"
        )
    library = out_dir / f"lib{name}.so"
    with toolchain.scratch_beside(library) as scratch:
        tasks = _compile_tasks(kernels, target, scratch)
        (scratch / "exports.map").write_text(c_source.export_map(kernels))
        runtime = toolchain.runtime_objects(target)
        toolchain.run_tool([
            target.compiler, *target.c_flags, "-shared", f"-Wl,-soname,lib{name}.so",
            f"-Wl,--version-script={scratch / 'exports.map'}",
            "-Wl,-z,defs,-z,noexecstack,-z,relro,-z,now,--as-needed,--build-id=none,-s",
            "-static-libgcc", *objects, tasks,
            *toolchain.objects_of(runtime, toolchain.LIBRARY_SOURCES),
            "-lm", "-pthread", "-o", scratch / "library",
        ])  # fmt: skip
        check_needs(scratch / "library")
        (scratch / "library").replace(library)
        header = _write(out_dir / f"{name}.h", c_source.header_h(name, kernels), scratch)
        knobs = _write(out_dir / f"{name}.knobs.json", c_source.knobs_json(kernels), scratch)
    return library, header, knobs


def build_program(entries: Sequence[Entry], target: Target, path: Path) -> Path:
    """A static bench with these kernels; raises ``InputError`` as ``build_library`` does."""
    _check(entries, target)
    path = Path(path)
    with toolchain.scratch_beside(path) as scratch:
        objects = []
        for number, (task, knobs) in enumerate(entries):
            objects.append(scratch / f"kernel_{number}.o")
            with _LLVM:
                compile_entry(task, knobs).write_to_file(str(objects[-1]))
        return link_program(objects, entries, target, path)


def build_module(task: Task, knobs: Knobs, path: Path) -> Path:
    """A shared library with one kernel for TVM's runtime, which loads it as a module."""
    from tvm_ops.lowering import compile_for_tvm
    from tvm_ops.template import instantiate

    with toolchain.scratch_beside(path) as scratch:
        with _LLVM:
            module = compile_for_tvm(instantiate(task, knobs), task.symbol, task.target)
            module.write_to_file(str(scratch / "kernel.o"))
        return link_module(scratch / "kernel.o", task.target, path)


def link_module(source: Path, target: Target, path: Path) -> Path:
    """A shared library of an object or C source whose missing symbols TVM's runtime has."""
    with toolchain.scratch_beside(path) as scratch:
        compiler = [target.compiler, *target.c_flags, "-shared", "-fPIC", "-Wl,-z,noexecstack"]
        toolchain.run_tool([*compiler, source, "-lm", "-o", scratch / "module"])
        (scratch / "module").replace(path)
    return path


def link_program(
    objects: Sequence[Path], entries: Sequence[Entry], target: Target, path: Path
) -> Path:
    """A static bench from compiled kernels: one compiler run for tasks.c and one link."""
    _check(entries, target)
    return link_kernels(objects, [describe(task, knobs) for task, knobs in entries], target, path)


def link_kernels(
    objects: Sequence[Path], kernels: Sequence[Kernel], target: Target, path: Path
) -> Path:
    """A static bench from objects of any origin that define the kernels' symbols."""
    path = Path(path)
    with toolchain.scratch_beside(path) as scratch:
        tasks = _compile_tasks(kernels, target, scratch)
        runtime = toolchain.runtime_objects(target)
        sources = toolchain.LIBRARY_SOURCES + toolchain.BENCH_SOURCES
        toolchain.run_tool([
            target.compiler, *target.c_flags, "-static", "-Wl,-z,noexecstack,--build-id=none",
            *objects, tasks, *toolchain.objects_of(runtime, sources),
            "-lm", "-pthread", "-o", scratch / "program",
        ])  # fmt: skip
        (scratch / "program").replace(path)
    return path


def link_bench(library: Path, target: Target, path: Path) -> Path:
    """The bundle's bench, which finds ``library`` in ../lib of its own place."""
    with toolchain.scratch_beside(path) as scratch:
        runtime = toolchain.runtime_objects(target)
        toolchain.run_tool([
            target.compiler, *target.c_flags, "-Wl,-rpath,$ORIGIN/../lib",
            "-Wl,-z,noexecstack,-z,relro,-z,now,--as-needed,--build-id=none,-s",
            *toolchain.objects_of(runtime, toolchain.BENCH_SOURCES), library,
            "-o", scratch / "bench",
        ])  # fmt: skip
        (scratch / "bench").replace(path)
    return path


def check_needs(library: Path) -> None:
    """``CheckFailed`` if the library needs another one than libc, libm, libpthread and libdl."""
    text = toolchain.run_tool(["readelf", "-d", "-W", library])
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    if needed - SYSTEM_LIBRARIES:
        raise CheckFailed(f"{library.name} needs {', '.join(sorted(needed - SYSTEM_LIBRARIES))}")


def _check(entries: Sequence[Entry], target: Target) -> None:
    if not entries:
        raise InputError("nothing to build: no task is given")
    keys = [task.key for task, _ in entries]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"{key} is there twice; a library has one kernel per task")
    for task, _ in entries:
        if task.target != target:
            raise InputError(f"{task.key} is for {task.target.name}, not for {target.name}")


def _compile_tasks(kernels: Sequence[Kernel], target: Target, scratch: Path) -> Path:
    obj = scratch / "tasks.o"
    obj.write_bytes(_tasks_object(c_source.tasks_c(kernels), target))
    return obj


@lru_cache(maxsize=64)
def _tasks_object(text: str, target: Target) -> bytes:
    """Compiled tasks.c; a tuning worker has few different ones, and each costs 20 ms."""
    with tempfile.TemporaryDirectory(prefix="tvm_ops-tasks-") as folder:
        source, obj = Path(folder) / "tasks.c", Path(folder) / "tasks.o"
        source.write_text(text)
        toolchain.compile_c(source, target, obj)
        return obj.read_bytes()


def _write(path: Path, text: str, scratch: Path) -> Path:
    """Write beside and rename, so that a reader never sees a half-written file."""
    part = scratch / path.name
    part.write_text(text)
    part.replace(path)
    return path
