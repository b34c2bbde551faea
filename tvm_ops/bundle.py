"""What is deployed: a tar.gz for one target, the same bytes for the same input.

``docs/bundle.md`` describes the format for those who read it on the board's side.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops import toolchain
from tvm_ops.build import Entry, Library, build_library, link_bench
from tvm_ops.bundle_manifest import FORMAT, MANIFEST
from tvm_ops.bundle_reader import Bundle, open_bundle
from tvm_ops.c_source import Kernel
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator
from tvm_ops.targets import Target
from tvm_ops.task import Task

__all__ = ["Bundle", "load_weights", "open_bundle", "write_bundle"]

Weights = Mapping[str, Mapping[str, NDArray[Any]]]
"""Task key to the arrays that its ``workload.parameters`` name, as the operator's ``pack`` takes
them: weights, bias, of a prelu slope."""


def write_bundle(
    entries: Sequence[Entry],
    target: Target,
    path: Path,
    weights: Weights | None = None,
    name: str | None = None,
) -> Path:
    """Build the tasks and write the bundle; ``path`` appears only when it is complete.

    ``name`` is the library's, by default made from the file's. Raises ``InputError`` for entries
    that ``build_library`` refuses, for weights of a task that is not there, for a parameter that is
    missing, is too many, or has a wrong shape.
    """
    path = Path(path)
    name = name or library_name(path)
    packed = _pack(entries, weights or {})
    with toolchain.scratch_beside(path) as scratch:
        root = scratch / "bundle"
        library = build_library(entries, target, scratch / "build", name)
        _collect(library, target, root)
        for place, array in packed.items():
            _write_array(root / place, array)
        manifest = _manifest(entries, library, target, root, set(packed))
        (root / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        _write_archive(
            root, [MANIFEST, *(f["path"] for f in manifest["files"])], scratch / "tar.gz"
        )
        (scratch / "tar.gz").replace(path)
    return path


def library_name(path: Path) -> str:
    """A C identifier from a file's name: ``rpi4-resnet.tar.gz`` gives ``rpi4_resnet``."""
    stem = re.sub(r"\W", "_", path.name.removesuffix(".gz").removesuffix(".tar"), flags=re.ASCII)
    return stem if re.match(r"[A-Za-z]", stem) else f"ops_{stem}"


def load_weights(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """An .npz with an array ``KEY.NAME`` for each of a task's parameters, such as ``KEY.weights``.

    Raises ``InputError`` if it cannot be read, or for an array whose name is not of this form.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(f"weights {path}: no readable .npz file ({error})") from None
    weights: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        key, _, parameter = name.rpartition(".")
        if not parameter or not key:
            raise InputError(f"weights {path}: '{name}' is not of the form KEY.weights, KEY.bias")
        weights.setdefault(key, {})[parameter] = array
    return weights


def _pack(entries: Sequence[Entry], weights: Weights) -> dict[str, NDArray[Any]]:
    """Path in the bundle to packed array, by the names of the kernel's arguments."""
    tasks = {task.key: (task, knobs) for task, knobs in entries}
    packed: dict[str, NDArray[Any]] = {}
    for key, arrays in weights.items():
        if key not in tasks:
            raise InputError(f"weights of '{key}': no such task; the tasks are {', '.join(tasks)}")
        task, knobs = tasks[key]
        expected = task.workload.parameters
        odd = sorted(set(arrays) ^ set(expected))
        if odd:
            what = "missing" if odd[0] in expected else "not one of them"
            raise InputError(
                f"weights of {key}: {', '.join(expected)} needed; '{odd[0]}' is {what}"
            )
        try:
            parts = get_operator(task.operator).pack(task.workload, knobs, dict(arrays))
        except InputError as error:
            raise InputError(f"weights of {key}: {error}") from None
        packed |= {_place(key, name): array for name, array in parts.items()}
    return packed


def _place(key: str, argument: str) -> str:
    return f"weights/{key}.{argument}.bin"


def _collect(library: Library, target: Target, root: Path) -> None:
    for folder in ("lib", "include", "bin"):
        (root / folder).mkdir(parents=True)
    shutil.copy(library.library, root / "lib")
    shutil.copy(library.header, root / "include")
    shutil.copy(toolchain.RUNTIME / "tvm_ops.h", root / "include")
    link_bench(library.library, target, root / "bin" / "bench")


def _write_array(path: Path, array: NDArray[Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    array.astype(array.dtype.newbyteorder("<"), copy=False).tofile(path)


def _manifest(
    entries: Sequence[Entry], library: Library, target: Target, root: Path, packed: set[str]
) -> dict[str, Any]:
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    pairs = zip(entries, library.kernels, strict=True)
    return {
        "format": FORMAT,
        "name": library.name,
        "target": {
            "name": target.name,
            "board": target.board,
            "core": target.core,
            "isa": target.isa,
            "mtriple": target.mtriple,
            "mattr": list(target.mattr),
        },
        "tools": {
            "tvm": metadata.version("apache-tvm"),
            "compiler": toolchain.compiler_version(target.compiler),
        },
        "glibc": toolchain.needed_glibc([library.library, root / "bin" / "bench"]),
        "tasks": [_task(task, kernel, packed) for (task, _), kernel in pairs],
        "files": [_file(root, name) for name in files],
    }


def _task(task: Task, kernel: Kernel, packed: set[str]) -> dict[str, Any]:
    places = {a.name: _place(task.key, a.name) for a in kernel.arguments}
    return {
        "key": task.key,
        "operator": task.operator,
        "symbol": kernel.symbol,
        "macs": kernel.macs,
        "arguments": [
            {
                "name": a.name,
                "shape": list(a.shape),
                "dtype": a.dtype,
                "layout": a.layout,
                **({"file": places[a.name]} if places[a.name] in packed else {}),
            }
            for a in kernel.arguments
        ],
        "knobs": kernel.knobs,
    }


def _file(root: Path, name: str) -> dict[str, Any]:
    content = (root / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"path": name, "size": len(content), "sha256": digest}


def _write_archive(root: Path, names: Sequence[str], path: Path) -> None:
    """No times, no owners, a fixed order: what is the same packs to the same bytes."""
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name in names:
            content = (root / name).read_bytes()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(info, io.BytesIO(content))
