"""What the comparison asks of a peer, and what it gets."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from tvm_ops.peers.convolution import Array
from tvm_ops.task import Task

TIMEOUT = 300.0  # seconds; the slowest on the model, ONNX Runtime's 512@7 on an A53, needs 15


ARGUMENTS = ("x", "weights", "bias")
"""What the peers take; of a task with more, such as a residual, they are not asked."""


def why_no_arguments(task: Task) -> str | None:
    """Why a task needs more than ``ARGUMENTS``, in one line; None if it does not."""
    odd = [name for name in task.workload.arguments if name not in ARGUMENTS]
    return f"the peers are not set up for a {odd[0]}" if odd else None


class BoardName(Protocol):
    """All that a peer asks of a board: ``modelled``, ``host`` or ``emulated`` (no times)."""

    name: str


@dataclass(frozen=True)
class PeerResult:
    """A peer's cell of the comparison.

    ``seconds`` has one value per run of the operator; it is empty on a board without times, and
    where ``why_not``, one line, says why the peer did not run the task or could not be timed.
    ``cycles`` is known on the modelled board only. ``output`` is y[n, co, oh, ow]. ``version`` is
    what the library's package says.
    """

    name: str
    version: str | None = None
    seconds: list[float] = field(default_factory=list)
    cycles: int | None = None
    output: Array | None = None
    why_not: str | None = None


class Waiting(Protocol):
    """A process that has one task loaded and runs it when told."""

    version: str

    def run(self, repeat: int = 1) -> list[float]:
        """Warm up and run ``repeat`` times: seconds of the operator alone."""

    def output(self) -> Array:
        """y[n, co, oh, ow] of the last run."""


class Peer(Protocol):
    """Whatever the comparison can ask."""

    name: str
    about: str  # one line for the list of peers

    def why_not(self, task: Task) -> str | None:
        """Why this peer cannot run the task, in one line; None if it can be tried."""

    def measure(
        self,
        task: Task,
        board: BoardName,
        data: dict[str, Array],
        repeat: int = 3,
        timeout: float = TIMEOUT,
    ) -> PeerResult:
        """Run the task on the board; what goes wrong in it is the result's ``why_not``.

        ``data`` has x (NCHW), weights (OIHW) and bias, float32, by name. ``repeat`` counts on host
        only: the modelled board says the same each time. ``timeout`` is in seconds.
        """

    def start(
        self,
        task: Task,
        board: BoardName,
        data: dict[str, Array],
        timeout: float = TIMEOUT,
    ) -> AbstractContextManager[Waiting]:
        """A process on this machine that has the task loaded and waits to be told to run.

        Raises ``PeerFailed`` with one line if the peer cannot run the task or fails.
        """
