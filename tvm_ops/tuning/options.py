"""How a task is tuned: what the search is, and when it is enough."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tvm_ops.tuning import log
from tvm_ops.tuning.progress import Progress
from tvm_ops.tuning.setting import RUN_TIMEOUT


@dataclass(frozen=True)
class Options:
    """``trials``: how many candidates of a task its log is to have.

    ``bound`` limits the largest error over the largest output (None: the operator's own).
    ``transfer``: the cost model of the tuner ``xgb`` starts from the logs of other tasks.
    A task is done early after ``early_stop`` trials without a gain, or at ``target_ms``, which is
    of the whole workload; ``deadline`` is by ``time.monotonic``, which a clock that is set does not
    move. ``timeout``: seconds that one run of a candidate may take.
    """

    trials: int = 64
    board: str | None = None
    seed: int = 0
    logs: Path = log.ROOT
    bound: float | None = None
    tuner: str = "xgb"
    transfer: bool = True
    early_stop: int | None = None
    target_ms: float | None = None
    deadline: float | None = None
    timeout: float = RUN_TIMEOUT

    def enough(self, progress: Progress, share: float) -> str | None:
        """Why a session stops before it has had its trials; None while it goes on.

        ``share`` is the part of the workload that its trials compute.
        """
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "time limit"
        if self.early_stop and progress.done - progress.best_at >= self.early_stop:
            return f"no gain in {self.early_stop} trials"
        cost = progress.best.cost if progress.best else None
        if self.target_ms and cost and cost * 1e3 <= self.target_ms * share:
            return f"{self.target_ms:g} ms reached"
        return None
