"""The hot code of a region: how large it is, and which blocks are its costliest loop."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tvm_ops.board_model.execute import HotBlock, Region

HOT_BLOCKS = 2000
"""Enough of ``execute``'s ``hot_blocks`` for what is here: a kernel runs through some hundreds."""

# Branches within a function: mask and value of the word, where the offset begins, its bits.
_BRANCHES = [
    (0xFF000010, 0x54000000, 5, 19),  # b.cond
    (0x7E000000, 0x34000000, 5, 19),  # cbz, cbnz
    (0x7E000000, 0x36000000, 5, 14),  # tbz, tbnz
    (0xFC000000, 0x14000000, 0, 26),  # b
]


def hot_code_bytes(region: Region, share: float = 0.99) -> int:
    """Bytes of the instructions of the costliest blocks that make up ``share`` of the cycles.

    Code that is in two blocks counts once. For a region of a run with ``hot_blocks=HOT_BLOCKS``; no
    profile is needed. Raises ``ValueError`` where the listed blocks make up less than the share.
    """
    counted, missing = [], share * region.cycles
    for block in sorted(region.hot_blocks, key=lambda block: -block.cycles):
        if missing <= 0:
            break
        counted.append((block.address, block.end))
        missing -= block.cycles
    if missing > 0:
        raise ValueError(f"{len(counted)} hot blocks are less than {share:.0%} of the cycles")
    total, covered = 0, 0
    for start, end in sorted(counted):
        total += max(0, end - max(start, covered))
        covered = max(covered, end)
    return total


def branch_target(block: HotBlock) -> int | None:
    """Where the branch at the block's end goes if taken; None: no branch, a call or an indirect."""
    (word,) = struct.unpack("<I", block.code[-4:])
    for mask, value, low, bits in _BRANCHES:
        if word & mask == value:
            offset = word >> low & ((1 << bits) - 1)
            offset -= offset >> (bits - 1) << bits
            return block.end - 4 + 4 * offset
    return None


def hot_loop(blocks: Sequence[HotBlock]) -> list[HotBlock]:
    """The blocks of the loop with the most cycles, in the order of their addresses.

    A loop is what lies between a branch backwards, in the same function, and its target; what is
    in a loop inside of it is that one's. Empty if no block is in a loop.
    """
    starts = {(block.address, block.symbol) for block in blocks}
    loops = set()
    for block in blocks:
        target = branch_target(block)
        if target is not None and target < block.end and (target, block.symbol) in starts:
            loops.add((target, block.end))
    members: dict[tuple[int, int], list[HotBlock]] = {}
    for block in sorted(blocks, key=lambda block: block.address):
        around = [loop for loop in loops if loop[0] <= block.address and block.end <= loop[1]]
        if around:
            members.setdefault(min(around, key=lambda loop: loop[1] - loop[0]), []).append(block)
    return max(members.values(), key=lambda loop: sum(b.cycles for b in loop), default=[])
