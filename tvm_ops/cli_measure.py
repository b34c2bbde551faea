"""The verbs that measure: run, compare, board exec; see ``cli_verbs``."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from itertools import groupby

from tvm_ops.cli_boards import required_signers
from tvm_ops.cli_output import cell, check_output, print_table, write_json
from tvm_ops.cli_tasks import logs_of, tasks_of
from tvm_ops.errors import CheckFailed, InputError

_NOTE = """\
ratio: the other's time over ours, above 1 we are faster. Multiply-adds (MAC) are those of the plain
algorithm: Winograd may pass 100 % of the peak. max error: of ours to float64, of others to ours."""


def run(arguments: Namespace) -> int:
    """``tvm-ops run``: 0 if every task ran and none computed a wrong result, else 1."""
    check_output(arguments.json)
    signers = required_signers(arguments)
    from tvm_ops.run import run_bundle

    rows = run_bundle(
        arguments.bundle,
        board=arguments.board,
        check=arguments.check,
        threads=arguments.threads,
        repeat=arguments.repeat,
        signers=signers,
    )
    print(f"board: {rows[0].board}")
    columns = ["task", "ms", "Mcycles", "MAC/cycle", "max error", "allowed", "state"]
    print_table(
        columns,
        [
            [
                row.task,
                cell(row.ms),
                cell(row.cycles and row.cycles / 1e6),
                cell(row.mac_per_cycle),
                "" if row.max_abs_error is None else f"{row.max_abs_error:.1e}",
                "" if row.bound is None else f"{row.bound:.1e}",
                row.error or ("ok" if arguments.check else "ran, not checked"),
            ]
            for row in rows
        ],
        right=columns[1:-1],
    )
    write_json(arguments.json, {"rows": [asdict(row) for row in rows]})
    return 1 if any(row.error for row in rows) else 0


def compare(arguments: Namespace) -> int:
    """``tvm-ops compare``: 0 if each of our kernels has a time, else 1."""
    check_output(arguments.json)
    from tvm_ops.compare import compare as measure
    from tvm_ops.comparison import table

    result = measure(
        tasks_of(arguments),
        board=arguments.board,
        against=arguments.against,
        logs=logs_of(arguments),
        report=_tell,
    )
    print(f"board: {result.label}")
    columns = ["kernel", "ms", "Mcycles", "MAC/cycle", "% of peak", "ratio", "max error"]
    columns += ["hot code KB", "note"]
    for key, lines in groupby(table(result), lambda line: line[0]):
        print_table(columns, [_with_note(line[1:]) for line in lines], key, right=columns[1:-1])
    for name, ratio in result.geomean.items():
        print(f"geometric mean of {name}'s time over ours: {ratio:.2f}")
    print(_NOTE)
    for line in result.too_large:
        print(line)
    write_json(arguments.json, result.to_json())
    if result.failures:
        raise CheckFailed("; ".join(result.failures))
    return 0


def _with_note(line: list[str]) -> list[str]:
    """A reason instead of figures gets a column of its own; it would make that of the ms wide."""
    name, *figures = line
    if any(figures[1:]):
        return [*line, ""]
    return [name, *[""] * len(figures), figures[0]]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def board_exec(arguments: Namespace) -> int:
    """``tvm-ops board exec``: 0 if the program ended with 0, else 1."""
    check_output(arguments.json)
    from tvm_ops.board_model import execute
    from tvm_ops.board_model.sysroot import sysroot
    from tvm_ops.targets import get_target

    if not arguments.program:
        raise InputError("no program given; write it after --, as in: exec rpi4 -- ./program")
    target = get_target(arguments.target)
    if not target.modelled:
        raise InputError(f"target {target.name} has no timing model")
    root = sysroot(target, progress=_tell)
    done = execute(target, arguments.program, sysroot=root)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    columns = ["id", "cycles", "ms", "instructions", "l1_misses", "l2_misses"]
    regions = [{name: getattr(region, name) for name in columns} for region in done.regions]
    rows = [[cell(value) for value in region.values()] for region in regions]
    clock = f"{target.core} at {target.clock_ghz:g} GHz"
    print_table(columns, rows, title=f"modelled {clock}, one thread", right=columns)
    facts = {
        "target": target.name,
        "board": "modelled",
        "regions": regions,
        "exit_code": done.exit_code,
    }
    write_json(arguments.json, facts)
    if done.exit_code:
        raise CheckFailed(f"the program ended with exit code {done.exit_code}")
    return 0
