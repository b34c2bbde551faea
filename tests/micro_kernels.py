"""Small assembly programs whose cycles on a core are known."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tvm_ops.board_model import Region, execute
from tvm_ops.targets import get_target

COMPILER = "aarch64-linux-gnu-gcc"
CHAIN = 16  # copies of an instruction in a loop

_MARK = """
    mov x8, #7777
    mov x0, #{mark}
    mov x1, #{region}
    svc #0
"""
_PROGRAM = """
    .arch armv8.4-a+fp16+fp16fml+dotprod
    .bss
    .balign 4096
buffer: .skip 33554432
    .text
    .global _start
_start:
{kernels}
    mov x0, #0
    mov x8, #93
    svc #0
"""


@dataclass(frozen=True)
class Kernel:
    """A loop: ``setup`` runs once, unmodelled, then ``body`` runs ``iterations`` times.

    x28 is the counter; x0 to x3 hold the address of 32 MiB of zeros before ``setup``. With ``warm``
    all of it runs once before it is measured.
    """

    body: str
    iterations: int = 200
    setup: str = ""
    warm: bool = True


RANDOM_BIT = """
    eor x5, x5, x5, lsl #13
    eor x5, x5, x5, lsr #7
    eor x5, x5, x5, lsl #17
    and x6, x5, x7
    tbnz x6, #5, 4f
    nop
4:
"""


def chain(instruction: str, count: int = CHAIN) -> str:
    return "\n".join([instruction] * count)


def independent(pattern: str, count: int = CHAIN) -> str:
    """``{d}`` in the pattern becomes a different register number, from 8 on, in each copy."""
    return "\n".join(pattern.format(d=8 + i) for i in range(count))


def pointer_chase(size: int, stride: int, warm: bool) -> Kernel:
    """Loads that each need the one before, of ``size`` bytes, seven strides apart.

    Seven lines or pages apart is nothing that the prefetchers follow.
    """
    nodes = size // stride
    build_list = f"""
    ldr x4, ={nodes}
    ldr x6, ={7 * stride}
    ldr x9, ={nodes * stride}
    mov x7, #0
1:  add x10, x7, x6
    cmp x10, x9
    b.lo 2f
    sub x10, x10, x9
2:  add x11, x0, x7
    add x12, x0, x10
    str x12, [x11]
    mov x7, x10
    subs x4, x4, #1
    b.ne 1b
"""
    return Kernel(chain("ldr x0, [x0]"), iterations=nodes // CHAIN, setup=build_list, warm=warm)


def _setup(kernel: Kernel) -> str:
    return f"""
    adrp x0, buffer
    mov x1, x0
    mov x2, x0
    mov x3, x0
    {kernel.setup}
    ldr x28, ={kernel.iterations}
    stp x0, x1, [sp, #-16]!
    {_MARK.format(mark=1, region=0)}
    ldp x0, x1, [sp], #16
"""


def _loop(kernel: Kernel, label: str) -> str:
    return f"""
    .balign 64
{label}:
    {kernel.body}
    subs x28, x28, #1
    b.ne {label}
"""


def _assembly(number: int, kernel: Kernel) -> str:
    warm_up = _setup(kernel) + _loop(kernel, f"warm{number}") if kernel.warm else ""
    stop = _MARK.format(mark=2, region=number)
    return warm_up + _setup(kernel) + _loop(kernel, f"measured{number}") + stop


def build(kernels: list[Kernel], path: Path) -> Path:
    source = path.with_suffix(".S")
    source.write_text(
        _PROGRAM.format(kernels="".join(_assembly(i, k) for i, k in enumerate(kernels)))
    )
    command = [COMPILER, "-nostdlib", "-static", str(source), "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return path


def regions(target_name: str, kernels: list[Kernel], path: Path, **options: object) -> list[Region]:
    """Builds and runs the kernels; one region each, in their order."""
    done = execute(get_target(target_name), [str(build(kernels, path))], marked=True, **options)
    assert done.exit_code == 0, done.stderr
    assert [region.id for region in done.regions] == list(range(len(kernels)))
    return done.regions


def cycles(target_name: str, kernels: list[Kernel], path: Path) -> list[float]:
    """Cycles of one iteration of each kernel."""
    found = regions(target_name, kernels, path)
    return [r.cycles / k.iterations for r, k in zip(found, kernels, strict=True)]
