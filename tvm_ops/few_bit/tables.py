"""The sums as text: tables for docs/performance.md and the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.few_bit.sums import NetworkSums
from tvm_ops.few_bit.tasks import ABLATION, PRECISIONS
from tvm_ops.performance.markdown import table
from tvm_ops.targets import get_target

NAMES = {
    "alexnet": "AlexNet", "vgg11": "VGGNet (VGG-11)", "resnet18": "ResNet-18",
    "squeezenet": "SqueezeNet",
}  # fmt: skip
RIPTIDE = {"squeezenet": 10.6, "vgg11": 9.9, "alexnet": 8.4}
"""Fromm et al., "Riptide", 2020: one unipolar bit on a Raspberry Pi 3B, four threads, over its own
float32."""
_UNKNOWN = "–"
_MOST_NAMED = 3


def document(found: Mapping[str, Sequence[NetworkSums]]) -> Iterator[str]:
    """What stands in docs/performance.md: of each target the tables, the plots, what is missing."""
    for target, sums in found.items():
        yield from ["", f"### {target}: {ModelledBoard(get_target(target)).label}", ""]
        yield from speedups(target, sums)
        yield from ["", f"![speedups on {target}](performance/{target}-few-bit.svg)"]
        if any(s.slowdown(ABLATION[1]) for s in sums):
            yield from [
                "",
                "Time of the binarized layers, one unipolar bit, over that with all:",
                "",
            ]
            yield from ablation(sums)
            without = f"performance/{target}-few-bit-without.svg"
            yield from ["", f"![time without parts on {target}]({without})"]
        yield from missing(sums)


def speedups(target: str, sums: Sequence[NetworkSums]) -> Iterator[str]:
    """Float32 in ms, and how many times faster each precision is: all layers, the binarized."""
    names = [p.name for p in PRECISIONS]
    rows = []
    for network in sums:
        for whole in (True, False):
            cycles = (network.whole if whole else network.binarized)["float32"]
            ms = f"{get_target(target).milliseconds(cycles):.1f} ms" if cycles else _UNKNOWN
            title = NAMES[network.network] if whole else "its binarized layers alone"
            riptide = RIPTIDE.get(network.network) if whole else None
            cells = [_times(network.speedup(name, whole=whole)) for name in names]
            rows.append([title, ms, *cells, f"{riptide:g}x" if riptide else ""])
    columns = ["network", "best float32", *names, "Riptide, 1 bit unipolar"]
    yield from table(columns, rows, left=["network"])


def ablation(sums: Sequence[NetworkSums]) -> Iterator[str]:
    """Each step's time over the first's."""
    rows = [[step, *(_ratio(s.slowdown(step)) for s in sums)] for step in ABLATION]
    columns = ["", *(NAMES[s.network] for s in sums)]
    yield from table(columns, rows, left=[""])


def missing(sums: Sequence[NetworkSums]) -> Iterator[str]:
    """What keeps a sum from being known, by network."""
    for network in sums:
        if network.missing:
            few = network.missing[:_MOST_NAMED]
            rest = len(network.missing) - len(few)
            more = f", and {rest} more" if rest else ""
            yield from ["", f"{NAMES[network.network]} is not whole: {', '.join(few)}{more}."]
        if network.partly:
            count = f"the best float32 of {len(network.partly)} layers"
            yield from [
                "",
                f"{NAMES[network.network]}: {count} is not yet that of all four peers and",
            ]
            yield "of ours, so the speedups are at most these."


def text_plot(target: str, sums: Sequence[NetworkSums]) -> Iterator[str]:
    """The speedups of all layers as bars for a terminal, a block for half of float32's speed."""
    yield f"{target}, all layers:"
    for network in sums:
        for precision in PRECISIONS:
            speedup = network.speedup(precision.name)
            bar = "█" * round(2 * (speedup or 0))
            title = f"{NAMES[network.network]}, {precision.name}"
            yield f"{title:32} {bar} {_times(speedup)}"


def _times(speedup: float | None) -> str:
    return f"{speedup:.2f}x" if speedup else _UNKNOWN


def _ratio(value: float | None) -> str:
    return f"{value:.2f}" if value else _UNKNOWN
