"""What all boards share: the interface, the result, and how bench is called and read."""

from __future__ import annotations

import fcntl
import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from tvm_ops import toolchain
from tvm_ops.board_model.execute import Region
from tvm_ops.boards.call import Call, File
from tvm_ops.process import Finished
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task

Array = NDArray[Any]


@dataclass(frozen=True)
class RunResult:
    """One run of bench.

    ``seconds`` and ``cycles`` have one value per repeat, in order; either is None where the board
    does not know it, and both are None for a run that failed or was cut off. ``outputs`` maps the
    name of the output to its array. ``error`` is one line, None for a run that ended well or was
    cut off at its cycle limit (``cut_off``). ``board_failed`` says that it is no fault
    of the program, which may do well later. ``regions`` is what the modelled board knows of each
    repeat.
    """

    board: str
    seconds: list[float] | None = None
    cycles: list[int] | None = None
    outputs: dict[str, Array] = field(default_factory=dict)
    error: str | None = None
    cut_off: bool = False
    board_failed: bool = False
    regions: list[Region] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """What one kind of board reports of a finished program; None for what it does not know.

    ``error``, one line, says why the run counts for nothing though the program may be sound:
    it is the board that failed.
    """

    finished: Finished
    cycles: list[int] | None = None
    cut_off: bool = False
    regions: list[Region] = field(default_factory=list)
    error: str | None = None


class Board(ABC):
    """Runs bench programs of one target."""

    name: str
    """``modelled``, ``host``, ``emulated``, or the address of a board elsewhere."""
    times_wall_clock: bool
    """Whether the seconds that bench itself measures mean anything."""
    is_elsewhere = False
    """Whether it is another machine, as far as this one knows."""
    has_times = True
    """Whether results have times at all, by the wall clock or from a model."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @property
    def spec(self) -> str:
        """What ``get_board`` makes this board from, also in another process."""
        return self.name

    @property
    def names(self) -> list[str]:
        """The boards that this one stands for: whose records count as its own."""
        return [self.name]

    @property
    @abstractmethod
    def label(self) -> str:
        """What a table says of where its figures come from."""

    def connect(self) -> None:
        """Reach a board that is elsewhere; ``InputError`` if it cannot be used."""
        return  # what is here needs no connection

    def prepare(self) -> None:
        """Make now what the first trial would otherwise wait for; quick where it is there."""
        self.connect()
        toolchain.runtime_objects(self.target)

    def build(self, task: Task, knobs: Knobs, path: Path) -> Path:
        """What ``run`` takes of a task: a bench program."""
        from tvm_ops.build import build_program

        return build_program([(task, knobs)], self.target, path)

    def run_in_turn(self, scratch: Path, program: Path, **options: Any) -> RunResult:
        """As ``run``; by a wall clock one at a time of all processes that share ``scratch``."""
        if not self.times_wall_clock:
            return self.run(program, **options)
        with self.lock_file(scratch).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self.run(program, **options)

    def lock_file(self, scratch: Path) -> Path:
        """Whoever holds it has the board."""
        return scratch / f"{quote(self.name, safe='')}.lock"

    @abstractmethod
    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        """Run a program of the target; ``cycle_limit`` cuts a repeat off, where it can."""

    def run(
        self,
        program: Path,
        *,
        task: str | None = None,
        inputs: Mapping[str, Array | Path] | None = None,
        output: tuple[str, tuple[int, ...], str] | None = None,
        libraries: Sequence[Path] = (),
        warmup: int = 1,
        repeat: int = 1,
        threads: int = 1,
        timeout: float = 60.0,
        cycle_limit: int | None = None,
    ) -> RunResult:
        """Run one task of a bench program; what goes wrong in it is the result's ``error``.

        ``inputs`` maps argument names to arrays in the kernel's own layout, or to files that hold
        them; the others are random. ``output`` is the (name, shape, dtype) of the argument to read
        back. ``libraries`` are what the program looks for in ``../lib``. ``timeout`` is in seconds;
        ``cycle_limit``, for one repeat, matters on the modelled board only.
        """
        with tempfile.TemporaryDirectory(prefix="tvm_ops-run-") as folder:
            scratch = Path(folder)
            arguments: list[str | File] = [File(Path(program).resolve(), "bin/bench")]
            result = File(scratch / "result.json", "result.json", comes_back=True)
            arguments += ["--json", result]
            arguments += ["--warmup", str(warmup), "--repeat", str(repeat)]
            arguments += ["--threads", str(threads), *(["--task", task] if task else [])]
            for number, (name, value) in enumerate((inputs or {}).items()):
                path = _as_file(name, value, scratch)
                arguments += ["--input", File(path, f"input-{number}.bin", f"{name}=")]
            if output:
                path = scratch / "output.bin"
                arguments += ["--output", File(path, "output.bin", comes_back=True)]
            call = Call(arguments, libraries)
            measured = self.execute(call, timeout=timeout, cycle_limit=cycle_limit)
            return self._result(measured, scratch, output, repeat, timeout)

    def _result(
        self,
        measured: Measured,
        scratch: Path,
        output: tuple[str, tuple[int, ...], str] | None,
        repeat: int,
        timeout: float,
    ) -> RunResult:
        if measured.cut_off:
            return RunResult(self.name, cut_off=True)
        error = measured.error or measured.finished.failure
        if measured.finished.timed_out:
            error = f"timed out after {timeout:g} s"
        if error:
            return RunResult(self.name, error=error, board_failed=bool(measured.error))
        cycles = measured.cycles
        if cycles is not None and len(cycles) != repeat:
            return RunResult(self.name, error=f"{len(cycles)} regions for {repeat} repeats")
        seconds = None
        if cycles is not None:
            seconds = [self.target.milliseconds(c) / 1e3 for c in cycles]
        elif self.times_wall_clock:
            seconds = json.loads((scratch / "result.json").read_text())["seconds"]
        outputs = {}
        if output:
            name, shape, dtype = output
            outputs[name] = np.fromfile(scratch / "output.bin", dtype).reshape(shape)
        return RunResult(self.name, seconds, cycles, outputs, regions=measured.regions)


def _as_file(name: str, value: Array | Path, scratch: Path) -> Path:
    """The array as raw little-endian bytes."""
    if isinstance(value, Path):
        return value.resolve()
    path = scratch / f"{name}.bin"
    value.astype(value.dtype.newbyteorder("<"), copy=False).tofile(path)
    return path
