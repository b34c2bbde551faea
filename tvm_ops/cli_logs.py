"""The verbs ``import-log`` and ``export-log``; see ``cli_verbs``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence

from tvm_ops.cli_output import check_output, print_table, write_json
from tvm_ops.cli_tasks import logs_of
from tvm_ops.errors import InputError


def import_log(arguments: Namespace) -> int:
    """``tvm-ops import-log``: 0 if every line is in the log now, 1 if some are not."""
    check_output(arguments.json)
    from tvm_ops.autotvm.importing import import_log as read
    from tvm_ops.targets import get_target
    from tvm_ops.tuning import log

    target = get_target(arguments.target) if arguments.target else None
    result = read(arguments.file, arguments.logs or log.ROOT, target, _shown)
    if len(result.refused) == 1 and not (result.new or result.known):
        raise InputError(result.refused[0])  # it is all that there is to say
    for why in result.refused:
        print(f"tvm-ops: refused: {why}", file=sys.stderr)
    rows = [
        {
            "log": str(path),
            "imported": len(result.new.get(path, [])),
            "known": len(result.known.get(path, [])),
        }
        for path in sorted({*result.new, *result.known})
    ]
    if not rows:
        why = f"each of {len(result.refused)} lines was refused" if result.refused else "no lines"
        raise InputError(f"{arguments.file}: nothing to import, {why}")
    columns = ["log", "imported", "known"]
    lines = [[str(value) for value in row.values()] for row in rows]
    print_table(columns, lines, right=columns[1:])
    if result.refused:
        print(f"refused: {len(result.refused)} lines")
    write_json(arguments.json, {"logs": rows, "refused": result.refused})
    return 1 if result.refused else 0


def _shown(lines: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """With a bar on a terminal: ten thousand lines take some seconds."""
    if not sys.stdout.isatty():
        yield from lines
        return
    from rich.progress import track

    yield from track(lines, "reading", transient=True)


def export_log(arguments: Namespace) -> int:
    """``tvm-ops export-log``."""
    check_output(arguments.json)
    _check_place(arguments)
    from tvm_ops.autotvm.exporting import best_trials, export_lines, fastest, read_records
    from tvm_ops.targets import get_target

    target, database = get_target(arguments.target), arguments.format == "metaschedule"
    trials = read_records(logs_of(arguments), target, arguments.operators, arguments.workloads)
    if database:
        trials = best_trials(trials)
    elif arguments.best:
        trials = fastest(trials)
    if not trials:
        kind = "checked records" if database else "records"
        raise InputError(f"no {kind} of {target.name} in the logs; see tvm-ops tune --help")
    if database:
        from tvm_ops.autotvm.database import write_database

        paths = write_database(trials, arguments.output)
    else:
        paths = [arguments.output]
        export_lines(trials, arguments.output)
    counts = Counter(task.operator for task, _record in trials)
    print_table(["operator", "records"], [[n, str(c)] for n, c in counts.items()])
    for path in paths:
        print(path)
    files = [str(path) for path in paths]
    facts = {"target": target.name, "format": arguments.format, "records": counts}
    write_json(arguments.json, facts | {"files": files})
    return 0


def _check_place(arguments: Namespace) -> None:
    if arguments.format == "autotvm":
        check_output(arguments.output)
        return
    if arguments.best:
        raise InputError("--best is for lines; a database has the best records only")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise InputError(f"cannot write {arguments.output}: it is a file, a folder is needed")
