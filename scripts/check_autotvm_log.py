"""Builds and runs every configuration of an AutoTVM log and holds its result against numpy.

    .venv/bin/python scripts/check_autotvm_log.py FILE --target T [--board B] [--model M]

Prints what is wrong, a line every 50 configurations, and how many were right; exit code 1 if one
was not. TopHub's 654 for ARM CPUs take eight minutes on one core of the host.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tvm_ops.autotvm.boards import model_of
from tvm_ops.autotvm.importing import read_configuration, read_lines
from tvm_ops.boards import get_board
from tvm_ops.errors import InputError
from tvm_ops.targets import Target, get_target
from tvm_ops.task import Knobs, Task
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.space import knobs_id
from tvm_ops.tuning.workers import WorkerPool

_STEP = 50


def configurations(
    path: Path, target: Target, model: str | None = None
) -> list[tuple[Task, Knobs]]:
    """Each different one once, of one model or (None) of all, by task; what is refused is none."""
    found: dict[tuple[str, str], tuple[Task, Knobs]] = {}
    for text, where in read_lines(path):
        try:
            line, task, knobs = read_configuration(text, where, target)
        except InputError as error:
            print(f"refused: {error}", flush=True)
            continue
        if model in (None, model_of(line.target)):
            found.setdefault((task.key, knobs_id(knobs)), (task, knobs))
    return [found[key] for key in sorted(found)]


def check(pairs: Sequence[tuple[Task, Knobs]], board: str) -> int:
    """How many are not right; each with its reason is printed."""
    wrong = 0
    with WorkerPool(os.cpu_count() or 1) as pool:
        runs = [pool.submit(Setting(task, board), knobs, None) for task, knobs in pairs]
        for number, ((task, knobs), run) in enumerate(zip(pairs, runs, strict=True), 1):
            error = run.result().error
            if error:
                wrong += 1
                print(f"{task.key} {knobs_id(knobs)}: {error}", flush=True)
            if number % _STEP == 0:
                print(f"{number} of {len(pairs)}, {wrong} wrong", flush=True)
    return wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Print what is wrong; 1 if something is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--target", required=True)
    parser.add_argument("--board", help="host, emulated, ... (default: one that checks results)")
    parser.add_argument("--model", help="only the records of that board, such as bcm2837")
    arguments = parser.parse_args(argv)
    target = get_target(arguments.target)
    board = arguments.board or ("emulated" if target.emulator else "host")
    get_board(board, target)
    pairs = configurations(arguments.file, target, arguments.model)
    wrong = check(pairs, board)
    print(
        f"{len(pairs) - wrong} of {len(pairs)} configurations are right on {target.name}, {board}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
