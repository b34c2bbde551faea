"""An order of instructions in which the in-order Cortex-A53 does them in few cycles.

For short straight pieces of vector code. A cycle starts two instructions, whose halves of the
vector datapath are at most two and of which one accesses memory, see docs/board-model.md. What most
cycles depend on goes first, but also what is first as given. The order found so is then gone
through from its end, where each instruction goes as late as it can, and from the beginning again
(Li and Willis, An iterative scheduling technique, 1992): codes of two bits of 160 sums take 118
cycles instead of 120.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLOTS, HALVES = 2, 2
WEIGHTS = (2, 3, 5)  # of a cycle that depends, in places of the given order; the best one is taken
ROUNDS = 2  # from the end and from the beginning; more change nothing

Edges = list[dict[int, int]]  # of each instruction those that it depends on, by how many cycles


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
    after = _turned(before)
    heights = _heights(instructions, before)
    found = []
    for weight in WEIGHTS:
        places = {i: i - weight * height for i, height in enumerate(heights)}
        order = _issue(instructions, before, sorted(places, key=places.__getitem__))
        found.append(order)
        for edges in (after, before) * ROUNDS:
            starts = order[0]
            latest_first = sorted(starts, key=starts.__getitem__, reverse=True)
            order = _issue(instructions, edges, latest_first)
            if edges is before:
                found.append(order)
    starts, cycles = min(found, key=lambda one: one[1])
    return [instructions[i].text for i in starts], cycles


def _issue(
    instructions: Sequence[Instruction], edges: Edges, waiting: list[int]
) -> tuple[dict[int, int], int]:
    """Cycle by cycle what can start, the first of those that wait before others.

    When each starts, in the order in which they do, and how many cycles all take.
    """
    issued: dict[int, int] = {}
    cycle = 0
    while waiting:
        slots, halves, memory = SLOTS, HALVES, 1
        for i in list(waiting):
            one = instructions[i]
            is_ready = all(j in issued and issued[j] + d <= cycle for j, d in edges[i].items())
            free = slots == SLOTS if one.cycles > 1 else slots
            if is_ready and free and one.halves <= halves and one.memory <= memory:
                slots, halves, memory = slots - 1, halves - one.halves, memory - one.memory
                issued[i] = cycle
                waiting.remove(i)
                if one.cycles > 1:
                    slots, cycle = 0, cycle + one.cycles - 1
        cycle += 1
    return issued, cycle


def _turned(before: Edges) -> Edges:
    """Of each instruction, those that depend on it."""
    after: Edges = [{} for _ in before]
    for i, edges in enumerate(before):
        for j, delay in edges.items():
            after[j][i] = delay
    return after


def _dependences(instructions: Sequence[Instruction]) -> Edges:
    """Of each instruction, those before it that it depends on."""
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    found: Edges = []
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


def _heights(instructions: Sequence[Instruction], before: Edges) -> list[int]:
    """Cycles from each instruction to the end, at least."""
    heights = [one.latency for one in instructions]
    for i in reversed(range(len(instructions))):
        for j, delay in before[i].items():
            heights[j] = max(heights[j], heights[i] + delay)
    return heights
