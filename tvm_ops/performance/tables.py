"""The goals and the layers as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tvm_ops.networks import KINDS, Layer
from tvm_ops.peers.figures import PEERS, Figure
from tvm_ops.performance.goals import GOALS, Reached, reached, shortfalls, value_text
from tvm_ops.performance.layers import LayerRow
from tvm_ops.performance.markdown import bold, table
from tvm_ops.targets import get_target

PEER_NAMES = {
    "ncnn": "ncnn",
    "mnn": "MNN",
    "xnnpack": "XNNPACK",
    "onnxruntime": "ONNX Runtime",
}
_NETWORK_NAMES = {
    "resnet18": "R18",
    "resnet50": "R50",
    "mobilenet_v1": "V1",
    "mobilenet_v2": "V2",
    "mobilenet_v3_large": "V3",
}


def goals_table(rows: Mapping[str, Sequence[LayerRow]]) -> Iterator[str]:
    """One column a target: the value, in bold where below its goal, and how much of it is there."""
    heads = {name: f"{name} ({get_target(name).core})" for name in rows}
    body = []
    for goal in GOALS:
        cells = [goal_cell(reached(goal, rows[name], name)) for name in rows]
        body.append([goal.name, *cells])
    yield from table(["layers", *heads.values()], body, left=["layers", *heads.values()])


def goal_cell(found: Reached) -> str:
    """``1.31 (≥ 1.15)``; with layers that lack something, how many are complete."""
    text = "–" if found.value is None else value_text(found.goal, found.value, found.least)
    parts = [bold(text, found.met is False)]
    if found.least is not None:
        parts.append(f"(≥ {found.least:g})")
    if found.incomplete:
        parts.append(f"incomplete: {found.layers - found.incomplete} of {found.layers} layers")
    return " ".join(parts)


def layer_tables(rows: Sequence[LayerRow]) -> Iterator[str]:
    """A table for each kind of layers, of one target."""
    limit = rows[0].target.l1i_kib
    for kind in KINDS:
        own = [row for row in rows if row.kind == kind]
        if own:
            yield from [f"## {kind}", ""]
            peers = [PEER_NAMES[name] for name in PEERS]
            columns = [
                "layer", "networks", "ours", "% of peak", "ours NCHW", "fastest peer", *peers,
                "ratio", "error", "trials", f"hot code KB (of {limit})",
            ]  # fmt: skip
            left = ["layer", "networks", "fastest peer"]
            yield from table(columns, [_layer_cells(row) for row in own], left)
            yield ""


def _layer_cells(row: LayerRow) -> list[str]:
    ours, fastest = row.blocked, row.fastest
    name = ours.variant if ours else ""
    peak = row.percent_of_peak
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    notes = ["code too large"] if row.fits is False else []
    notes += ["incomplete"] if ours and row.missing else []
    error = ours.record.max_error if ours else None
    size = f"{row.rerun.hot_code_bytes / 1024:.1f}" if row.rerun else ""
    return [
        short_name(row.layer),
        " ".join(_NETWORK_NAMES[name] for name in row.layer.networks),
        f"{_mcycles(ours.cycles)} {name}".strip() if ours else "not tuned",
        "" if peak is None else f"{peak:.1f}",
        _mcycles(row.plain.cycles) if row.plain else "not tuned",
        PEER_NAMES[fastest.peer] if fastest else "",
        *(_peer_cell(row.figures[name], fastest) for name in PEERS),
        ", ".join([bold(ratio, bool(shortfalls(row))), *notes]),
        "" if error is None else f"{error:.1e}",
        str(ours.trials) if ours else "",
        bold(size, row.fits is False),
    ]


def _peer_cell(figure: Figure | None, fastest: Figure | None) -> str:
    if figure is None:
        return "missing"
    if figure.cycles is None:
        return "too small" if "small" in (figure.why_not or "") else "none"
    return bold(_mcycles(figure.cycles), figure is fastest)


def _mcycles(cycles: int) -> str:
    """Three digits or more."""
    millions = cycles / 1e6
    return f"{millions:.2f}" if millions >= 1 else f"{millions:.3f}"


def short_name(layer: Layer) -> str:
    """``64→128 @56, 3x3/2, relu6``: channels, size of the input, kernel and stride, activation."""
    w = layer.workload
    if layer.operator == "dense":
        return f"{w.ci}→{w.co}, {w.activation}"
    channels = f"{w.ci}→{w.co}" if layer.operator == "conv2d" else f"{w.ci}"
    stride = f"/{w.stride[0]}" if w.stride != (1, 1) else ""
    return f"{channels} @{w.h}, {w.kernel[0]}x{w.kernel[1]}{stride}, {w.activation}"
