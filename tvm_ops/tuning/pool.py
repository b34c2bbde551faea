"""What measures candidates: processes of this machine, or those of a cluster."""

from __future__ import annotations

import os
from concurrent.futures import Future
from types import TracebackType
from typing import Protocol

from tvm_ops.boards import Board
from tvm_ops.task import Knobs
from tvm_ops.tuning.measure import Outcome
from tvm_ops.tuning.setting import Setting


class Pool(Protocol):
    """Whatever happens to a candidate is its outcome; a context manager, for it has processes."""

    def submit(self, setting: Setting, knobs: Knobs, cycle_limit: int | None) -> Future[Outcome]:
        """Have a candidate measured; first come, first served."""

    def prepare(self, board: Board) -> str:
        """Reach a board, and make what its first trial would wait for; its label.

        Raises ``InputError`` where it cannot be used.
        """

    def __enter__(self) -> Pool: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_pool(workers: int | None = None, cluster: str | None = None) -> Pool:
    """``workers`` processes here (None: one per processor), or the cluster at that address.

    Raises ``InputError`` for a cluster that cannot be reached or is of another version.
    """
    if cluster is not None:
        from tvm_ops.tuning.cluster import ClusterPool

        return ClusterPool(cluster)
    from tvm_ops.tuning.workers import WorkerPool

    return WorkerPool(workers or os.cpu_count() or 1)


def prepare_board(board: Board, cluster: str | None = None) -> str:
    """Reach a board, from the cluster's worker next to it where there is one; its label.

    Raises ``InputError`` where the board or the cluster cannot be used.
    """
    if cluster is None or not board.is_elsewhere:
        board.prepare()
        return board.label
    with open_pool(cluster=cluster) as pool:
        return pool.prepare(board)
