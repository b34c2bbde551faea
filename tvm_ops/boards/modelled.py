"""The modelled board: qemu-user with the project's timing model; deterministic, one thread."""

from __future__ import annotations

from tvm_ops.board_model.plugin import plugin
from tvm_ops.boards.base import Board, Measured
from tvm_ops.boards.call import Call
from tvm_ops.errors import InputError
from tvm_ops.process import Finished
from tvm_ops.targets import Target


class ModelledBoard(Board):
    """Cycles come from the model, seconds from them and the target's clock.

    ``hot_blocks`` and ``profile``: what ``execute`` is to report of each region.
    """

    name = "modelled"
    times_wall_clock = False

    def __init__(self, target: Target, *, hot_blocks: int = 0, profile: bool = False) -> None:
        self.hot_blocks, self.profile = hot_blocks, profile
        if target.isa == "armv7":
            raise InputError(
                f"timing of ARMv7 is not modelled yet; for {target.name} use board emulated "
                "(correctness only)"
            )
        if not target.modelled:
            raise InputError(f"{target.name} has no timing model; use board host")
        super().__init__(target)

    @property
    def label(self) -> str:
        return f"modelled {self.target.core} at {self.target.clock_ghz:g} GHz, one thread"

    def prepare(self) -> None:
        """Compiles the timing model too."""
        super().prepare()
        plugin()

    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        from tvm_ops.board_model import execute

        done = execute(
            self.target,
            call.here,
            cycle_limit=cycle_limit,
            timeout=timeout,
            marked=True,
            hot_blocks=self.hot_blocks,
            profile=self.profile,
        )
        finished = Finished(done.exit_code, done.stdout, done.stderr, done.timed_out)
        regions = sorted(done.regions, key=lambda region: region.id)
        cycles = [int(region.cycles) for region in regions]
        return Measured(finished, cycles, done.cut_off, regions)
