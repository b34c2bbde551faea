"""What instructions waited for on the modelled board, as a profile has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CAUSES: dict[str, dict[str, str]] = {
    "operand": {"operand": "a register that is being calculated"},
    "port": {
        "issue": "a slot of the issue group",
        "unit": "a free unit or pipe",
        "queue": "an entry of the issue queue",
    },
    "memory": {
        "l2": "data from L2",
        "l3": "data from L3",
        "dram": "data from DRAM",
        "tlb": "address translation",
        "store_buffer": "an entry of the store buffer",
    },
    "front end": {
        "fetch": "dispatch (its width, or the end of a fetch group)",
        "branch": "the right path after a mispredicted branch",
        "reorder_buffer": "an entry of the reorder buffer",
    },
}
"""Each cause's details, by the names of ``Wait`` in plugin/waits.h, and what is waited for."""

_STACK_POINTER, _FLAGS, _FIRST_VECTOR = 32, 33, 64  # register numbers of plugin/operation.h


@dataclass(frozen=True)
class InstructionWaits:
    """One instruction of a block over all executions in a region.

    ``waits`` are cycles by detailed cause, without those that are 0; their sum is the instruction's
    part of the block's cycles. ``register`` is the one it waited for the longest, None if it
    waited for none; ``register_cycles`` how long. ``most_per_cycle`` is how many instructions of
    its kind the core can start in a cycle. Misses are those of its own accesses.
    """

    waits: Mapping[str, int]
    register: str | None
    register_cycles: int
    l1_misses: int
    l2_misses: int
    most_per_cycle: float

    @property
    def cycles(self) -> int:
        return sum(self.waits.values())


def read_waits(entry: Mapping[str, Any]) -> InstructionWaits:
    """An entry of the plugin's report."""
    return InstructionWaits(**{**entry, "register": _register_name(entry["register"])})


def _register_name(number: int) -> str | None:
    if number < 0:
        return None
    if number >= _FIRST_VECTOR:
        return f"v{number - _FIRST_VECTOR}"
    return {_STACK_POINTER: "sp", _FLAGS: "flags"}.get(number, f"x{number}")


def by_cause(instructions: Iterable[InstructionWaits]) -> dict[str, int]:
    """Cycles by cause (operand, port, memory, front end) of several instructions together."""
    details = by_detail(instructions)
    return {
        cause: sum(details.get(detail, 0) for detail in names) for cause, names in CAUSES.items()
    }


def by_detail(instructions: Iterable[InstructionWaits]) -> dict[str, int]:
    """Cycles by detailed cause, the longest first, without those that are 0."""
    sums: dict[str, int] = {}
    for instruction in instructions:
        for detail, cycles in instruction.waits.items():
            sums[detail] = sums.get(detail, 0) + cycles
    return dict(sorted(sums.items(), key=lambda item: -item[1]))
