"""What the documents say beside the tables: versions, runs, reasons, untuned shapes, the host."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from tvm_ops.boards.modelled import ModelledBoard
from tvm_ops.performance import host
from tvm_ops.performance.goals import shortfalls
from tvm_ops.performance.host import HostTime
from tvm_ops.performance.layers import LayerRow, Ours
from tvm_ops.performance.markdown import bold, table
from tvm_ops.performance.tables import PEER_NAMES, layer_tables
from tvm_ops.performance.untuned import GOAL, Summary

NOTE = """\
Modelled, one thread, float32. A ratio is the fastest peer's time over ours (NCHW in blocks of four
channels), the geometric mean over the different layers; the goal is in parentheses, and what is
below it in bold."""
_PAGE_NOTE = """\
*ours* is NCHW in blocks of four channels (the images' three stay planes), *ours NCHW* plain NCHW in
and out; each library has its own packed layout. All weights are prepared before. The ratio is the
fastest peer's time over ours, in bold where a single layer is below its kind's number. The error is
the largest difference to float64, over the largest output. *Trials* are all of the log, those of
slices too; a slice's time is never shown. R18, R50: ResNet; V1, V2, V3: MobileNet, V3 large."""
_UNTUNED_NOTE = """\
What a layer takes with the knobs of the nearest tuned workload, or the template's default, as if
nothing of its shape (with any activation) were in the logs; over what it takes tuned."""
_REASONS_NOTE = """\
A number is a mean over the layers of a kind; here are the single layers below it, the worst first,
each with what its hottest code does, from a run with a profile (`tvm-ops profile`)."""


def page(target: str, rows: Sequence[LayerRow]) -> Iterator[str]:
    """All layers of a target."""
    yield from [f"# Every layer on {target}", ""]
    yield from [f"{ModelledBoard(rows[0].target).label}; Mcycles; by `scripts/performance.sh`.", ""]
    yield from [*_PAGE_NOTE.split("\n"), ""]
    yield from layer_tables(rows)


def date(rows: Sequence[LayerRow]) -> str | None:
    """The day of the newest record or figure that is shown."""
    times = [ours.record.time for ours in _kernels(rows)]
    times += [f.time for row in rows for f in row.figures.values() if f]
    return max(times)[:10] if times else None


def versions(rows: Sequence[LayerRow]) -> dict[str, list[str]]:
    """Of TVM and of the peers, as the logs have them."""
    found: dict[str, set[str]] = {"TVM": {ours.record.tvm for ours in _kernels(rows)}}
    for row in rows:
        for name, figure in row.figures.items():
            if figure:
                found.setdefault(PEER_NAMES[name], set()).add(figure.version)
    return {name: sorted(known) for name, known in found.items()}


def _kernels(rows: Sequence[LayerRow]) -> list[Ours]:
    return [ours for row in rows for ours in (row.blocked, row.plain) if ours]


def versions_list(rows: Mapping[str, Sequence[LayerRow]]) -> Iterator[str]:
    """Where each target's page is, what board it is, of when and of which versions."""
    for target, own in rows.items():
        known = "; ".join(f"{n} {', '.join(v) or '–'}" for n, v in versions(own).items())
        label = ModelledBoard(own[0].target).label
        yield f"- [{target}](performance/{target}.md), every layer: {label}."
        yield f"  Newest figure of {date(own) or '–'}. {known}."


def reruns(rows: Mapping[str, Sequence[LayerRow]]) -> Iterator[str]:
    """Whether the logs are true, and the hot code fits."""
    yield from ["", "## The logs against new runs", ""]
    for target, own in rows.items():
        tuned = [row for row in own if row.blocked]
        if not tuned:
            yield f"- {target}: no layer is tuned."
            continue
        done = [(row, row.rerun) for row in tuned if row.rerun]
        wrong = [(row, rerun) for row, rerun in done if not rerun.agrees]
        if not done:
            yield f"- {target}: none of {len(tuned)} tuned layers was run again."
            continue
        exact = sum(rerun.is_exact for _row, rerun in done)
        apart = max(abs(rerun.cycles / rerun.logged_cycles - 1) for _row, rerun in done)
        most = max(rerun.hot_code_bytes for _row, rerun in done) / 1024
        limit = own[0].target.l1i_kib
        yield (
            f"- {target}: {len(done)} of {len(tuned)} tuned layers were run again, {exact} with "
            f"the log's cycles exactly; the largest difference is {100 * apart:.3f} %. "
            f"The largest hot code has {most:.1f} KB, the instruction cache {limit} KB."
        )
        for row, rerun in wrong:
            yield f"  - `{row.layer.key}`: **{rerun.difference}**"
        for row, _rerun in done:
            if row.fits is False:
                yield f"  - `{row.layer.key}`: **does not fit**; no gain is claimed"


def untuned(summaries: Mapping[str, Summary]) -> Iterator[str]:
    """How much slower a shape is that is not tuned."""
    yield from ["", "## Shapes that are not tuned", "", *_UNTUNED_NOTE.split("\n"), ""]
    lines = []
    for target, found in summaries.items():
        median, worst = found.median, found.worst
        lines.append(
            [
                target,
                f"{len(found.ratios)} of {found.layers}",
                "–" if median is None else bold(f"{median:.2f}", median > GOAL),
                f"{GOAL:g}",
                str(sum(ratio > GOAL for ratio in found.ratios.values())),
                "–" if worst is None else f"{found.ratios[worst]:.2f}, `{worst}`",
            ]
        )
    columns = ["board", "layers", "median", "at most", "layers above", "worst"]
    yield from table(columns, lines, left=["board", "worst"])


def on_host(times: Sequence[HostTime], layers: int) -> Iterator[str]:
    """The ratios by the wall clock of the machine that wrote this."""
    if not times:
        return
    yield from ["", "## This machine, by the wall clock", ""]
    tuned = sum(entry.tuned for entry in times)
    yield (
        f"One thread, in turns, {len(times)} of {layers} layers, {tuned} of them tuned: geometric "
        f"mean of the other's time over ours (≥ {host.GOAL:g})."
    )
    yield ""
    lines = []
    for peer, (mean, count) in host.means(times).items():
        ratios = {e.layer: e.peers[peer] / e.ours for e in times if e.ours and peer in e.peers}
        worst = min(ratios, key=lambda key: ratios[key])
        found = sorted({e.versions[peer] or "" for e in times if peer in e.peers})
        lines.append(
            [
                f"{PEER_NAMES[peer]} {', '.join(found)}",
                bold(f"{mean:.2f}", mean < host.GOAL),
                f"{statistics.median(ratios.values()):.2f}",
                str(count),
                f"{ratios[worst]:.2f}, `{worst}`",
            ]
        )
    columns = ["library", "geometric mean", "median", "layers", "worst"]
    yield from table(columns, lines, left=["library", "worst"])


def reasons(target: str, rows: Sequence[LayerRow], remarks: Mapping[str, str]) -> Iterator[str]:
    """Each layer below its number: the figures, and the sentences on its hot blocks."""
    below = [row for row in rows if shortfalls(row)]
    compared = sum(row.ratio is not None for row in rows)
    yield from ["", f"## {target}: {len(below)} of {compared} layers below their number", ""]
    if below:
        yield from [*_REASONS_NOTE.split("\n"), ""]
    for row in sorted(below, key=lambda row: row.claimed or 0.0):
        fastest = row.fastest
        figures = f"ours {row.blocked.cycles / 1e6:.3f}" if row.blocked else ""
        if fastest and fastest.cycles:
            figures += f", {PEER_NAMES[fastest.peer]} {fastest.cycles / 1e6:.3f}"
        yield f"- `{row.layer.key}` ({row.kind}): {'; '.join(shortfalls(row))}."
        yield f"  Mcycles: {figures}."
        for sentence in row.rerun.hot_blocks if row.rerun else ["not run again yet"]:
            yield f"  - {sentence}"
        for key in (row.layer.key, f"{target} {row.layer.key}"):
            if key in remarks:
                yield f"  - Remark: {remarks[key]}"
