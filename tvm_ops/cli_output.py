"""What the verbs share: tables (drawn on a terminal, plain in a pipe) and JSON files."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    title: str = "",
    right: Collection[str] = (),
) -> None:
    """Print rows of text; the columns named in ``right`` (numbers) align to the right."""
    # The doctor has to work where rich is missing.
    if sys.stdout.isatty() and find_spec("rich"):
        _drawn(columns, rows, title, right)
    else:
        _plain(columns, rows, title, right)


def _drawn(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, right: Collection[str]
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        # Where it gets narrow, the names in the first column stay in one piece.
        table.add_column(name, overflow="fold", no_wrap=i == 0)
        if name in right:
            table.columns[i].justify = "right"
    for row in rows:
        # Text, because a name like [a] in a plain string would be taken for markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def _plain(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, right: Collection[str]
) -> None:
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    if title:
        print(title)
    for row in [columns, *rows]:
        cells = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip())


def check_output(path: Path | None) -> None:
    """Refuse an output file that cannot be written, before hours of work go into it."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder, a file is needed")
    if not path.absolute().parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}")


def write_json(path: Path | None, facts: Any) -> None:
    """Write JSON whole or not at all; nothing for ``None``."""
    if path is None:
        return
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    if path.exists() and not path.is_file():  # a device or a pipe has nothing to replace
        path.write_text(text, encoding="utf-8")
        return
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # noqa: PTH101 - mkstemp makes it private
        os.replace(name, path)  # noqa: PTH105
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def cell(value: object) -> str:
    """A table's cell: three decimals for a measured number, nothing for what is not known."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"
