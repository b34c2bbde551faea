"""The board ``rpc:KEY@HOST:PORT``: any of a farm's that its TVM tracker has under that key.

Its servers are TVM's own (``python -m tvm.exec.rpc_server``); what is sent is a TVM module of one
kernel, timed there by TVM's ``time_evaluator``.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tvm_ops.boards import rpc_tracker
from tvm_ops.boards.address import Address
from tvm_ops.boards.base import Array, Board, Measured, RunResult
from tvm_ops.boards.call import Call
from tvm_ops.boards.seen import seen_now
from tvm_ops.errors import InputError
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task

# A function as TVM's runtime calls it.
_CHECK = "int __tvm_ffi_tvm_ops_check(void* self, void* a, int n, void* y) { return 0; }"
_NO_PROGRAMS = "board {} runs what tune builds, no other programs; use an ssh board"
GRACE = 10.0  # seconds of a session beside the run: the transfers
_FACTS = ".json"  # beside a module: its symbol and the shapes of its arguments


class RpcBoard(Board):
    """Each run takes a server from the tracker, which has the queue, and gives it back."""

    times_wall_clock = True
    is_elsewhere = True

    def __init__(self, target: Target, address: Address) -> None:
        super().__init__(target)
        self.address, self.name = address, address.name

    @property
    def spec(self) -> str:
        return self.address.spec

    @property
    def label(self) -> str:
        return f"{self.name}, wall clock, timed by TVM"

    def connect(self) -> None:
        """Asks the tracker for the key, and a server whether it can load a module of the target.

        Raises ``InputError`` if not.
        """
        from tvm_ops.build import link_module

        rpc_tracker.servers(self.address)
        with tempfile.TemporaryDirectory(prefix="tvm_ops-rpc-") as folder:
            source = Path(folder) / "check.c"
            source.write_text(_CHECK + "\n")
            module = link_module(source, self.target, Path(folder) / "check.so")
            try:
                self._load(module, timeout=30)
            except RuntimeError as error:
                raise InputError(
                    f"board {self.name}: it does not load a program of {self.target.isa}, which "
                    f"target {self.target.name} needs ({_last_line(error)})"
                ) from None
        seen_now(self.name)

    def build(self, task: Task, knobs: Knobs, path: Path) -> Path:
        """A TVM module, and beside it what a server has to be told of it."""
        from tvm_ops.build import build_module
        from tvm_ops.operators import get_operator

        func = get_operator(task.operator).compute(task.workload, knobs)
        shapes = {b.name: ([int(size) for size in b.shape], str(b.dtype)) for b in func.params}
        module = build_module(task, knobs, path.with_suffix(".so"))
        facts = json.dumps({"symbol": task.symbol, "arguments": shapes})
        module.with_suffix(_FACTS).write_text(facts)
        return module

    def run_in_turn(self, scratch: Path, program: Path, **options: Any) -> RunResult:
        """At once: the tracker lets one client at a time have a server, and may have several."""
        return self.run(program, **options)

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
        """As ``Board.run``, of a module that ``build`` has made, with all its inputs as arrays.

        ``time_evaluator`` warms up once, whatever ``warmup`` says.
        """
        facts_file = program.with_suffix(_FACTS)
        if not facts_file.exists():
            raise InputError(_NO_PROGRAMS.format(self.name))
        facts = json.loads(facts_file.read_text())
        try:
            session, module = self._load(program, timeout + GRACE)
        except InputError as error:
            return RunResult(self.name, error=str(error), board_failed=True)
        except RuntimeError as error:
            return RunResult(self.name, error=f"load: {_last_line(error)}")
        try:
            session.get_function("runtime.config_threadpool")(1, threads)
            arrays = _arrays(facts["arguments"], inputs or {})
            tensors = {name: _tensor(array, session) for name, array in arrays.items()}
            evaluate = module.time_evaluator(facts["symbol"], session.cpu(0), 1, repeat)
            seconds = list(evaluate(*tensors.values()).results)
            y = tensors[output[0]].numpy().reshape(output[1]) if output else None
        except RuntimeError as error:
            return RunResult(self.name, error=_failure(error, timeout))
        seen_now(self.name)
        outputs = {output[0]: y} if output and y is not None else {}
        return RunResult(self.name, seconds, outputs=outputs)

    def execute(self, call: Call, *, timeout: float, cycle_limit: int | None) -> Measured:
        raise InputError(_NO_PROGRAMS.format(self.name))

    def _load(self, module: Path, timeout: float) -> tuple[Any, Any]:
        """A session, which its server ends after ``timeout`` seconds, and the module there."""
        from tvm import rpc

        host, port, key = rpc_tracker.request(self.address)
        session = rpc.connect(host, port, key, session_timeout=timeout)
        session.upload(str(module))
        return session, session.load_module(module.name)


def _arrays(
    arguments: Mapping[str, Sequence[Any]], inputs: Mapping[str, Array | Path]
) -> dict[str, Array]:
    """Each argument as the kernel has it; what is not given, such as the output, is zeros."""
    arrays = {}
    for name, (shape, dtype) in arguments.items():
        given = inputs.get(name)
        if isinstance(given, Path):
            given = np.fromfile(given, dtype)
        arrays[name] = np.zeros(shape, dtype) if given is None else given.reshape(shape)
    return arrays


def _tensor(array: Array, session: Any) -> Any:
    import tvm

    return tvm.runtime.tensor(np.ascontiguousarray(array), session.cpu(0))


def _failure(error: Exception, timeout: float) -> str:
    """As other boards word it."""
    line = _last_line(error)
    if "RPCSessionTimeoutError" in line:
        return f"timed out after {timeout:g} s"
    return "crashed: the server's process has ended" if "kShutdown" in line else line


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
