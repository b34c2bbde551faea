"""Measures the hand-written peer of one bit on ResNet-18's 3x3 layers, for tuning_logs/."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from tvm_ops import toolchain
from tvm_ops.boards import get_board
from tvm_ops.few_bit.layers import BY_HAND, few_bit_layers
from tvm_ops.operators import get_operator
from tvm_ops.peers.figures import Figure, append_figures, figures_path, read_figures
from tvm_ops.peers.handwritten import FOLDER, Handwritten
from tvm_ops.performance.layers import BOARD
from tvm_ops.targets import Target
from tvm_ops.task import Task


def measure_by_hand(
    target: Target,
    logs: Path,
    *,
    again: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Append what the target's log of peers lacks of the present sources and compiler, or all.

    Returns what went wrong, in a line each: such layers have a figure without a time. It can be
    stopped at any time. Raises ``InputError`` for a log that cannot be read, a missing compiler.
    """
    path, problems = figures_path(logs, target.name), []
    known = set() if again else {figure.identity for figure in read_figures(path)}
    version = version_of(target)
    for task in few_bit_layers(target, 1):
        if (task.key, BY_HAND, version) not in known:
            figure = _measure(task, version)
            append_figures(path, [figure])
            said = figure.why_not or f"{(figure.cycles or 0) / 1e6:.3f} Mcycles"
            report(f"{target.name} {BY_HAND}: {task.key}: {said}")
            problems += [f"{target.name} {task.key}: {said}"] if figure.why_not else []
    return problems


def version_of(target: Target) -> str:
    """``gcc 12.2.0, sources 1a2b3c4d``: what a figure is of."""
    sources = hashlib.sha256()
    for source in sorted(FOLDER.glob("*.[ch]")):
        sources.update(source.read_bytes())
    compiler = toolchain.compiler_version(target.compiler).split()[-1]
    return f"gcc {compiler}, sources {sources.hexdigest()[:8]}"


def _measure(task: Task, version: str) -> Figure:
    operator = get_operator(task.operator)
    arrays = operator.data(task.workload)
    result = Handwritten().measure(task, get_board(BOARD, task.target), arrays)
    why_not, error = result.why_not, None
    if result.output is not None:
        expected = operator.reference(task.workload, arrays)
        wrong = int(np.count_nonzero(result.output != expected))
        error = float(wrong > 0)
        why_not = f"wrong result: {wrong} of {expected.size} differ" if wrong else why_not
    timed = why_not is None and result.cycles is not None
    return Figure(
        task=task.key,
        target=task.target.name,
        peer=BY_HAND,
        version=version,
        board=BOARD,
        cycles=result.cycles if timed else None,
        seconds=result.seconds[0] if timed else None,
        max_error=error,
        why_not=why_not if timed or why_not else "the board counted no cycles",
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
