"""What a job shows of itself: a live view on a terminal, a line a batch elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_ops.task import Task
    from tvm_ops.tuning.job import Job
    from tvm_ops.tuning.progress import Progress

_COLUMNS = ("task", "trials", "best ms", "gain", "% of peak", "failed", "")
_ROWS_BESIDE = 6  # of the terminal: the table's frame, the line above it, the prompt


def describe(progress: Progress, board: str) -> str:
    """Trials, best so far, rate, time left, failures by kind."""
    parts = [f"{progress.done}/{progress.trials} trials"]
    if progress.best and progress.best.cost:
        share = progress.percent_of_peak or 0.0
        part = f" for {progress.best.slice} rows" if progress.best.slice else ""
        parts.append(f"best {progress.best.cost * 1e3:.3f} ms {board}{part}, {share:.0f} % of peak")
    if progress.gain:
        parts.append(f"gain {progress.gain:.2f}")
    if progress.measured:
        parts.append(f"{progress.rate:.1f} trials/s")
    if progress.time_left:
        parts.append(f"{duration(progress.time_left)} left")
    if progress.failures:
        parts.append(f"failed: {_kinds(progress.failures)}")
    if progress.stopped:
        parts.append(progress.stopped)
    return " | ".join(parts)


def duration(seconds: float) -> str:
    """``M:SS``, or ``H:MM:SS`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def overall(job: Job) -> str:
    """Tasks or trials done, and the time left."""
    left = job.time_left
    done = f"{job.done}/{len(job.tasks)} tasks"
    if job.budget is not None:
        done = f"{job.begun}/{job.budget} trials of {len(job.tasks)} tasks"
    return done + (f", {duration(left)} left" if left else "")


class JobDisplay:
    """An observer of a job; a context manager, because the terminal has to be given back."""

    def __init__(self, board: str) -> None:
        self._board = board
        self._live: Any = None
        self._printed: dict[tuple[str, str], tuple[int, int]] = {}  # batches and trials, by task
        self._finished = 0  # tasks

    def __enter__(self) -> JobDisplay:
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live("starting", refresh_per_second=4)
            self._live.start()
        return self

    def __call__(self, job: Job) -> None:
        """Show the state after a trial, a batch or a task."""
        if self._live:
            self._live.update(live_view(job, self._board, self._live.console.height))
        finished = len(job.sessions) + len(job.errors)
        if finished > self._finished:
            self._finished = finished
            self._print_last(job)
        elif job.current and not self._live:
            self._print_batch(job, job.current)

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _print_batch(self, job: Job, progress: Progress) -> None:
        """One line for each batch, also the last."""
        name = (progress.task.target.name, progress.task.key)
        batches, done = self._printed.get(name, (0, 0))
        if progress.batches > batches and progress.done > done:
            self._printed[name] = (progress.batches, progress.done)
            which = f"{overall(job)} | {_label(job, progress.task)}: " if len(job.tasks) > 1 else ""
            print(which + describe(progress, self._board), flush=True)

    def _print_last(self, job: Job) -> None:
        """What has become of the task that was finished last."""
        assert job.last
        name = (job.last.target.name, job.last.key)
        words = f"stopped, {job.errors[name]}" if name in job.errors else ""
        words = words or describe(job.sessions[-1], self._board)
        line = f"{overall(job)} | {_label(job, job.last)}: {words}"
        if self._live:
            self._live.console.print(line, markup=False, highlight=False)
        elif len(job.tasks) > 1 or words.startswith("stopped"):
            print(line, flush=True)


def live_view(job: Job, board: str, height: int) -> Any:
    """A table of the tasks that are under way, then those that wait, in ``height`` lines at most.

    What finished was printed above it.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", expand=False)
    for i, column in enumerate(_COLUMNS):
        left = i in (0, len(_COLUMNS) - 1)
        table.add_column(column, justify="left" if left else "right", no_wrap=i > 0)
        table.columns[i].overflow = "fold"
    rows = [_row(job, progress) for progress in job.under_way.values()]
    rows += [[_label(job, task), *[""] * 5, "waits"] for task in job.waiting]
    room = max(height - _ROWS_BESIDE, 3)
    for row in rows[:room]:
        table.add_row(*map(Text, row))
    failures = sum((p.failures for p in job.progresses), Counter[str]())
    parts = [overall(job), f"{job.measured} new trials, {job.rate:.1f}/s, {board}"]
    parts += [f"failed: {_kinds(failures)}"] if failures else []
    parts += [f"{len(rows) - room} more tasks"] if len(rows) > room else []
    return Group(table, Text(" | ".join(parts)))


def _row(job: Job, progress: Progress) -> list[str]:
    best = progress.best.cost if progress.best else None
    share = progress.percent_of_peak
    state = "tried now" if progress is job.current else ""
    if progress.time_left and job.budget is None:
        state = f"{duration(progress.time_left)} left"
    return [
        _label(job, progress.task),
        f"{progress.done}/{progress.trials}" if job.budget is None else str(progress.done),
        f"{best * 1e3:.3f}" if best else "",
        f"{progress.gain:.2f}" if progress.gain else "",
        f"{share:.0f}" if share else "",
        str(sum(progress.failures.values()) or ""),
        progress.stopped or state,
    ]


def _label(job: Job, task: Task) -> str:
    """The key, with the target where the job has several."""
    several = len({task.target.name for task in job.tasks}) > 1
    return f"{task.target.name} {task.key}" if several else task.key


def _kinds(failures: Counter[str]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in sorted(failures.items()))
