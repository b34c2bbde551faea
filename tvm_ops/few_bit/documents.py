"""docs/performance.md's part on few-bit networks, and what it is made of in docs/performance/."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tvm_ops.few_bit.chart import bars
from tvm_ops.few_bit.sums import NetworkSums
from tvm_ops.few_bit.tables import NAMES, document
from tvm_ops.few_bit.tasks import ABLATION, PRECISIONS
from tvm_ops.performance.markdown import replace_generated

SCRIPT = "few_bit_networks.sh"
Sums = Mapping[str, Sequence[NetworkSums]]


def write_documents(root: Path, found: Sums) -> None:
    """The part between the script's markers, and of each target the sums and two plots.

    Raises ``InputError`` where docs/performance.md has no markers.
    """
    folder = root / "docs" / "performance"
    for target, sums in found.items():
        lines = ",\n ".join(json.dumps(asdict(network)) for network in sums)
        _path(folder, target, ".json").write_text(f"[\n {lines}\n]\n", encoding="utf-8")
        speedups, without = plots(target, sums)
        _path(folder, target, ".svg").write_text(speedups, encoding="utf-8")
        _path(folder, target, "-without.svg").write_text(without, encoding="utf-8")
    replace_generated(root / "docs" / "performance.md", list(document(found)), SCRIPT)


def read_sums(root: Path, target: str) -> list[NetworkSums]:
    """What ``write_documents`` wrote. Raises ``InputError`` for other fields."""
    text = _path(root / "docs" / "performance", target, ".json").read_text(encoding="utf-8")
    return [NetworkSums.of_json(values) for values in json.loads(text)]


def _path(folder: Path, target: str, suffix: str) -> Path:
    return folder / f"{target}-few-bit{suffix}"


def plots(target: str, sums: Sequence[NetworkSums]) -> tuple[str, str]:
    """Speedups over float32 of each precision; times without each part, over that with all."""
    networks = [NAMES[s.network] for s in sums]
    names = [p.name for p in PRECISIONS]
    speedups = [[s.speedup(name) for s in sums] for name in names]
    without = [[s.slowdown(step) for s in sums] for step in ABLATION]
    return (
        bars(
            f"{target}: times faster than the best float32, all layers", networks, names, speedups
        ),
        bars(
            f"{target}: time of the binarized layers over that with all, 1 bit",
            networks,
            ABLATION,
            without,
        ),
    )
