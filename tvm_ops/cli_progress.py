"""The live display of a tuning session: a line that changes on a terminal, lines in a pipe."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_ops.tuning.session import Progress

SECONDS_BETWEEN_LINES = 5.0


def describe(progress: Progress, board: str) -> str:
    """Trials, best so far, rate, time left, failures by kind."""
    parts = [f"{progress.done}/{progress.trials} trials"]
    if progress.best and progress.best.cost:
        share = progress.percent_of_peak or 0.0
        parts.append(f"best {progress.best.cost * 1e3:.3f} ms {board}, {share:.0f} % of peak")
    if progress.measured:
        parts.append(f"{progress.rate:.1f} trials/s")
    if progress.time_left:
        minutes, seconds = divmod(round(progress.time_left), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    if progress.failures:
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(progress.failures.items()))
        parts.append(f"failed: {kinds}")
    return " | ".join(parts)


class TuneDisplay:
    """An observer of a session; a context manager, because the terminal has to be given back."""

    def __init__(self, board: str) -> None:
        self._board = board
        self._live: Any = None
        self._latest: Progress | None = None
        self._last_line = time.monotonic()
        self._printed = 0  # trials

    def __enter__(self) -> TuneDisplay:
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live("starting", refresh_per_second=4)
            self._live.start()
        return self

    def __call__(self, progress: Progress) -> None:
        """Show the state after a trial."""
        self._latest = progress
        if self._live:
            from rich.text import Text

            self._live.update(Text(describe(progress, self._board)))
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._print()

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
        elif self._latest and self._latest.done > self._printed:
            self._print()

    def _print(self) -> None:
        assert self._latest
        print(describe(self._latest, self._board), flush=True)
        self._last_line, self._printed = time.monotonic(), self._latest.done
