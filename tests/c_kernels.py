"""Kernels written by hand in C: what the runtime, boards and linking are tested with."""

from __future__ import annotations

from pathlib import Path

from tvm_ops import toolchain
from tvm_ops.c_source import Argument, Kernel
from tvm_ops.targets import Target

FOLDER = Path(__file__).parent / "c"
ROWS, COLUMNS = 37, 129
ARGUMENTS = (
    Argument("x", (ROWS, COLUMNS), "float32"),
    Argument("weights", (COLUMNS,), "float32"),
    Argument("bias", (ROWS,), "float32"),
    Argument("y", (ROWS, COLUMNS), "float32"),
)
SIX_ARGUMENTS = (
    *ARGUMENTS[:3],
    Argument("slope", (ROWS,), "float32"),
    Argument("residual", (ROWS, COLUMNS), "float32"),
    ARGUMENTS[3],
)


def kernel(name: str) -> Kernel:
    arguments = SIX_ARGUMENTS if name == "six" else ARGUMENTS
    return Kernel(name, name, arguments, float(ROWS * COLUMNS), {"sketch": "by hand"})


def compile_kernels(target: Target, folder: Path) -> Path:
    obj = folder / f"kernels-{target.name}.o"
    toolchain.compile_c(FOLDER / "kernels.c", target, obj)
    return obj
