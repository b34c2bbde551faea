"""An order of instructions in which the in-order Cortex-A53 does them in few cycles.

For short straight pieces of vector code. A cycle starts two instructions, whose halves of the
vector datapath are at most two and of which one accesses memory, see docs/board-model.md. What most
cycles depend on goes first, but also what is first as given: codes of two bits of 160 sums take 125
cycles so, some more by one of both alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLOTS, HALVES = 2, 2
WEIGHTS = (5, 3)  # of a cycle that depends, in places of the given order; the better one is taken


@dataclass(frozen=True)
class Instruction:
    """``text`` with the registers that it ``reads`` and ``writes``, by any names.

    ``latency`` in cycles; ``halves`` of the vector datapath that it takes; ``memory``: whether it
    loads or stores; ``cycles`` that it takes alone, if they are more than one.
    """

    text: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    latency: int = 3
    halves: int = 2
    memory: bool = False
    cycles: int = 1


def in_order(instructions: Sequence[Instruction]) -> tuple[list[str], int]:
    """The texts in a new order, which computes the same, and how many cycles they take.

    Accesses of memory are taken to be of different places.
    """
    before = _dependences(instructions)
    heights = _heights(instructions, before)
    found = []
    for weight in WEIGHTS:
        places = [i - weight * height for i, height in enumerate(heights)]
        first = sorted(range(len(places)), key=places.__getitem__)
        found.append(_issue(instructions, before, first))
    return min(found, key=lambda order: order[1])


def _issue(
    instructions: Sequence[Instruction], before: list[dict[int, int]], waiting: list[int]
) -> tuple[list[str], int]:
    """Cycle by cycle what can start, the first of those that wait before others."""
    issued: dict[int, int] = {}
    texts: list[str] = []
    cycle = 0
    while waiting:
        slots, halves, memory = SLOTS, HALVES, 1
        for i in list(waiting):
            one = instructions[i]
            is_ready = all(j in issued and issued[j] + d <= cycle for j, d in before[i].items())
            free = slots == SLOTS if one.cycles > 1 else slots
            if is_ready and free and one.halves <= halves and one.memory <= memory:
                slots, halves, memory = slots - 1, halves - one.halves, memory - one.memory
                issued[i] = cycle
                texts.append(one.text)
                waiting.remove(i)
                if one.cycles > 1:
                    slots, cycle = 0, cycle + one.cycles - 1
        cycle += 1
    return texts, cycle


def _dependences(instructions: Sequence[Instruction]) -> list[dict[int, int]]:
    """Of each instruction, those before it that it depends on, and by how many cycles."""
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    found: list[dict[int, int]] = []
    for i, one in enumerate(instructions):
        before: dict[int, int] = {}
        for register in one.reads:
            if register in writer:
                before[writer[register]] = instructions[writer[register]].latency
        for register in one.writes:
            for j in readers.pop(register, []):
                before.setdefault(j, 0)
            if register in writer:
                before.setdefault(writer[register], 1)
        for register in one.writes:
            writer[register] = i
        for register in set(one.reads) - set(one.writes):
            readers.setdefault(register, []).append(i)
        found.append(before)
    return found


def _heights(instructions: Sequence[Instruction], before: list[dict[int, int]]) -> list[int]:
    """Cycles from each instruction to the end, at least."""
    heights = [one.latency for one in instructions]
    for i in reversed(range(len(instructions))):
        for j, delay in before[i].items():
            heights[j] = max(heights[j], heights[i] + delay)
    return heights
