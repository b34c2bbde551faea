"""The loop of an assembly tile for an in-order core, the Cortex-A53."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tvm_ops.operators._neon_registers import (
    HALVES,
    MOVE_ON,
    W_NEXT,
    X_NEXT,
    Load,
    Multiply,
    W,
    X,
)


@dataclass(eq=False)
class Refill:
    """A load in the two halves of an in-order core, and the cycles in which they were issued."""

    load: Load
    half: str = ""
    high: int | None = None
    low: int | None = None

    def done(self) -> Iterator[str]:
        """What of it has been issued."""
        if self.high is not None:
            yield self.load.high(self.half)
        if self.low is not None:
            yield self.load.low

    @property
    def state(self) -> tuple[Load, str, bool, bool]:
        """What the next iteration has to know of it."""
        return self.load, self.half, self.high is None, self.low is None

    def carried(self, cycles: int) -> Refill:
        """The same in the next iteration, whose bases have moved on and whose cycles start at 0."""
        base = {X_NEXT: X, W_NEXT: W}[self.load.base]
        load = Load(self.load.register, base, self.load.offset)
        shift = [None if c is None else c - cycles for c in (self.high, self.low)]
        return Refill(load, self.half, *shift)


class InOrder:
    """Issues multiplies in order, one a cycle, and beside them what the Cortex-A53 can pair.

    A 128-bit load takes two cycles alone. Instead: ``ldr x`` beside a multiply, then ``ldr d`` and
    the ``ins`` of an earlier operand together in one cycle. What is not complete at the end of an
    iteration is completed in the next one.
    """

    # Cycles from issue to use (core's table): ldr d, ldr x, ins.
    low_latency, high_latency, insert_latency = 4, 3, 3
    depth = 2  # loads between their two halves
    urgent = 3  # multiplies before the next use at which a load no longer waits for a partner

    def __init__(
        self,
        multiplies: Sequence[Multiply],
        advance: Sequence[str],
        carried: Sequence[Refill],
        ready: dict[int, int],
    ) -> None:
        self.multiplies = multiplies
        self.refills = [Refill(load) for m in self.multiplies for load in m.frees]
        self.started = [*carried, *self.refills]
        self.freed = deque(r for r in carried if r.low is None)
        self.halfway = deque(r for r in carried if r.low is not None)
        self.coming = deque([r for r in carried if r.high is None] + self.refills)
        taken = {r.half for r in carried}
        self.halves = deque(h for h in HALVES if h not in taken)
        self.blocked = {r.load.register for r in carried}
        self.pending = {r.load.register: replace(r) for r in carried}
        self.ready = dict(ready)
        self.cycle, self.position = 0, 0
        self.lines: list[str] = []
        self.advance = deque(advance)
        self.move_on = deque(MOVE_ON)
        following = iter(self.refills)
        while self.position < len(self.multiplies):
            self._issue(following)
        self.lines += self.move_on

    @classmethod
    def steady(cls, multiplies: Sequence[Multiply], advance: Sequence[str]) -> InOrder | None:
        """An iteration that ends in the state in which it began; the first that repeats.

        None where none does: iterations of a dozen multiplies, shorter than a load takes.
        """
        carried: list[Refill] = []
        ready: dict[int, int] = {}
        for _ in range(20):
            state = [refill.state for refill in carried]
            schedule = cls(multiplies, advance, carried, ready)
            carried = [r.carried(schedule.cycle) for r in (*schedule.halfway, *schedule.freed)]
            ready = {r: max(0, c - schedule.cycle) for r, c in schedule.ready.items()}
            if [refill.state for refill in carried] == state:
                return None if schedule.advance else schedule
        return None

    def start(
        self, loads: Sequence[Load], bias: Sequence[str], accumulators: Sequence[str]
    ) -> Iterator[str]:
        """What comes before the first iteration; ``loads`` are of all its first operands."""
        whole = [load for load in loads if load.register not in self.pending]
        # Pixels may be far away: they are asked for first, and nothing waits for them yet.
        yield from (load.whole for load in whole if load.base == X)
        for refill in self.pending.values():
            yield from refill.done()
        yield from bias
        taken = {refill.half for refill in self.pending.values()}
        halves = [h for h in (*HALVES, X_NEXT, W_NEXT) if h not in taken]
        weights = [load for load in whole if load.base == W]
        yield from _interleaved(weights, accumulators, halves)

    def _issue(self, following: Iterator[Refill]) -> None:
        """One cycle."""
        multiply = self.multiplies[self.position]
        ready = all(
            r not in self.blocked and self.ready.get(r, 0) <= self.cycle
            for r in (multiply.weights, multiply.pixel)
        )
        insert = self._insertable()
        late = self.freed and self._distance(self.freed[0].load.register) < self.urgent
        wanted = insert or late or not ready or len(self.halfway) < self.depth
        if self.freed and self._has_base(self.freed[0]) and wanted:
            refill = self.freed.popleft()
            self.lines.append(refill.load.low)
            refill.low = self.cycle
            self.halfway.append(refill)
        elif ready and not (insert and self._distance(insert.load.register) < self.urgent):
            self.lines.append(multiply.text)
            for _ in multiply.frees:
                refill = next(following)
                self.freed.append(refill)
                self.blocked.add(refill.load.register)
            self.position += 1
            insert = None
        if insert:
            self.halfway.remove(insert)
            self.lines.append(insert.load.insert(insert.half))
            self.halves.append(insert.half)
            self.blocked.discard(insert.load.register)
            self.ready[insert.load.register] = self.cycle + self.insert_latency
        elif self.advance:
            self.lines.append(self.advance.popleft())
        elif self._is_last(2) and self.move_on:
            self.lines.append(self.move_on.popleft())
        elif self.coming and self._half(self.coming[0]) in self.halves:
            refill = self.coming.popleft()
            half = self._half(refill)
            self.halves.remove(half)
            refill.half, refill.high = half, self.cycle
            self.lines.append(refill.load.high(half))
        self.cycle += 1

    def _is_last(self, count: int) -> bool:
        """Whether at most so many multiplies are left, and no load from this block."""
        rest = [r for r in self.started if None in (r.low, r.high)]
        here = any(r.load.base in (X, W) for r in rest)
        return self.position + count >= len(self.multiplies) and not here

    def _has_base(self, refill: Refill) -> bool:
        """Whether its base is there: the next block's are what ``advance`` computes."""
        return not self.advance or refill.load.base in (X, W)

    def _half(self, refill: Refill) -> str:
        """In turn, so that iterations repeat; what is carried has the first ones."""
        if refill in self.refills:
            return HALVES[self.refills.index(refill) % len(HALVES)]
        return HALVES[0]

    def _insertable(self) -> Refill | None:
        """The oldest refill whose halves are both there."""
        for refill in self.halfway:
            if refill.low is None or refill.high is None:
                continue
            low_there = refill.low + self.low_latency <= self.cycle
            if low_there and refill.high + self.high_latency <= self.cycle:
                return refill
        return None

    def _distance(self, register: int) -> int:
        """Multiplies before the next one that reads a register."""
        coming = self.multiplies[self.position : self.position + 16]
        for i, multiply in enumerate(coming):
            if register in (multiply.weights, multiply.pixel):
                return i
        return 16


def _interleaved(loads: Sequence[Load], others: Sequence[str], halves: Sequence[str]) -> list[str]:
    """Loads in halves: an instruction of ``others`` beside each upper one.

    Upper halves wait in ``halves``, integer registers. An insertion is beside the lower half of the
    load after the next three, which takes four cycles.
    """
    coming = deque(others)
    lines: list[str] = []
    inserts: deque[str] = deque()
    for start in range(0, len(loads), len(halves)):
        lines += inserts
        inserts.clear()
        chunk = list(zip(loads[start : start + len(halves)], halves, strict=False))
        for load, half in chunk:
            lines.append(load.high(half))
            lines += [coming.popleft()] if coming else []
        for load, half in chunk:
            lines.append(load.low)
            inserts.append(load.insert(half))
            lines += [inserts.popleft()] if len(inserts) > 4 else []
    return [*lines, *coming, *inserts]
