"""docs/performance.md's part on few-bit networks, and what it is made of in docs/performance/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tvm_ops.few_bit import layer_tables
from tvm_ops.few_bit.chart import bars
from tvm_ops.few_bit.layers import FewBitLayer
from tvm_ops.few_bit.sums import NetworkSums
from tvm_ops.few_bit.tables import NAMES, document
from tvm_ops.few_bit.tasks import ABLATION, PRECISIONS
from tvm_ops.performance.markdown import replace_generated

SCRIPT = "few_bit_networks.sh"
Sums = Mapping[str, Sequence[NetworkSums]]
Layers = Mapping[str, Sequence[FewBitLayer]]


def write_documents(root: Path, found: Sums, layers: Layers) -> None:
    """The parts between the script's markers, and of each target the sums and two plots.

    Raises ``InputError`` where docs/performance.md or README.md has no markers.
    """
    folder = root / "docs" / "performance"
    for target, sums in found.items():
        lines = ",\n ".join(json.dumps(asdict(network)) for network in sums)
        _path(folder, target, ".json").write_text(f"[\n {lines}\n]\n", encoding="utf-8")
        speedups, without = plots(target, sums)
        _path(folder, target, ".svg").write_text(speedups, encoding="utf-8")
        _path(folder, target, "-without.svg").write_text(without, encoding="utf-8")
    rows = ",\n ".join(json.dumps(asdict(layer)) for own in layers.values() for layer in own)
    _layers_path(root).write_text(f"[\n {rows}\n]\n", encoding="utf-8")
    parts = [*layers_document(layers), *document(found)]
    replace_generated(root / "docs" / "performance.md", parts, SCRIPT)
    replace_generated(root / "README.md", list(layer_tables.goals(layers)), SCRIPT)


def layers_document(layers: Layers) -> Iterator[str]:
    """docs/performance.md's part on the 3x3 layers."""
    yield from ["### 3x3 layers against the goals", "", *layer_tables.goals(layers)]
    yield from ["", "Millions of cycles:", "", *layer_tables.each_layer(layers)]


def read_layers_document(root: Path) -> dict[str, list[FewBitLayer]]:
    """What ``write_documents`` wrote. Raises ``InputError`` for other fields."""
    found: dict[str, list[FewBitLayer]] = {}
    for values in json.loads(_layers_path(root).read_text(encoding="utf-8")):
        layer = FewBitLayer.of_json(values)
        found.setdefault(layer.target, []).append(layer)
    return found


def read_sums(root: Path, target: str) -> list[NetworkSums]:
    """What ``write_documents`` wrote. Raises ``InputError`` for other fields."""
    text = _path(root / "docs" / "performance", target, ".json").read_text(encoding="utf-8")
    return [NetworkSums.of_json(values) for values in json.loads(text)]


def _layers_path(root: Path) -> Path:
    return root / "docs" / "performance" / "few-bit-layers.json"


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
