"""The logs held against a new run: the best kernel of each layer once more on the modelled board.

The board is deterministic, so its cycles must be the log's exactly, if the same version of this
project and its compiler made both: another bench program around the kernel moves code and data by
some bytes, which is worth about 0.01 %. The same run, with a profile, says how large the hot code
is and what the hot loop waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tvm_ops.errors import CheckFailed
from tvm_ops.performance.lines import append_line, read_lines
from tvm_ops.performance.side_by_side import side_by_side
from tvm_ops.profile import Profile, profile
from tvm_ops.profile_block import until
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning.log import Record

TOLERANCE = 1e-3  # of the cycles; what is further off is another kernel, or the log is wrong
_SHARE, _MOST = 0.8, 3  # of the cycles, that are explained; of blocks that explain them


@dataclass(frozen=True)
class Rerun:
    """One run of a record's kernel; ``hot_blocks`` are sentences on the costliest blocks."""

    task: str
    target: str
    knobs: Knobs
    logged_cycles: int
    cycles: int
    max_error: float | None
    hot_code_bytes: int
    hot_blocks: list[str]
    time: str

    @property
    def agrees(self) -> bool:
        """Whether the log is true, but for where the bench program puts things."""
        return abs(self.cycles / self.logged_cycles - 1) <= TOLERANCE

    @property
    def is_exact(self) -> bool:
        """Whether it is to the cycle."""
        return self.cycles == self.logged_cycles

    @property
    def difference(self) -> str:
        """Where it is not exact, in words."""
        percent = 100 * (self.cycles / self.logged_cycles - 1)
        return (
            f"the log has {self.logged_cycles} cycles, a new run {self.cycles} ({percent:+.3f} %)"
        )


def reruns_path(folder: Path, target: str) -> Path:
    """``FOLDER/TARGET-reruns.jsonl``."""
    return folder / f"{target}-reruns.jsonl"


def read_reruns(folder: Path, target: str) -> list[Rerun]:
    """All in order. Raises ``InputError`` with file and line."""
    return read_lines(reruns_path(folder, target), Rerun)


def find_rerun(reruns: Iterable[Rerun], record: Record) -> Rerun | None:
    """The last run of this record, None without one."""
    wanted = record.task, record.knobs, record.cycles
    found = [r for r in reruns if (r.task, r.knobs, r.logged_cycles) == wanted]
    return found[-1] if found else None


def rerun_all(
    entries: Sequence[tuple[Task, Record]],
    path: Path,
    *,
    again: bool = False,
    jobs: int = 2,
    report: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Run the records that ``path`` does not have, or with ``again`` all, and append to it.

    It can be stopped at any time. Returns what is wrong, in a line each: kernels that do not run
    (these are not kept, and tried again next time) and cycles that are not the log's.
    """
    known = read_lines(path, Rerun)
    old = [found for _task, record in entries if (found := find_rerun(known, record))]
    problems = [] if again else [f"{r.task}: {r.difference}" for r in old if not r.agrees]
    todo = [e for e in entries if again or not find_rerun(known, e[1])]

    def one(entry: tuple[Task, Record]) -> Rerun | str:
        try:
            return _rerun(*entry)
        except (CheckFailed, ValueError) as error:
            return str(error)

    for number, (task, _record), done in side_by_side(one, todo, jobs):
        if isinstance(done, str):
            problems.append(f"{task.key}: {done}")
        else:
            append_line(path, done)
            if not done.agrees:
                problems.append(f"{task.key}: {done.difference}")
        said = done if isinstance(done, str) else _summary(done)
        report(f"{number}/{len(todo)} {task.target.name} {task.key}: {said}")
    return problems


def _rerun(task: Task, record: Record) -> Rerun:
    found = profile(task, record.knobs)
    return Rerun(
        task=task.key,
        target=task.target.name,
        knobs=record.knobs,
        logged_cycles=record.cycles or 0,
        cycles=found.region.cycles,
        max_error=found.max_error,
        hot_code_bytes=found.hot_code_bytes,
        hot_blocks=_sentences(found),
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _sentences(found: Profile) -> list[str]:
    return [block.sentence for block in until(found.blocks, _SHARE, _MOST)]


def _summary(rerun: Rerun) -> str:
    state = "as logged" if rerun.is_exact else rerun.difference
    return f"{state}; {rerun.hot_code_bytes / 1024:.1f} KB of hot code; {rerun.hot_blocks[0]}"
