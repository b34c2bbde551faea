"""The page of a profile: no script, no network, the same profile gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tvm_ops.board_model.waits import CAUSES, by_cause
from tvm_ops.html_page import render_page, write_page
from tvm_ops.profile import Profile
from tvm_ops.profile_block import Block, Instruction, stack_accesses
from tvm_ops.report import anchor, knob
from tvm_ops.report_chart import number

PAGE = "profile.html"


def render(profile: Profile, blocks: Sequence[Block], origin: str) -> str:
    """The page, with these blocks in full; ``origin`` says where the knobs are from."""
    return render_page(
        PAGE,
        filters={"number": number, "knob": knob, "anchor": anchor, "percent": percent},
        profile=profile,
        blocks=blocks,
        origin=origin,
        causes=CAUSES,
        bar=bar,
        instruction_bar=instruction_bar,
        hottest=hottest,
        stack_accesses=stack_accesses,
    )


def write_profile(profile: Profile, blocks: Sequence[Block], origin: str, folder: Path) -> Path:
    """Write profile.html into ``folder``, which is made; ``InputError`` where it cannot be."""
    return write_page(folder / PAGE, render(profile, blocks, origin))


def percent(part: float, whole: float) -> str:
    """A share as text; less than a tenth of a percent is nothing."""
    share = 100 * part / max(whole, 1)
    if share < 0.1:
        return "0 %"
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"


def bar(cycles: Mapping[str, int], whole: float) -> list[tuple[str, float]]:
    """The parts of a stacked bar: cause and its percentage of the whole."""
    shares = ((cause, 100 * part / max(whole, 1)) for cause, part in cycles.items())
    return [(cause, share) for cause, share in shares if share >= 0.05]


def hottest(block: Block) -> int:
    """Cycles of the block's costliest instruction: the full length of the instructions' bars."""
    return max(1, *(instruction.waits.cycles for instruction in block.instructions))


def instruction_bar(instruction: Instruction, longest: int) -> list[tuple[str, float]]:
    """The parts of an instruction's bar."""
    return bar(by_cause([instruction.waits]), longest)
