"""The modelled cores against what is known of them: Arm's guides, and arithmetic on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from micro_kernels import (
    CHAIN,
    RANDOM_BIT,
    Kernel,
    chain,
    cycles,
    independent,
    pointer_chase,
    regions,
)

from tvm_ops.board_model import plugin
from tvm_ops.targets import get_target

TARGETS = ["rpi3", "rpi4", "rpi5"]


def table(target: str) -> dict[str, list[str]]:
    """The rows of a core's description: name to columns."""
    text = plugin.core_file(get_target(target).core).read_text()
    rows = [line.split("#")[0].split() for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def parameter(target: str, name: str) -> int:
    return int(table(target)[name][0])


def per_instruction(target: str, bodies: list[str], path: Path) -> list[float]:
    """Cycles of each of the ``CHAIN`` instructions of each body; x0 points to itself."""
    kernels = [Kernel(body, setup="str x0, [x0]") for body in bodies]
    return [found / CHAIN for found in cycles(target, kernels, path)]


# Arm's guides: latency of fmla to its factors and to its accumulator, of fadd, of a load.
GUIDE = {
    "rpi3": {"fmla": 8, "accumulate": 4, "fadd": 4, "fmul": 4, "load": 3},
    "rpi4": {"fmla": 7, "accumulate": 3, "fadd": 4, "fmul": 4, "load": 4},
    "rpi5": {"fmla": 4, "accumulate": 2, "fadd": 2, "fmul": 3, "load": 4},
}


@pytest.mark.parametrize("target", TARGETS)
def test_latencies_of_the_guides(target: str, tmp_path: Path) -> None:
    bodies = {
        "fmla": chain("fmla v0.4s, v0.4s, v2.4s"),
        "accumulate": chain("fmla v0.4s, v1.4s, v2.4s"),
        "fadd": chain("fadd v0.4s, v0.4s, v2.4s"),
        "fmul": chain("fmul v0.4s, v0.4s, v2.4s"),
        "load": chain("ldr x0, [x0]"),
    }
    found = per_instruction(target, list(bodies.values()), tmp_path / "p")
    assert dict(zip(bodies, found, strict=True)) == pytest.approx(GUIDE[target], rel=0.03)


# Instructions a cycle when none waits for another.
THROUGHPUT = {
    "fmla 128": ("fmla v{d}.4s, v1.4s, v2.s[1]", {"rpi3": 1, "rpi4": 1, "rpi5": 2}),
    "fmla 64": ("fmla v{d}.2s, v1.2s, v2.2s", {"rpi3": 2, "rpi4": 2, "rpi5": 2}),
    "add": ("add x{d}, x1, x2", {"rpi3": 2, "rpi4": 2, "rpi5": 3}),
    "load": ("ldr x{d}, [x1]", {"rpi3": 1, "rpi4": 1, "rpi5": 2}),
    "load 128": ("ldr q{d}, [x1]", {"rpi3": 0.5, "rpi4": 1, "rpi5": 2}),
    "store 64": ("str d{d}, [x1]", {"rpi3": 1, "rpi4": 1, "rpi5": 2}),
}


@pytest.mark.parametrize("target", TARGETS)
def test_throughput(target: str, tmp_path: Path) -> None:
    copies = 5
    kernels = [Kernel(chain(independent(pattern), copies)) for pattern, _ in THROUGHPUT.values()]
    found = cycles(target, kernels, tmp_path / "p")
    for (name, (_, rates)), cost in zip(THROUGHPUT.items(), found, strict=True):
        # The loop itself, two instructions and a taken branch, adds up to three cycles.
        least = copies * CHAIN / rates[target]
        assert 0.99 * least <= cost <= least + 3, name


# Instruction, row of the core description, whether the chain goes through the accumulator.
CHAINS = [
    ("add x0, x0, x1", "alu", False),
    ("subs w0, w0, #1", "alu", False),
    ("movk x0, #1", "alu", False),
    ("csel x0, x0, x1, eq", "alu", False),
    ("add x0, x0, x1, lsl #2", "alu_shift", False),
    ("add x0, x0, w1, sxtw", "alu_shift", False),
    ("ubfx x0, x0, #1, #63", "alu_shift", False),
    ("lsl x0, x0, x1", "alu_shift", False),
    ("sxtw x0, w0", "alu_shift", False),
    ("clz x0, x0", "alu_shift", False),
    ("mul w0, w0, w1", "multiply", False),
    ("smull x0, w0, w1", "multiply", False),
    ("umulh x0, x0, x1", "multiply", False),
    ("mul x0, x0, x1", "multiply_64", False),
    ("madd w0, w1, w2, w0", "multiply", True),
    ("madd x0, x1, x2, x0", "multiply_64", True),
    ("udiv x0, x0, x1", "divide", False),
    ("add v0.4s, v0.4s, v1.4s", "vector_alu.128", False),
    ("cmeq d0, d0, d1", "vector_alu.64", False),
    ("bif v0.16b, v1.16b, v2.16b", "bit_select.128", False),
    ("mov v0.16b, v0.16b", "vector_alu.128", False),
    ("sshr v0.4s, v0.4s, #1", "vector_shift.128", False),
    ("srshr v0.2s, v0.2s, #1", "vector_shift_complex.64", False),
    ("sshl v0.2s, v0.2s, v1.2s", "vector_shift_complex.64", False),
    ("ssra v0.2s, v1.2s, #1", "vector_shift_complex.64", False),
    ("xtn v0.8b, v0.8h", "vector_shift_complex.64", False),
    ("mul v0.4h, v0.4h, v1.4h", "vector_multiply.64", False),
    ("smull v0.8h, v0.8b, v1.8b", "vector_multiply_long.128", False),
    ("mla v0.4h, v1.4h, v2.4h", "vector_mac.64", True),
    ("smlal v0.4s, v1.4h, v2.h[3]", "vector_mac_long.128", True),
    ("uaddlp v0.4s, v0.8h", "add_long_pairwise.128", False),
    ("uadalp v0.8h, v1.16b", "accumulate_pairwise.128", True),
    ("zip1 v0.4s, v0.4s, v1.4s", "permute.128", False),
    ("ins v0.d[1], v0.d[0]", "permute.128", False),
    ("dup v0.4s, v0.s[1]", "permute.128", False),
    ("cnt v0.16b, v0.16b", "popcount.128", False),
    ("fadd s0, s0, s1", "fadd.64", False),
    ("fmaxnm v0.4s, v0.4s, v1.4s", "fadd.128", False),
    ("fcsel s0, s0, s1, eq", "fadd.64", False),
    ("fmul v0.4s, v0.4s, v1.s[2]", "fmul.128", False),
    ("fmls v0.4s, v1.4s, v2.s[2]", "fmla.128", True),
    ("fmadd s0, s1, s2, s0", "fmla.64", True),
    ("fmadd s0, s0, s1, s2", "fmla.64", False),
    ("frecps v0.4s, v0.4s, v1.4s", "fmla.128", False),
    ("fdiv s0, s0, s1", "fdiv.64", False),
    ("fcvtzs v0.2s, v0.2s", "fconvert.64", False),
    ("fcvt d0, s0", "fconvert.64", False),
    ("frsqrte v0.2s, v0.2s", "festimate.64", False),
    ("fneg v0.4s, v0.4s", "fmove.128", False),
    ("ld1 {v0.s}[1], [x1]", "load_lane.x1", False),
]
# What a Cortex-A76 has beyond the others; capstone 4.0 knows none of these.
CHAINS_A76 = [
    ("sdot v0.4s, v1.16b, v2.16b", "dot.128", True),
    ("udot v0.4s, v1.16b, v2.4b[2]", "dot.128", True),
    ("sqrdmlah v0.4h, v1.4h, v2.4h", "vector_mac.64", True),
    ("fadd v0.8h, v0.8h, v1.8h", "fadd.128", False),
    ("fmul h0, h0, h1", "fmul.64", False),
    ("fmla v0.8h, v1.8h, v2.8h", "fmla.128", True),
    ("fmla v0.8h, v1.8h, v2.h[5]", "fmla.128", True),
    ("fmadd h0, h1, h2, h0", "fmla.64", True),
    ("fneg v0.8h, v0.8h", "fmove.128", False),
    ("fcvtzs v0.4h, v0.4h", "fconvert.64", False),
    ("ldadd x4, x4, [x1]", "load.gpr", False),
]


@pytest.mark.parametrize("target", TARGETS)
def test_instructions_are_decoded_to_their_rows(target: str, tmp_path: Path) -> None:
    """A chain of dependent instructions takes the latency of the row each one belongs to."""
    rows = table(target)
    chains = CHAINS + (CHAINS_A76 if target == "rpi5" else [])
    kernels = [Kernel(chain(instruction), setup="mov x1, x3") for instruction, _, _ in chains]
    found = regions(target, kernels, tmp_path / "p")
    wrong = {}
    for (instruction, row, accumulates), region in zip(chains, found, strict=True):
        assert region.unknown_instructions == 0, instruction
        expected = int(rows[row][1 if accumulates else 0])
        cost = region.cycles / 200 / CHAIN
        if not expected - 0.01 <= cost <= expected + 3.3 / CHAIN:
            wrong[instruction] = (row, expected, cost)
    assert wrong == {}


# Loads and stores that do not wait for each other take their cycles of A53's load/store unit.
ACCESSES = [
    ("ldr x4, [x1, x2]", "load.gpr"),
    ("ldrb w4, [x1, #1]", "load.gpr"),
    ("ldr d4, [x1], #8", "load.64"),
    ("ldr q4, [x1]", "load.128"),
    ("ldp w4, w5, [x1]", "load_pair.gpr32"),
    ("ldpsw x4, x5, [x1]", "load_pair.gpr32"),
    ("ldp x4, x5, [x1]", "load_pair.gpr64"),
    ("ldp s4, s5, [x1]", "load_pair.32"),
    ("ldnp d4, d5, [x1]", "load_pair.64"),
    ("ldp q4, q5, [x1], #32", "load_pair.128"),
    ("ld1 {v4.2s, v5.2s}, [x1]", "load_multiple.64x2"),
    ("ld1 {v4.4s-v7.4s}, [x1]", "load_multiple.128x4"),
    ("ld2 {v4.8b, v5.8b}, [x1]", "load_interleaved.64x2"),
    ("ld3 {v4.4s-v6.4s}, [x1]", "load_interleaved.128x3"),
    ("ld4 {v4.4s-v7.4s}, [x1], #64", "load_interleaved.128x4"),
    ("ld1r {v4.4s}, [x1]", "load_duplicate.x1"),
    ("ld4r {v4.4s-v7.4s}, [x1]", "load_duplicate.x4"),
    ("str w4, [x1]", "store.gpr"),
    ("str d4, [x1]", "store.64"),
    ("str q4, [x1]", "store.128"),
    ("stp x4, x5, [x1]", "store_pair.gpr64"),
    ("stp q4, q5, [x1]", "store_pair.128"),
    ("st1 {v4.4s, v5.4s}, [x1]", "store_multiple.128x2"),
    ("st4 {v4.4s-v7.4s}, [x1]", "store_interleaved.128x4"),
    ("st1 {v4.s}[3], [x1]", "store_lane.x1"),
    ("st2 {v4.h, v5.h}[6], [x1]", "store_lane.x2"),
]


def test_accesses_are_decoded_to_their_rows(tmp_path: Path) -> None:
    rows = table("rpi3")
    kernels = [Kernel(chain(access), setup="mov x2, #8") for access, _ in ACCESSES]
    found = cycles("rpi3", kernels, tmp_path / "p")
    wrong = {}
    for (access, row), cost in zip(ACCESSES, found, strict=True):
        expected = int(rows[row][4])
        # Beside the loop: new lines and pages, where the address moves on.
        if not expected <= cost / CHAIN <= expected + 0.4:
            wrong[access] = (row, expected, cost / CHAIN)
    assert wrong == {}


# Sizes that miss the L1 but neither the L2 nor the first TLB.
L2_SIZE = {"rpi3": 40 << 10, "rpi4": 64 << 10, "rpi5": 128 << 10}


@pytest.mark.parametrize("target", TARGETS)
def test_load_to_use_from_l2_and_dram(target: str, tmp_path: Path) -> None:
    from_l2 = pointer_chase(L2_SIZE[target], 64, warm=True)
    # Each load from another page and another set. The list is made outside of regions, so that
    # no cache has it.
    from_dram = pointer_chase(4160 * 4096, 4160, warm=False)
    kernels = [from_l2, from_dram]
    found = regions(target, kernels, tmp_path / "p")
    costs = [r.cycles / k.iterations / CHAIN for r, k in zip(found, kernels, strict=True)]
    beyond_first = GUIDE[target]["load"] - 1
    assert costs[0] == pytest.approx(parameter(target, "l2_latency") + beyond_first, rel=0.05)
    walk = parameter(target, "tlb_penalty") + parameter(target, "tlb2_penalty")
    assert costs[1] == pytest.approx(
        parameter(target, "dram_latency") + walk + beyond_first, rel=0.05
    )
    assert found[0].l1_misses == pytest.approx(from_l2.iterations * CHAIN, rel=0.01)
    assert found[0].l2_misses < 10
    assert found[1].l2_misses == pytest.approx(from_dram.iterations * CHAIN, rel=0.01)


def copy(size: int, repeats: int) -> Kernel:
    """Copies ``size`` bytes ``repeats`` times, 64 bytes at once."""
    body = """
    mov x1, x0
    mov x2, x5
    mov x4, x6
3:  ldp q0, q1, [x1]
    ldp q2, q3, [x1, #32]
    add x1, x1, #64
    stp q0, q1, [x2]
    stp q2, q3, [x2, #32]
    add x2, x2, #64
    subs x4, x4, #1
    b.ne 3b
"""
    setup = f"ldr x6, ={size // 64}\n ldr x5, ={size}\n add x5, x0, x5"
    return Kernel(body, iterations=repeats, setup=setup)


# Bytes copied a cycle, 10 % either way. In L1 it is instructions: 18 cycles for 64 bytes on A53
# (a 128-bit access takes two), 8 on A72 (4 stores of two 64-bit halves each), 4 on A76.
COPY = {
    "rpi3": {"l1": 3.3, "l2": 3.2, "stream": 0.52},
    "rpi4": {"l1": 7.5, "l2": 4.0, "stream": 0.70},
    "rpi5": {"l1": 14.6, "l2": 10.6, "stream": 2.13},
}


@pytest.mark.parametrize("target", TARGETS)
def test_copies(target: str, tmp_path: Path) -> None:
    sizes = {"l1": 4 << 10, "l2": 96 << 10, "stream": 8 << 20}
    kernels = [copy(sizes["l1"], 32), copy(sizes["l2"], 4), copy(sizes["stream"], 1)]
    found = cycles(target, kernels, tmp_path / "p")
    rates = {name: size / cost for (name, size), cost in zip(sizes.items(), found, strict=True)}
    assert rates == pytest.approx(COPY[target], rel=0.1)


@pytest.mark.parametrize("target", TARGETS)
def test_mispredicted_branches(target: str, tmp_path: Path) -> None:
    random = Kernel(RANDOM_BIT, iterations=4000, setup="mov x5, #12345\n mov x7, #-1")
    never = Kernel(RANDOM_BIT, iterations=4000, setup="mov x5, #12345\n mov x7, #0")
    surprised, expected = regions(target, [random, never], tmp_path / "p")
    assert 0.45 < surprised.mispredicts / 4000 < 0.55
    assert expected.mispredicts < 30
    lost = (surprised.cycles - expected.cycles) / (surprised.mispredicts - expected.mispredicts)
    penalty = parameter(target, "mispredict_penalty")
    # On A53 the end of an issue group is hidden, on the others the pipeline has to fill again.
    assert penalty - 1 <= lost <= penalty + 5
