"""The live display of tuning: a line that changes on a terminal, lines in a pipe."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_ops.tuning.job import Job
    from tvm_ops.tuning.progress import Progress

SECONDS_BETWEEN_LINES = 5.0


def describe(progress: Progress, board: str) -> str:
    """Trials, best so far, rate, time left, failures by kind."""
    parts = [f"{progress.done}/{progress.trials} trials"]
    if progress.best and progress.best.cost:
        share = progress.percent_of_peak or 0.0
        part = f" for {progress.best.slice} rows" if progress.best.slice else ""
        parts.append(f"best {progress.best.cost * 1e3:.3f} ms {board}{part}, {share:.0f} % of peak")
    if progress.measured:
        parts.append(f"{progress.rate:.1f} trials/s")
    if progress.time_left:
        parts.append(f"{duration(progress.time_left)} left")
    if progress.failures:
        kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(progress.failures.items()))
        parts.append(f"failed: {kinds}")
    return " | ".join(parts)


def duration(seconds: float) -> str:
    """``M:SS``, or ``H:MM:SS`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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


class JobDisplay:
    """An observer of a job: tasks done, time left, and on a terminal the session that runs."""

    def __init__(self, board: str) -> None:
        self._board = board
        self._live: Any = None
        self._printed = 0  # tasks

    def __enter__(self) -> JobDisplay:
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live("starting", refresh_per_second=4)
            self._live.start()
        return self

    def __call__(self, job: Job) -> None:
        """Show the state after a trial or a task."""
        finished = len(job.sessions) + len(job.errors)
        if finished > self._printed and job.current is None:
            self._printed = finished
            self._print(self._last(job))
        elif self._live and job.current:
            from rich.text import Text

            key, line = job.current.task.key, describe(job.current, self._board)
            self._live.update(Text(f"{overall(job)} | {key}\n{line}"))

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _last(self, job: Job) -> str:
        """What has become of the task that was finished last."""
        if job.last in job.errors:
            return f"{overall(job)} | {job.last}: stopped, {job.errors[job.last]}"
        return f"{overall(job)} | {job.last}: {describe(job.sessions[-1], self._board)}"

    def _print(self, line: str) -> None:
        if self._live:
            self._live.console.print(line, markup=False, highlight=False)
        else:
            print(line, flush=True)


def overall(job: Job) -> str:
    """Tasks done, and the time left."""
    left = job.time_left
    return f"{job.done}/{len(job.tasks)} tasks" + (f", {duration(left)} left" if left else "")
