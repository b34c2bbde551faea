"""Hot code: its size, its loops, its accesses of the stack, the sentence on a block."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tvm_ops.board_model import HotBlock, Region
from tvm_ops.board_model.hot_code import branch_target, hot_code_bytes, hot_loop
from tvm_ops.board_model.waits import InstructionWaits
from tvm_ops.profile_block import Block, Instruction, stack_accesses, until


def block(address: int, words: list[int], cycles: int = 0, symbol: str = "f") -> HotBlock:
    return HotBlock(address, symbol, 1, cycles, 0, 0, struct.pack(f"<{len(words)}I", *words))


NOP, RET = 0xD503201F, 0xD65F03C0


def region_of(blocks: list[HotBlock], cycles: int) -> Region:
    return Region(0, cycles, 0.0, 0, 0, 0, 0, 0, 0, 0, blocks)


def test_bytes_of_hot_code() -> None:
    inner, outer = block(0x100, [NOP] * 4, 700), block(0xF0, [NOP] * 8, 250)
    other, rare = block(0x200, [NOP] * 2, 41), block(0x300, [NOP] * 100, 9)
    region = region_of([rare, other, outer, inner], 1000)
    assert hot_code_bytes(region, 0.7) == 16
    assert hot_code_bytes(region, 0.95) == 32  # the inner one is part of the outer one
    assert hot_code_bytes(region) == 40
    assert hot_code_bytes(region, 1.0) == 440
    with pytest.raises(ValueError, match="less than 99%"):
        hot_code_bytes(region_of([inner], 1000))


@pytest.mark.parametrize(
    ("word", "target"),
    [
        (0x54FFFF81, 0xF4),  # b.ne -16
        (0x54000081, 0x114),  # b.ne +16
        (0xB5FFFFE0, 0x100),  # cbnz x0, -4
        (0x3607FFC0, 0xFC),  # tbz w0, #0, -8
        (0x17FFFFFD, 0xF8),  # b -12
        (0x94000002, None),  # bl
        (RET, None),
        (NOP, None),
    ],
)
def test_where_branches_go(word: int, target: int | None) -> None:
    assert branch_target(block(0x100, [NOP, word])) == target


def test_the_hot_loop() -> None:
    back = {n: 0x54000001 | (-n & 0x7FFFF) << 5 for n in (1, 3, 11)}  # b.ne, n words back
    prologue = block(0x0F8, [NOP, NOP], 500)
    head = block(0x100, [NOP, NOP], 40)  # of the outer loop
    inner_head, inner = block(0x108, [NOP, NOP], 30), block(0x110, [NOP, back[3]], 60)
    tail = block(0x118, [NOP] * 5 + [back[11]], 45)
    other = block(0x130, [NOP, back[1]], 85, symbol="g")
    everything = [inner, tail, prologue, head, other, inner_head]
    assert hot_loop(everything) == [inner_head, inner]
    assert hot_loop([*everything, block(0x140, [NOP, back[1]], 99)]) != [inner_head, inner]
    assert hot_loop([prologue]) == []
    assert hot_loop([]) == []


def instruction(text: str, **waits: int) -> Instruction:
    return Instruction(0, text, InstructionWaits(waits, None, 0, 0, 0, 1.0))


def of(*instructions: Instruction, frame_pointer: bool = False) -> Block:
    cycles = sum(i.waits.cycles for i in instructions)
    hot = replace(block(0, [NOP] * len(instructions), cycles), executions=10)
    return Block(hot, "f", 0, 0.61, list(instructions), frame_pointer)


def test_accesses_of_the_stack() -> None:
    texts = ["ldr q0, [sp, #16]", "stp x0, x1, [sp, #-16]!", "ldr q1, [x29, #32]", "mov x29, sp",
             "ldr q2, [x2]", "add x0, sp, #0x10", "ld1 {v0.4s}, [sp], #16"]  # fmt: skip
    on_stack = [texts[0], texts[1], texts[6]]
    assert stack_accesses(of(*map(instruction, texts))) == on_stack
    framed = of(*map(instruction, texts), frame_pointer=True)
    assert stack_accesses(framed) == [*texts[:3], texts[6]]


def test_the_sentence() -> None:
    fmla = "fmla v0.4s, v1.4s, v2.s[0]"
    busy = of(instruction(fmla, unit=10), instruction(fmla, unit=10))
    assert busy.sentence == (
        "61 % of the cycles; 1.00 fmla per cycle of a peak of 1; "
        "only fewer instructions would be faster"
    )
    waiting = of(instruction(fmla, unit=10, l2=1), instruction("ldr q1, [x1]", l2=9))
    assert waiting.sentence == (
        "61 % of the cycles; 0.50 fmla per cycle of a peak of 1; "
        "the loads wait for data from L2 (45 %)"
    )
    copying = of(instruction("add x1, x1, #16", operand=5, l2=2))
    assert copying.sentence.endswith(
        "1.43 instructions per cycle; add waits for a register that is being calculated (71 %)"
    )
    assert [b.share for b in until([busy, waiting, copying], 0.95, 8)] == [0.61, 0.61]
    assert until([busy, waiting], 0.95, 1) == [busy]
