"""The documents: docs/performance.md, a page and a JSON file a target, the README's table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.performance import host, sections
from tvm_ops.performance.goals import GOALS, reached
from tvm_ops.performance.host import HostTime
from tvm_ops.performance.layers import LayerRow, to_json
from tvm_ops.performance.markdown import replace_generated
from tvm_ops.performance.tables import goals_table
from tvm_ops.performance.untuned import Summary


@dataclass(frozen=True)
class Facts:
    """All that the documents show: of each target the layers, and what they would get untuned."""

    rows: Mapping[str, Sequence[LayerRow]]
    untuned: Mapping[str, Summary] = field(default_factory=dict)
    host: Sequence[HostTime] = ()


def write_documents(root: Path, facts: Facts) -> None:
    """``docs/performance.md`` and ``README.md`` between their markers, ``docs/performance/``.

    Raises ``InputError`` where a document has no markers.
    """
    folder = root / "docs" / "performance"
    remarks = read_remarks(folder / "remarks.md")
    for target, rows in facts.rows.items():
        page = "\n".join(sections.page(target, rows))
        (folder / f"{target}.md").write_text(page, encoding="utf-8")
        _write_json(folder / f"{target}.json", report(target, facts))
    layers = len(next(iter(facts.rows.values())))
    _write_json(folder / "host.json", host.to_json(facts.host, layers))
    document = [*goals_table(facts.rows), "", *sections.NOTE.split("\n"), ""]
    document += [*sections.versions_list(facts.rows), *sections.reruns(facts.rows)]
    document += [*sections.untuned(facts.untuned), *sections.on_host(facts.host, layers)]
    for target, rows in facts.rows.items():
        document += sections.reasons(target, rows, remarks)
    replace_generated(root / "docs" / "performance.md", document)
    replace_generated(
        root / "README.md", [*goals_table(facts.rows), "", *sections.NOTE.split("\n")]
    )


def _write_json(path: Path, facts: dict[str, Any]) -> None:
    """One line for each fact and for each entry of a list, so that changes are easy to see."""
    lines = []
    for name, value in facts.items():
        text = _json(value)
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
        lines.append(f" {_json(name)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def report(target: str, facts: Facts) -> dict[str, Any]:
    """All facts of a target."""
    rows = facts.rows[target]
    untuned = facts.untuned.get(target)
    return {
        "target": target,
        "board": ModelledBoard(rows[0].target).label,
        "date": sections.date(rows),
        "versions": sections.versions(rows),
        "goals": [reached(goal, rows, target).to_json() for goal in GOALS],
        "untuned": untuned and untuned.to_json(),
        "layers": [to_json(row) for row in rows],
    }


def read_remarks(path: Path) -> dict[str, str]:
    """Remarks written by hand: a heading ``## [TARGET ]LAYER``, and below it the text."""
    found: dict[str, list[str]] = {}
    key = ""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        if line.startswith("## "):
            key = line.removeprefix("## ").strip().strip("`")
        elif key and line.strip():
            found.setdefault(key, []).append(line.strip())
    return {key: " ".join(lines) for key, lines in found.items()}
