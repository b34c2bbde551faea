"""One function per verb: calls the library, prints what it gives back, returns the exit code.

Each imports what it needs itself, so that a verb without TVM does not wait for TVM.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from tvm_ops.cli_output import check_output, print_table, write_json


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
