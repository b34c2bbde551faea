"""Where a kernel's cycles go on the modelled board: hot blocks, and what instructions wait for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_ops.board_model.execute import Region
from tvm_ops.board_model.hot_code import HOT_BLOCKS, hot_code_bytes, hot_loop
from tvm_ops.board_model.waits import CAUSES
from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.build import build_program
from tvm_ops.disassembly import disassemble
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.profile_block import Block, read_block
from tvm_ops.targets import NAMES, Target, get_target
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning.measure import Measurer


@dataclass(frozen=True)
class Profile:
    """One run of a task's kernel, warm; ``label`` says of what board.

    ``blocks`` are all that ran, the costliest first; ``loop`` those of the costliest loop.
    ``max_error`` is the largest difference to numpy over the largest output.
    """

    task: Task
    knobs: Knobs
    label: str
    max_error: float | None
    region: Region
    blocks: list[Block]
    loop: list[Block]
    hot_code_bytes: int

    @property
    def causes(self) -> dict[str, int]:
        """Cycles by cause; they add up to the region's but for the last block's."""
        return {cause: sum(b.causes[cause] for b in self.blocks) for cause in CAUSES}

    @property
    def percent_of_peak(self) -> float:
        """Multiply-adds of the plain algorithm, of what the core could do in these cycles."""
        most = self.region.cycles * self.task.target.peak(self.task.workload)
        return 100 * float(self.task.workload.macs) / most

    def to_json(self, blocks: Sequence[Block]) -> dict[str, Any]:
        """The facts, of these blocks in full."""
        region, target = self.region, self.task.target
        return {
            "task": self.task.key,
            "target": target.name,
            "board": "modelled",
            "label": self.label,
            "knobs": self.knobs,
            "max_error": self.max_error,
            "cycles": region.cycles,
            "ms": region.ms,
            "percent_of_peak": self.percent_of_peak,
            "instructions_per_cycle": region.instructions / max(region.cycles, 1),
            "causes": self.causes,
            "hot_code_bytes": self.hot_code_bytes,
            "instruction_cache_bytes": target.l1i_kib * 1024,
            "hot_loop": [block.place for block in self.loop],
            "blocks": [block.to_json() for block in blocks],
        }


def check_target(target: Target) -> None:
    """Raises ``InputError`` for a target without timing model."""
    if not target.modelled:
        known = ", ".join(name for name in NAMES if name != "host" and get_target(name).modelled)
        raise InputError(f"target '{target.name}' has no timing model; {known} have")


def profile(
    task: Task, knobs: Knobs, *, report: Callable[[str], None] = lambda _line: None
) -> Profile:
    """Build the task's kernel, run it on the modelled board, check its output, profile the run.

    ``report`` is told what is being done. Raises ``InputError`` for a target without timing model,
    ``CheckFailed`` for a kernel that does not build or run, or computes something else than numpy.
    """
    check_target(task.target)
    with tempfile.TemporaryDirectory(prefix="tvm_ops-profile-") as folder:
        measurer = Measurer(task, "modelled", Path(folder), repeats=1)
        measurer.board = ModelledBoard(task.target, hot_blocks=HOT_BLOCKS, profile=True)
        report(f"{task.key}: building")
        program = build_program([(task, knobs)], task.target, Path(folder) / "bench")
        report(f"{task.key}: running on {measurer.board.label}")
        result = measurer.execute(program, knobs)
        outcome = measurer.judge(result)
        if outcome.error:
            raise CheckFailed(f"{task.key}: {outcome.error}")
        code = disassemble(program, task.target)
    region = result.regions[0]
    blocks = [read_block(hot, region, code) for hot in region.hot_blocks]
    looping = {id(hot) for hot in hot_loop(region.hot_blocks)}
    return Profile(
        task=task,
        knobs=knobs,
        label=measurer.board.label,
        max_error=outcome.max_error,
        region=region,
        blocks=blocks,
        loop=[block for block in blocks if id(block.hot) in looping],
        hot_code_bytes=hot_code_bytes(region),
    )
