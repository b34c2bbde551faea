"""No core is given an instruction that it lacks, and the emulated boards would say so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tvm_ops import toolchain
from tvm_ops.boards import get_board
from tvm_ops.boards.call import Call, File
from tvm_ops.build import compile_entry
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator, operator_names
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.slices import float_macs
from tvm_ops.tuning.space import check_knobs

# Of ARMv8.2 and later; on ARMv7 those of ARMv8 too.
LATER = re.compile(r"\b(?:[su]dot|[su]mmla|usdot|bfdot|fmlal2?|sqrdml[as]h|eor3|bcax)\b")
NEW_IN_V8 = re.compile(r"\b(?:vrint[anmpzx]|vmaxnm|vminnm|vsel|crc32|aes|sha1|v[su]dot)")
FEW_BIT = [name for name in operator_names() if name.startswith(("bi", "fused", "packed"))]


def run(instruction: str, compiled_for: str, target: str, folder: Path) -> str | None:
    """How a program that is the instruction ends on the target's emulated board."""
    compiler = get_target(target).compiler
    source, program = folder / "one.c", folder / "one"
    source.write_text(f'int main(void) {{ __asm__ volatile("{instruction}"); return 0; }}')
    fpu = ["-mfpu=neon-fp-armv8"] if get_target(target).isa == "armv7" else []
    flags = [f"-march={compiled_for}", *fpu, "-static", "-O1"]
    toolchain.run_tool([compiler, *flags, source, "-o", program])
    call = Call([File(program, "one")])
    done = get_board("emulated", get_target(target)).execute(call, timeout=60, cycle_limit=None)
    return done.finished.failure


@pytest.mark.parametrize("target", ["rpi3", "rpi4", "rpi5"])
def test_dot_products_are_fatal_where_a_core_has_none(target: str, tmp_path: Path) -> None:
    """qemu -cpu cortex-a53 and cortex-a72; a cortex-a76 has them."""
    failure = run("sdot v0.4s, v1.16b, v2.16b", "armv8.2-a+dotprod", target, tmp_path)
    assert (failure is None) == (target == "rpi5")
    assert failure is None or failure.startswith("crashed: SIGILL")


def test_armv8_is_fatal_on_a_cortex_a7(tmp_path: Path) -> None:
    for instruction in ("vrinta.f32 q0, q1", "vmaxnm.f32 q0, q1, q2"):
        failure = run(instruction, "armv8-a", "rpi3-armv7", tmp_path)
        assert failure is not None and failure.startswith("crashed: SIGILL")
    assert run("vcnt.8 q0, q1", "armv8-a", "rpi3-armv7", tmp_path) is None


def smallest(operator: str, target: str) -> list[Task]:
    """The three of fewest operations."""
    keys = [Task(operator, w, get_target(target)) for w in get_operator(operator).WORKLOADS]
    return sorted(keys, key=float_macs)[:3]


@pytest.mark.parametrize("target", ["rpi3", "rpi4", "rpi3-armv7"])
@pytest.mark.parametrize("operator", FEW_BIT)
def test_kernels_have_none_of_later_cores(operator: str, target: str) -> None:
    wrong = NEW_IN_V8 if get_target(target).isa == "armv7" else LATER
    for task in smallest(operator, target):
        assert "dot" not in get_schedule(operator).space(task.workload, task.target)
        assert wrong.findall(assembly(task)) == []


def assembly(task: Task) -> str:
    return str(compile_entry(task, default_knobs(task)).inspect_source("asm"))


def test_dot_products_are_for_cores_that_have_them() -> None:
    key = "binary_input_conv2d-n1_ci1_h28_w28_co32_k3_s1_p1_u8_thr2-u32"
    newer, older = (
        parse_task("binary_input_conv2d", key, get_target(name)) for name in ("rpi5", "rpi4")
    )
    knobs = default_knobs(newer)
    assert knobs["sketch"] == "dot" and LATER.search(assembly(newer))
    space = get_schedule(older.operator).space(older.workload, older.target)
    with pytest.raises(InputError, match="unknown sketch 'dot'"):
        check_knobs(space, knobs, older.key)
