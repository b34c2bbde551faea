"""A chunk's instructions in the order in which an in-order core, the Cortex-A53, does them best.

A 128-bit instruction takes both 64-bit halves of the datapath, a cycle; `ldr q` two. So loads are
cut into halves that take one half of it each, one of them from memory, one from an integer
register (`ins`), whose own load is free beside a 128-bit instruction; two such halves share a
cycle. P = 4: 6 cycles for the loads of 48 instructions; 8 with `ldr d` for all vectors' lower half.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_ops.operators._bitserial_chunk import VECTORS, Load, Operation

if TYPE_CHECKING:
    from tvm_ops.operators._bitserial_asm import Assembly

LATENCY, LOAD, LOAD_INTEGER, LOAD_WHOLE = 3, 4, 3, 5  # cycles


@dataclass(eq=False)
class Half:
    """What fills half a register: ``low`` before the upper one, from memory or integer ``source``.

    ``source`` is given once its load is issued, and there in cycle ``ready``.
    """

    load: Load
    low: bool
    from_memory: bool
    source: str = ""
    ready: int = 0


class InOrder:
    """``lines``; a cycle at a time, with the model of docs/board-model.md."""

    def __init__(
        self,
        assembly: Assembly,
        first: Sequence[Load],
        operations: Sequence[Operation],
        integers: Sequence[str],
    ) -> None:
        self.assembly, self.operations = assembly, operations
        self.integers = deque(integers)
        self.lines: list[str] = []
        self.cycle = self.position = 0
        self.ready: dict[int, int] = {}
        self.first = deque(first)
        self.blocked = {load.register: 2 for load in first}
        self.memory: deque[Half] = deque()
        self.inserts: deque[Half] = deque()
        # Lower halves of so many vectors come from memory that both kinds are as many.
        self.lower = max(0, min(VECTORS, (2 * VECTORS - assembly.chunk.pixels) // 2))
        loads = [load for o in operations for load in o.frees]
        self.halves = {id(load): self._halves(load) for load in loads}
        self.coming = deque(h for load in loads for h in self.halves[id(load)] if not h.from_memory)
        while self.position < len(operations):
            self._issue()
        while self.memory or self.inserts:
            self._finish()

    def _halves(self, load: Load) -> list[Half]:
        if not load.weights:
            return [Half(load, True, True)]
        from_memory = load.index >= VECTORS - self.lower
        return [Half(load, True, from_memory), Half(load, False, False)]

    def _issue(self) -> None:
        """One cycle."""
        operation = self.operations[self.position]
        is_ready = self._is_ready(operation)
        memory = self.memory[0] if self.memory and not self._comes_later(self.memory[0]) else None
        insert = next((h for h in self.inserts if self._insertable(h)), None)
        urgent = any(h and self._distance(h.load) < 6 for h in (memory, insert))
        if self.first and not is_ready:
            self._load_first()
            return
        if (memory and insert) or ((memory or insert) and (urgent or not is_ready)):
            self._fill(memory)
            self._fill(insert)
            if not memory:
                self._fill(next((h for h in self.inserts if self._insertable(h)), None))
        elif is_ready:
            self._operate(operation)
            self._load_integer()
        else:
            self._load_integer()
        self.cycle += 1

    def _comes_later(self, half: Half) -> bool:
        """Whether the pointer that it moves on has words for the first step before."""
        return bool(self.first) and self.assembly.chunk.shared and not half.load.weights

    def _finish(self) -> None:
        """One cycle after all operations, for loads that others are to find done."""
        self._fill(self.memory[0] if self.memory else None)
        self._fill(next((h for h in self.inserts if self._insertable(h)), None))
        self._load_integer()
        self.cycle += 1

    def _load_first(self) -> None:
        load = self.first.popleft()
        self.lines.append(self.assembly.whole(load))
        cycles = 2 if load.weights else 1
        self.blocked.pop(load.register)
        self.ready[load.register] = self.cycle + (LOAD_WHOLE if load.weights else LOAD)
        self.cycle += cycles

    def _is_ready(self, operation: Operation) -> bool:
        return all(
            r not in self.blocked and self.ready.get(r, 0) <= self.cycle for r in operation.reads
        )

    def _operate(self, operation: Operation) -> None:
        self.lines.append(operation.text)
        self.ready[operation.writes] = self.cycle + LATENCY
        self.position += 1
        for load in operation.frees:
            halves = self.halves[id(load)]
            self.blocked[load.register] = len(halves)
            for half in halves:
                (self.memory if half.from_memory else self.inserts).append(half)

    def _insertable(self, half: Half) -> bool:
        """Whether its source is there, and, for an upper half, the lower one."""
        if not half.source or half.ready > self.cycle:
            return False
        register = half.load.register
        return half.low or (
            self.blocked[register] == 1 and self.ready.get(register, 0) <= self.cycle
        )

    def _fill(self, half: Half | None) -> None:
        """Issues a half."""
        if half is None:
            return
        register = half.load.register
        if half.from_memory:
            self.memory.remove(half)
            at = self.assembly.weights_at(half.load)
            whole = self.assembly.whole(half.load)
            self.lines.append(f"ldr d{register}, {at}" if half.load.weights else whole)
            self.ready[register] = self.cycle + LOAD
        else:
            self.inserts.remove(half)
            self.integers.append(half.source)
            self.lines.append(f"ins v{register}.d[{0 if half.low else 1}], {half.source}")
            self.ready[register] = self.cycle + LATENCY
        self.blocked[register] -= 1
        if not self.blocked[register]:
            del self.blocked[register]

    def _load_integer(self) -> None:
        """Beside a 128-bit instruction."""
        if not (self.coming and self.integers):
            return
        half = self.coming.popleft()
        half.source, half.ready = self.integers.popleft(), self.cycle + LOAD_INTEGER
        at = self.assembly.weights_at(half.load, 0 if half.low else 1)
        self.lines.append(f"ldr {half.source}, {at}")

    def _distance(self, load: Load) -> int:
        """Instructions before the next one that reads a register."""
        coming = self.operations[self.position : self.position + 8]
        for i, operation in enumerate(coming):
            if load.register in operation.reads:
                return i
        return len(coming)
