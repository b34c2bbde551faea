"""A worker whose candidates misbehave as the first of their knobs' options says; for tests.

The template's kernel is replaced by one of C that loops, allocates, writes or forks, in the same
bench program on the same board; where the compiler is to misbehave, so does this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm_ops import build, toolchain
from tvm_ops.targets import Target
from tvm_ops.tuning import worker

KERNELS = {
    "loop": "for (volatile int i = 0;; ++i) {}",
    "allocate": "for (;;) { char* p = malloc(1 << 26); if (!p) abort(); p[0] = 1; }",
    "write": "memset((char*)y + ((size_t)1 << 40), 1, 64);",
    "fork": "for (;;) { if (fork() == 0) for (;;) pause(); usleep(2000); }",
    "daemon": "if (fork() == 0) { setsid(); if (fork() == 0) for (;;) sleep(1); _exit(0); }",
    "wrong": "",
}
SOURCE = """
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int32_t %s(const float* x, const float* weights, const float* bias, float* y) {
  (void)x, (void)weights, (void)bias, (void)y;
  %s
  return 0;
}
"""


def compiler_allocates() -> None:
    held = []
    while True:
        held.append(bytes(1 << 28))  # not touched, so it costs no memory


def llvm_dies() -> None:
    """As for an instruction that the core does not have: LLVM ends the process."""
    os.abort()


def space_runs_out() -> None:
    raise OSError(28, "No space left on device", "kernel.o")


COMPILERS = {
    "compiler allocates": compiler_allocates,
    "compiler crashes": llvm_dies,
    "compiler hangs": lambda: time.sleep(600),
    "disk full": space_runs_out,
}
original = build.build_program


def build_program(entries: Sequence[Any], target: Target, path: Path) -> Path:
    (task, knobs) = entries[0]
    how = os.environ.get("MISBEHAVE", "") or knobs.get("how", "well")
    if how in COMPILERS:
        COMPILERS[how]()
    if how not in KERNELS:
        return original(entries, target, path)
    source, obj = path.with_suffix(".c"), path.with_suffix(".o")
    source.write_text(SOURCE % (task.symbol, KERNELS[how]))
    toolchain.compile_c(source, target, obj)
    return build.link_program([obj], entries, target, path)


if __name__ == "__main__":
    build.build_program = build_program
    worker.main()
