"""The peer ``handwritten``: our own kernels in C with NEON intrinsics, and their program.

``handwritten.h`` and ``bitserial.h`` are their interfaces; ``handwritten_bench.c`` runs one of them
on a board.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tvm_ops import toolchain
from tvm_ops.boards import get_board
from tvm_ops.boards.base import Board
from tvm_ops.boards.call import Call, File
from tvm_ops.cache import cached_folder
from tvm_ops.errors import InputError
from tvm_ops.peers.convolution import Array
from tvm_ops.peers.handwritten.work import FILES, OPERATORS, Work, why_not, work_of
from tvm_ops.peers.peer import TIMEOUT, BoardName, PeerResult
from tvm_ops.peers.process import PeerFailed
from tvm_ops.targets import Target
from tvm_ops.task import Task

FOLDER = Path(__file__).parent
CODES = (
    "done",
    "a size is below 1",
    "groups do not divide the channels",
    "the kernel is larger than the padded input",
    "written for other kernels, strides or groups",
    "a tensor is too large",
    "a null pointer",
    "a sum may need more than 16 bits",
)
"""What the functions of handwritten.h return."""
_CANNOT = 3  # exit code of handwritten_bench: the function cannot do these sizes


def compile_flags(target: Target) -> list[str]:
    """How the C files are compiled for the target, beside the project's own warnings.

    The compiler knows the core's pipeline, the blocking its L2 cache, and a core that starts
    instructions in order has a register tile of its own.
    """
    cpu = {"aarch64": f"-mcpu={target.core}", "x86_64": f"-march={target.mcpu}"}.get(target.isa)
    in_order = ["-DHANDWRITTEN_IN_ORDER"] if target.core == "cortex-a53" else []
    return [*toolchain.C_FLAGS, "-O3", *([cpu] if cpu else []), *target.c_flags, *in_order,
            f"-DHANDWRITTEN_L2_KIB={target.l2_kib}"]  # fmt: skip


def build(operator: str, target: Target) -> Path:
    """The bench program of the target, compiled at the first use, with that operator in it.

    Raises ``InputError`` for an operator without a hand-written kernel or a missing compiler,
    ``CheckFailed`` if the compiler fails.
    """
    if operator not in OPERATORS:
        raise InputError(
            f"operator '{operator}' has no hand-written kernel; allowed: {', '.join(OPERATORS)}"
        )
    flags = compile_flags(target) + (["-static"] if target.emulator else [])
    sources = [*sorted(FOLDER.glob("*.[ch]")), toolchain.RUNTIME / "tvm_ops_region.h"]
    recipe = {
        "compiler": toolchain.compiler_version(target.compiler),
        # The folder of the headers is the checkout's place, which the program does not depend on.
        "flags": [flag for flag in flags if not flag.startswith("-I")],
        "sources": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sources},
    }

    def make(folder: Path) -> None:
        c_files = [p for p in sources if p.suffix == ".c"]
        toolchain.run_tool([target.compiler, *flags, *c_files, "-o", folder / "bench"])

    return cached_folder(f"handwritten-{target.name}", recipe, make) / "bench"


@dataclass
class HandwrittenProcess:
    """A task ready to run on a board; each ``run`` starts the program anew, with a warm-up."""

    arguments: list[str | File]
    folder: Path
    task: Task
    work: Work
    board: BoardName
    timeout: float
    version: str
    cycles: int | None = None

    def run(self, repeat: int = 1) -> list[float]:
        """Seconds of each repeat; none on a board that does not know them. Raises PeerFailed."""
        target = self.task.target
        named = self.board
        board = named if isinstance(named, Board) else get_board(named.name, target)
        call = Call([*self.arguments, "1", str(repeat)])
        done = board.execute(call, timeout=self.timeout, cycle_limit=None)
        if done.error:
            raise PeerFailed(done.error)
        if done.finished.timed_out:
            raise PeerFailed(f"no result within {self.timeout:g} s")
        if done.finished.exit_code == _CANNOT:
            code = int(done.finished.stderr.split()[-1])
            raise PeerFailed(f"{self.task.operator}: {CODES[code]}")
        if done.finished.failure:
            raise PeerFailed(done.finished.failure)
        if done.cycles is not None:
            self.cycles = done.cycles[-1]
            return [cycles / target.clock_ghz / 1e9 for cycles in done.cycles]
        if not board.times_wall_clock:
            return []
        seconds: list[float] = json.loads((self.folder / "result.json").read_text())["seconds"]
        return seconds

    def output(self) -> Array:
        """y of the last run, as the operator's reference has it."""
        return self.work.output((self.folder / "y").read_bytes())


class Handwritten:
    """Asked like any other peer: ``why_not``, ``measure``, ``start``."""

    name = "handwritten"
    about = "our own kernels, written by hand in C with NEON intrinsics"

    def why_not(self, task: Task) -> str | None:
        """Why this peer cannot run the task, in one line; None if it can be tried."""
        return why_not(task)

    def measure(
        self,
        task: Task,
        board: BoardName,
        data: dict[str, Array],
        repeat: int = 3,
        timeout: float = TIMEOUT,
    ) -> PeerResult:
        """Run the task on the board; what goes wrong is the result's ``why_not``.

        ``data`` has the operator's arrays by name. Weights are packed before the clock starts; x
        and y are NCHW, or packed words of bits. ``repeat`` counts on host only.
        """
        try:
            with self.start(task, board, data, timeout) as process:
                seconds = process.run(repeat if board.name == "host" else 1)
                output = process.output()
        except PeerFailed as error:
            return PeerResult(self.name, why_not=str(error))
        return PeerResult(self.name, process.version, seconds, process.cycles, output)

    @contextmanager
    def start(
        self,
        task: Task,
        board: BoardName,
        data: dict[str, Array],
        timeout: float = TIMEOUT,
    ) -> Iterator[HandwrittenProcess]:
        """The task with its program and files ready. Raises ``PeerFailed`` if it cannot be run."""
        reason = self.why_not(task)
        if reason:
            raise PeerFailed(reason)
        program = build(task.operator, task.target)
        with tempfile.TemporaryDirectory(prefix="tvm_ops-handwritten-") as name:
            folder = Path(name)
            work = work_of(task, data)
            for file in FILES:
                work.arrays[file].tofile(folder / file)
            numbers = ",".join(map(str, work.sizes))
            arguments: list[str | File] = [File(program, "bin/bench"), task.operator, numbers]
            arguments += [File(folder / file, file) for file in FILES]
            results = ("y", "result.json")
            arguments += [File(folder / file, file, comes_back=True) for file in results]
            version = toolchain.compiler_version(task.target.compiler).split()[-1]
            yield HandwrittenProcess(
                arguments, folder, task, work, board, timeout, f"gcc {version}"
            )
