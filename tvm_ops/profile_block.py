"""One hot block of a profile: its instructions as text, what they cost, and the sentence on it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tvm_ops.board_model.execute import HotBlock, Region
from tvm_ops.board_model.waits import CAUSES, InstructionWaits, by_cause, by_detail
from tvm_ops.disassembly import Disassembly

_WAITED_FOR = {name: text for details in CAUSES.values() for name, text in details.items()}
_MULTIPLY_ADDS = re.compile(
    r"(fmla|fmls|fmadd|fmsub|fnmadd|fnmsub|fmlal2?|mla|mls|[su]mlal2?|[su]dot|[su]?mmla)$"
)
_FOR_REGISTERS = {"operand", *CAUSES["memory"]}
_MANY = 0.2  # of the instructions: a block that is there for its multiply-adds
_BUSY = 0.95  # of the peak: nothing to gain but by fewer instructions


@dataclass(frozen=True)
class Instruction:
    """``text`` is mnemonic and operands."""

    address: int
    text: str
    waits: InstructionWaits

    @property
    def mnemonic(self) -> str:
        return self.text.split(" ")[0]

    @property
    def main_wait(self) -> str | None:
        """The detailed cause that took most of its cycles; None for an instruction for free."""
        return next(iter(by_detail([self.waits])), None)

    @property
    def waits_for(self) -> str:
        """The main wait and its percentage, with the register where it is one: ``l2 v3 80 %``."""
        if not self.main_wait:
            return ""
        share = 100 * self.waits.waits[self.main_wait] / self.waits.cycles
        register = self.waits.register if self.main_wait in _FOR_REGISTERS else None
        return " ".join(filter(None, [self.main_wait, register, f"{share:.0f} %"]))

    @property
    def kind(self) -> str:
        """Who waits, in a sentence: loads, stores, branches, or the mnemonic."""
        if self.mnemonic.startswith("ld"):
            return "loads"
        if self.mnemonic.startswith("st"):
            return "stores"
        if re.match(r"(b|bl|br|blr|b\..+|c?bn?z|cbnz|tbn?z|ret)$", self.mnemonic):
            return "branches"
        return self.mnemonic


@dataclass(frozen=True)
class Rate:
    """How often a kind of instruction starts in a cycle, and how often it could."""

    mnemonic: str
    per_cycle: float
    peak: float


@dataclass(frozen=True)
class Block:
    """A straight-line piece of code, ``offset`` bytes into ``function``; ``share`` of the cycles.

    ``frame_pointer``: x29 points to the function's stack frame, not to anything else.
    """

    hot: HotBlock
    function: str
    offset: int
    share: float
    instructions: list[Instruction]
    frame_pointer: bool

    @property
    def place(self) -> str:
        return f"{self.function}+{self.offset:#x}" if self.function else f"{self.offset:#x}"

    @property
    def causes(self) -> dict[str, int]:
        """Cycles by cause."""
        return by_cause(instruction.waits for instruction in self.instructions)

    @property
    def rate(self) -> Rate | None:
        """Of the multiply-adds that the block has most of; None if they are few."""
        adds = [i for i in self.instructions if _MULTIPLY_ADDS.match(i.mnemonic)]
        if len(adds) < _MANY * len(self.instructions):
            return None
        ((mnemonic, count),) = Counter(i.mnemonic for i in adds).most_common(1)
        peak = max(i.waits.most_per_cycle for i in adds if i.mnemonic == mnemonic)
        return Rate(mnemonic, count * self.hot.executions / max(self.hot.cycles, 1), peak)

    @property
    def longest_wait(self) -> tuple[str, str, float]:
        """Who waits the longest, for what, and the part of the block's cycles that it takes.

        The cycles that multiply-adds take at their peak rate are no wait.
        """
        waits: Counter[tuple[str, str]] = Counter()
        for instruction in self.instructions:
            for detail, cycles in instruction.waits.waits.items():
                waits[instruction.kind, detail] += cycles
            if self.rate and instruction.mnemonic == self.rate.mnemonic:
                own = round(self.hot.executions / self.rate.peak)
                for detail in CAUSES["port"]:
                    part = min(own, instruction.waits.waits.get(detail, 0))
                    waits[instruction.kind, detail] -= part
                    own -= part
        ((kind, detail), cycles) = waits.most_common(1)[0]
        return kind, detail, cycles / max(self.hot.cycles, 1)

    @property
    def sentence(self) -> str:
        """What a person should know of the block first."""
        parts = [f"{100 * self.share:.0f} % of the cycles"]
        if self.rate:
            parts.append(
                f"{self.rate.per_cycle:.2f} {self.rate.mnemonic} per cycle "
                f"of a peak of {self.rate.peak:g}"
            )
            if self.rate.per_cycle >= _BUSY * self.rate.peak:
                return "; ".join([*parts, "only fewer instructions would be faster"])
        else:
            parts.append(f"{self.hot.instructions_per_cycle:.2f} instructions per cycle")
        kind, detail, part = self.longest_wait
        who = f"the {kind} wait" if kind in ("loads", "stores", "branches") else f"{kind} waits"
        return "; ".join([*parts, f"{who} for {_WAITED_FOR[detail]} ({100 * part:.0f} %)"])

    def to_json(self) -> dict[str, Any]:
        hot = self.hot
        return {
            "place": self.place,
            "address": hot.address,
            "sentence": self.sentence,
            "share": self.share,
            "executions": hot.executions,
            "cycles": hot.cycles,
            "instructions_per_cycle": hot.instructions_per_cycle,
            "l1_misses": hot.l1_misses,
            "l2_misses": hot.l2_misses,
            "causes": self.causes,
            "stack_accesses": stack_accesses(self),
            "instructions": [
                {"address": i.address, "text": i.text, "cycles": i.waits.cycles, **asdict(i.waits)}
                for i in self.instructions
            ],
        }


def stack_accesses(block: Block) -> list[str]:
    """The loads and stores whose address is formed from sp, or from x29 where that is the frame's.

    Not those through another register that was calculated from one of the two.
    """
    bases = "sp|x29" if block.frame_pointer else "sp"
    memory = re.compile(rf"(ld|st|cas|swp)\S* .*\[({bases})\b")
    return [i.text for i in block.instructions if memory.match(i.text)]


def read_block(hot: HotBlock, region: Region, code: Disassembly) -> Block:
    """A block of a profile with its place and text."""
    addresses = range(hot.address, hot.end, 4)
    instructions = [
        Instruction(address, code.instructions.get(address, "?"), waits)
        for address, waits in zip(addresses, hot.instruction_waits, strict=True)
    ]
    function, offset = code.place(hot.address)
    return Block(
        hot=hot,
        function=function or hot.symbol,
        offset=offset,
        share=hot.cycles / max(region.cycles, 1),
        instructions=instructions,
        frame_pointer=code.has_frame_pointer(hot.address),
    )


def until(blocks: Sequence[Block], share: float, most: int) -> list[Block]:
    """The first blocks that make up ``share`` of the cycles, but at most ``most``."""
    shown: list[Block] = []
    for block in blocks[:most]:
        if sum(b.share for b in shown) >= share:
            break
        shown.append(block)
    return shown
