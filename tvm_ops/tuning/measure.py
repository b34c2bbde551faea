"""Builds one candidate, runs it on a board, checks it against numpy: what a worker does."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.boards import RunResult, get_board
from tvm_ops.correctness import largest_error, what_differs
from tvm_ops.errors import CheckFailed, Unavailable
from tvm_ops.operators import get_operator
from tvm_ops.task import Knobs, Task
from tvm_ops.template import kernel_arguments
from tvm_ops.tuning.setting import RUN_TIMEOUT

Array = NDArray[Any]

WALL_CLOCK_REPEATS = 15


ENVIRONMENT = "environment"
"""The kind of an error that says nothing of the candidate: a tool, space or a board is missing."""


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate; ``error`` is ``KIND: detail`` in one line."""

    seconds: list[float]
    cycles: int | None = None
    max_error: float | None = None
    error: str | None = None
    board: str | None = None  # that measured, where a program was run

    @property
    def is_environment(self) -> bool:
        """Whether this is no outcome of the candidate, and it has to be tried again."""
        return (self.error or "").startswith(f"{ENVIRONMENT}: ")


class Measurer:
    """Everything that the candidates of one task share: inputs, reference, board, scratch folder.

    ``bound`` limits the largest error over the largest output, 0 asks for equality; None is the
    operator's own.
    ``repeats`` is the number of timed runs; None is 1, or on a wall clock WALL_CLOCK_REPEATS.
    ``timeout`` is in seconds, of one run of the program.
    """

    def __init__(
        self,
        task: Task,
        board: str,
        scratch: Path,
        bound: float | None = None,
        repeats: int | None = None,
        timeout: float = RUN_TIMEOUT,
    ) -> None:
        self.task, self.scratch, self.timeout = task, scratch, timeout
        self.operator = get_operator(task.operator)
        self.board = get_board(board, task.target)
        self.bound = self.operator.ERROR_BOUND if bound is None else bound
        wall_clock = WALL_CLOCK_REPEATS if self.board.times_wall_clock else 1
        self.repeats = repeats or wall_clock

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Seeded arrays for all that the workload takes, as ``reference`` takes them."""
        arrays: dict[str, Array] = self.operator.data(self.task.workload)
        return arrays

    @cached_property
    def reference(self) -> Array:
        """What the operator says that the output is."""
        return np.asarray(self.operator.reference(self.task.workload, self.arrays))

    @cached_property
    def largest(self) -> float:
        """What errors are divided by."""
        return float(np.abs(self.reference).max()) or 1.0

    def measure(self, knobs: Knobs, cycle_limit: int | None = None) -> Outcome:
        """One trial; an error of the build, of the run, or in the result is the outcome's."""
        kind = "build"
        try:
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                program = self.board.build(self.task, knobs, Path(folder) / "bench")
                kind = "run"
                return self.run(program, knobs, cycle_limit)
        except Exception as error:
            if _is_of_environment(error):
                return Outcome([], error=f"{ENVIRONMENT}: {_one_line(error)}")
            return Outcome([], error=f"{kind}: {_one_line(error)}")

    def run(self, program: Path, knobs: Knobs, cycle_limit: int | None = None) -> Outcome:
        """Run the built program and hold its output against the reference."""
        result = self.execute(program, knobs, cycle_limit)
        return replace(self.judge(result, cycle_limit), board=result.board)

    def execute(
        self, program: Path, knobs: Knobs, cycle_limit: int | None = None, threads: int = 1
    ) -> RunResult:
        """Run the built program on this task's inputs, packed as the knobs say."""
        return self.board.run_in_turn(
            self.scratch,
            program,
            inputs=self.operator.pack(self.task.workload, knobs, self.arrays),
            output=kernel_arguments(self.task, knobs)[-1],
            repeat=self.repeats,
            threads=threads,
            timeout=self.timeout,
            cycle_limit=cycle_limit,
        )

    def output(self, result: RunResult) -> Array | None:
        """What the run wrote, in ``reference``'s layout; None where it failed."""
        y: Array | None = next(iter(result.outputs.values()), None)
        return y if y is None else self.operator.unpack_output(self.task.workload, y)

    def judge(self, result: RunResult, cycle_limit: int | None = None) -> Outcome:
        """What the run is worth: its error if it failed, or computed something else than numpy."""
        if result.cut_off:
            return Outcome([], error=f"cut off: past {cycle_limit} cycles")
        if result.error:
            kind = ENVIRONMENT if result.board_failed else "run"
            return Outcome([], error=f"{kind}: {result.error}")
        try:
            y = self.output(result)
        except CheckFailed as failed:
            return Outcome([], error=f"wrong result: {failed}")
        assert y is not None
        max_error, error = largest_error(y, self.reference) / self.largest, None
        if self.bound == 0:
            error = what_differs(y, self.reference)
        elif not max_error <= self.bound:
            error = f"error {max_error:.2e} of the largest output, bound {self.bound:g}"
        if error:
            known = max_error if np.isfinite(max_error) else None
            return Outcome([], max_error=known, error=f"wrong result: {error}")
        cycles = result.cycles[0] if result.cycles else None
        return Outcome(result.seconds or [], cycles, max_error)


def _is_of_environment(error: Exception) -> bool:
    """Compilers and linkers pass on the system's words for a full disk."""
    if isinstance(error, OSError):
        return error.errno != errno.ENOMEM  # the compiler's own appetite
    return isinstance(error, Unavailable) or os.strerror(errno.ENOSPC) in str(error)


def _one_line(error: Exception) -> str:
    """The last line that says something; TVM's messages carry the whole module."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" ^")]
    message = next((s for s in lines if s.startswith("Error message:")), lines[-1] if lines else "")
    return f"{type(error).__name__}: {message.removeprefix('Error message:').strip()}"[:300]
