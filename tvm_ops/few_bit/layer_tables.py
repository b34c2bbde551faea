"""ResNet-18's 3x3 layers of few bits as tables: the goals, and each layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tvm_ops.few_bit.layers import COLUMNS, FewBitLayer, few_bit_layers
from tvm_ops.performance.markdown import table
from tvm_ops.performance.tables import goal_cell
from tvm_ops.targets import get_target

Found = Mapping[str, Sequence[FewBitLayer]]
NOTE = """\
Modelled, one thread, from `tuning_logs/`: 3x3 layers of ResNet-18, packed codes in and out,
thresholds included. MAC are multiply-adds of one bipolar bit, ratios geometric means over the four
layers; the goal is in parentheses, and what is below it in bold. *Float32* is the fastest kernel of
anyone (ncnn, MNN, XNNPACK, ONNX Runtime, ours; Winograd included) on the same layer, with relu or
without; *two bits* are unipolar activations, in and out."""


def goals(found: Found) -> Iterator[str]:
    """One column a target, a row for each goal."""
    heads = [f"{name} ({get_target(name).core})" for name in found]
    rows = [
        [column.goal.name, *(goal_cell(column.reached(x)) for x in found.values())]
        for column in COLUMNS
    ]
    yield from table(["one bit, 3x3", *heads], rows, left=["one bit, 3x3", *heads])
    yield from ["", *NOTE.split("\n")]


def each_layer(found: Found) -> Iterator[str]:
    """Cycles of every layer on every target, in millions."""
    columns = [
        "board", "layer", "1 bit", "MAC/cycle", "% of limit", "hand-written", "over it",
        "best float32", "over it", "2 bits", "share",
    ]  # fmt: skip
    rows = [_cells(x) for layers in found.values() for x in layers]
    yield from table(columns, rows, left=["board", "layer"])


def _cells(x: FewBitLayer) -> list[str]:
    target = get_target(x.target)
    peak = target.peak(few_bit_layers(target, 1)[0].workload)
    speed = x.macs_per_cycle
    return [
        x.target,
        x.name,
        _millions(x.one),
        _digits(speed, 1),
        _digits(speed and 100 * speed / peak, 0),
        _millions(x.by_hand),
        _digits(x.over_by_hand, 3),
        f"{_millions(x.float32)} {x.fastest}".strip(),
        _digits(x.over_float, 2),
        _millions(x.two),
        _digits(x.share, 3),
    ]


def _millions(cycles: int | None) -> str:
    return _digits(cycles and cycles / 1e6, 3)


def _digits(value: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" if value else "–"
