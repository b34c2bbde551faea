"""The verbs that look and make: doctor, list, build, bundle, report.

One function per verb: calls the library, prints what it gives back, returns the exit code. Each
imports what it needs itself, so that a verb without TVM does not wait for TVM.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from tvm_ops.cli_output import cell, check_output, print_table, write_json
from tvm_ops.cli_tasks import entries_of, logs_of


def doctor(arguments: Namespace) -> int:
    """``tvm-ops doctor``: 0 if everything is there, 1 if something is missing."""
    check_output(arguments.json)
    from tvm_ops.doctor import examine

    findings = examine()
    rows = [[f.area, f.name, f.state, f.found, f.hint] for f in findings]
    print_table(["area", "what", "state", "found", "how to get it"], rows)
    missing = [f.name for f in findings if f.state == "missing"]
    print(f"\nmissing: {', '.join(missing)}" if missing else "\nall there")
    write_json(arguments.json, {"findings": [asdict(f) for f in findings], "missing": missing})
    return 1 if missing else 0


def list_names(arguments: Namespace) -> int:
    """``tvm-ops list WHAT``."""
    check_output(arguments.json)
    from tvm_ops import cli_lists

    columns, rows = getattr(cli_lists, arguments.what)()
    print_table(columns, rows)
    keys = [name.replace(" ", "_") for name in columns]
    write_json(arguments.json, [dict(zip(keys, row, strict=True)) for row in rows])
    return 0


def build(arguments: Namespace) -> int:
    """``tvm-ops build``."""
    check_output(arguments.json)
    from tvm_ops.build import build_library
    from tvm_ops.targets import get_target

    entries, rows = entries_of(arguments)
    (name,) = arguments.operators
    library = build_library(entries, get_target(arguments.target), arguments.output, name)
    print_table(["workload", "knobs from"], [[str(v) for v in row.values()] for row in rows])
    for path in library.paths:
        print(path)
    files = [str(path) for path in library.paths]
    write_json(arguments.json, {"target": arguments.target, "tasks": rows, "files": files})
    return 0


def bundle(arguments: Namespace) -> int:
    """``tvm-ops bundle``."""
    check_output(arguments.json)
    check_output(arguments.output)
    from tvm_ops.bundle import load_weights, write_bundle
    from tvm_ops.signature import check_key, sign
    from tvm_ops.targets import get_target

    if arguments.sign:
        check_key(arguments.sign)
    weights = load_weights(arguments.weights) if arguments.weights else None
    entries, rows = entries_of(arguments)
    path = write_bundle(entries, get_target(arguments.target), arguments.output, weights)
    print_table(["workload", "knobs from"], [[str(v) for v in row.values()] for row in rows])
    print(f"{path} ({path.stat().st_size / 1e3:.1f} kB)")
    files = [str(path), *([str(sign(path, arguments.sign))] if arguments.sign else [])]
    for signature in files[1:]:
        print(signature)
    write_json(arguments.json, {"target": arguments.target, "tasks": rows, "files": files})
    return 0


def report(arguments: Namespace) -> int:
    """``tvm-ops report``."""
    check_output(arguments.json)
    from tvm_ops.report import report as read
    from tvm_ops.report import write_report

    sections = read(
        logs_of(arguments), targets=arguments.targets, comparisons=arguments.comparisons
    )
    path = write_report(sections, arguments.output)
    columns = ["workload", "trials", "failed", "best ms", "Mcycles", "% of peak", "gain"]
    for section in sections:
        rows = [history.to_json() for history in section.histories]
        if rows:
            lines = [[cell(value) for value in _summary(row)] for row in rows]
            title = f"{section.target.name}: {section.label}"
            print_table(columns, lines, title, right=columns[1:])
    print(f"{path} ({path.stat().st_size / 1e3:.1f} kB)")
    facts = [section.to_json() for section in sections]
    write_json(arguments.json, {"sections": facts, "files": [str(path)]})
    return 0


def _summary(row: dict[str, Any]) -> list[object]:
    failed, cycles = sum(row["failures"].values()), row["cycles"]
    figures = [row["ms"], cycles and cycles / 1e6, row["percent_of_peak"], row["gain"]]
    return [row["task"], row["trials"], failed, *figures]
