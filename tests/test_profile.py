"""Profiles: what instructions wait for, hot code and loops, disassembly."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from micro_kernels import (
    CHAIN,
    COMPILER,
    RANDOM_BIT,
    Kernel,
    build,
    chain,
    independent,
    pointer_chase,
    regions,
)

from tvm_ops.board_model import Region, execute
from tvm_ops.board_model.hot_code import HOT_BLOCKS, hot_loop
from tvm_ops.board_model.waits import CAUSES, by_cause, by_detail
from tvm_ops.disassembly import Disassembly, disassemble
from tvm_ops.profile_block import read_block
from tvm_ops.targets import get_target

TARGETS = ["rpi3", "rpi4", "rpi5"]
FOUR_RANDOM_BITS = RANDOM_BIT.replace(
    "    nop\n4:\n",
    "".join(f"    nop\n4:  tbnz x6, #{bit}, 4f\n" for bit in (9, 14, 19, 25)) + "    nop\n4:\n",
)
STORES = "str q0, [x1]\n str q0, [x1, #64]\n add x1, x1, #1, lsl #12\n add x1, x1, #64"
DIVISIONS = (
    "udiv x4, x1, x2\n fdiv v1.4s, v2.4s, v3.4s\n ldp q6, q7, [x1]\n st1 {v6.4s-v7.4s}, [x2]"
)
ADDITIONS = independent("add v{d}.2s, v1.2s, v2.2s", 4)
KERNELS = {
    "dependent": Kernel(chain("fmla v0.4s, v1.4s, v2.4s")),
    "one pipe": Kernel(chain(independent("fmla v{d}.4s, v1.4s, v2.4s"), 5)),
    "chase": pointer_chase(1024 * 4160, 4160, warm=False),
    "chase in L2": pointer_chase(128 << 10, 64, warm=True),
    "random": Kernel(FOUR_RANDOM_BITS, iterations=1000, setup="mov x5, #12345\n mov x7, #-1"),
    "nothing": Kernel(chain("nop", 64)),
    "stores": Kernel(STORES, iterations=400, warm=False),
    "loads, then sums": Kernel("ldr q1, [x1]\n add x1, x1, #832\n fadd v0.4s, v0.4s, v1.4s",
                               iterations=400, warm=False),
    "divisions": Kernel(DIVISIONS),
    "data through pipes": Kernel(chain(f"ld1r {{v4.4s}}, [x1]\n {ADDITIONS}")),
    "data of ld4": Kernel("ld4 {v4.4s-v7.4s}, [x1]\n add x1, x1, #832\n fadd v0.4s, v0.4s, v4.4s",
                          iterations=400, setup="add x1, x1, #1024, lsl #12", warm=False),
}  # fmt: skip


@pytest.fixture(scope="module", params=TARGETS)
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Region, Region]]:
    """Of each kernel the region of a plain run and that of a profile."""
    path, kernels = tmp_path_factory.mktemp("profile") / "p", list(KERNELS.values())
    plain = regions(request.param, kernels, path)
    profiled = regions(request.param, kernels, path, hot_blocks=HOT_BLOCKS, profile=True)
    return dict(zip(KERNELS, zip(plain, profiled, strict=True), strict=True))


def shares(region: Region) -> dict[str, float]:
    """Of the causes, of the whole region."""
    waits = [waits for block in region.hot_blocks for waits in block.instruction_waits]
    return {cause: cycles / region.cycles for cause, cycles in by_cause(waits).items()}


def details(region: Region) -> list[str]:
    """The detailed causes, the longest first."""
    return list(by_detail(w for block in region.hot_blocks for w in block.instruction_waits))


def test_a_profile_changes_no_figure(runs: dict[str, tuple[Region, Region]]) -> None:
    for name, (plain, profiled) in runs.items():
        assert replace(profiled, hot_blocks=[]) == plain, name


def test_sums_add_up(runs: dict[str, tuple[Region, Region]]) -> None:
    for name, (_, region) in runs.items():
        blocks = region.hot_blocks
        assert sum(block.cycles for block in blocks) == region.cycles, name
        for level in ("l1_misses", "l2_misses"):
            assert sum(getattr(b, level) for b in blocks) == getattr(region, level), name
        for block in blocks:
            assert len(block.instruction_waits) == block.instructions
            assert sum(w.cycles for w in block.instruction_waits) == block.cycles, name
            assert sum(w.l1_misses for w in block.instruction_waits) == block.l1_misses, name
            assert all(w.register_cycles <= w.cycles for w in block.instruction_waits), name
    known = {detail for names in CAUSES.values() for detail in names}
    assert {d for _, region in runs.values() for d in details(region)} <= known


def test_causes(runs: dict[str, tuple[Region, Region]]) -> None:
    found = {name: region for name, (_, region) in runs.items()}
    out_of_order = found["nothing"].cycles < 200 * 64 / 2.5  # more than two a cycle
    # Of four cycles of the A53, one is the instruction's own.
    assert shares(found["dependent"])["operand"] > (0.95 if out_of_order else 0.7)
    assert found["dependent"].hot_blocks[0].instruction_waits[5].register == "v0"
    assert shares(found["one pipe"])["port"] > 0.95
    assert shares(found["chase"])["memory"] > 0.95
    assert details(found["chase"])[0] == "dram"
    assert shares(found["random"])["front end"] > 0.5
    assert details(found["random"])[0] == "branch"
    assert shares(found["nothing"])["front end" if out_of_order else "port"] > 0.9
    if out_of_order:  # there is room for more but in the pipes
        assert shares(found["data through pipes"])["port"] > 0.7
        assert shares(found["data of ld4"])["memory"] > 0.7
    assert shares(found["stores"])["memory"] > 0.85
    assert details(found["stores"])[0] == "store_buffer"


def test_memory_has_levels(runs: dict[str, tuple[Region, Region]]) -> None:
    region = runs["chase in L2"][1]
    assert details(region)[0] == "l2"
    assert shares(region)["memory"] > 0.6
    load = region.hot_blocks[0].instruction_waits[1]
    assert load.register == "x0"
    assert load.l1_misses == pytest.approx(region.hot_blocks[0].executions, rel=0.01)
    assert load.l2_misses == 0


def test_who_uses_a_late_load_waits_for_memory(runs: dict[str, tuple[Region, Region]]) -> None:
    region = runs["loads, then sums"][1]
    (loop,) = hot_loop(region.hot_blocks)
    load, _, total, *_ = loop.instruction_waits
    assert load.l1_misses > 0.8 * loop.executions
    waits = by_cause([load, total])
    assert waits["memory"] > 0.8 * loop.cycles
    if total.cycles > load.cycles:  # in order: the load is done with when it has been issued
        assert total.register == "v1"
        assert next(iter(by_detail([total]))) == "dram"


def test_peak_rates(runs: dict[str, tuple[Region, Region]]) -> None:
    """Of independent instructions, as many start in a cycle as the profile says is possible."""
    region = runs["one pipe"][1]
    (loop,) = hot_loop(region.hot_blocks)
    fmla = loop.instruction_waits[0].most_per_cycle
    assert fmla in (1, 2)
    assert 5 * CHAIN * loop.executions / loop.cycles == pytest.approx(fmla, rel=0.05)


def test_disassembly(tmp_path: Path) -> None:
    program = build([KERNELS["dependent"]], tmp_path / "p")
    code = disassemble(program, get_target("rpi4"))
    address = next(a for a, text in code.instructions.items() if text.startswith("fmla"))
    assert code.instructions[address] == "fmla v0.4s, v1.4s, v2.4s"
    assert code.place(address) == ("warm0", 0)
    assert code.place(address + 8) == ("warm0", 8)
    assert code.place(4) == ("", 4)
    assert not code.has_frame_pointer(address)
    framed = Disassembly({0: "nop", 4: "mov x29, sp", 8: "nop"}, {0: "f", 4: "g", 8: "h"})
    assert [framed.has_frame_pointer(a) for a in (0, 4, 8, 12)] == [False, True, False, False]


COPY = """
#include <string.h>
#include "tvm_ops_region.h"
static char from[1 << 18], to[1 << 18];
int main(void) {
  tvm_ops_region_start(); memcpy(to, from, sizeof to); tvm_ops_region_stop(0);
  return to[1];
}
"""


def test_library_code_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "p.c").write_text(COPY)
    command = [COMPILER, "-O1", "-fno-builtin", "-static", f"-I{ROOT / 'tvm_ops/runtime'}", "p.c"]
    subprocess.run([*command, "-o", "p"], cwd=tmp_path, check=True)
    target = get_target("rpi4")
    done = execute(target, [str(tmp_path / "p")], marked=True, hot_blocks=9, profile=True)
    code = disassemble(tmp_path / "p", target)
    hottest = read_block(done.regions[0].hot_blocks[0], done.regions[0], code)
    assert "memcpy" in hottest.function
    assert hottest.share > 0.9
    assert any(i.mnemonic == "ldp" for i in hottest.instructions)
    assert hottest.causes["memory"] > 0.9 * hottest.hot.cycles
