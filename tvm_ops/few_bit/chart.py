"""Grouped bars as an SVG of its own, that pages in light and dark can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tvm_ops.report_chart import nice_ticks

WIDTH, HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 62, 34
_COLOURS = ("#1f62d0", "#5b94e8", "#a9c8f5", "#c2410c", "#f0a070", "#8793a5")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1a1f27}.end{text-anchor:end}.mid{text-anchor:middle}"
    ".small{font-size:10px}.title{font-weight:600}.grid{stroke:#dde1e7}.axis{stroke:#1a1f27}"
)
_PER_LINE = 3  # entries of the legend
_ENTRY = 180  # their width


def bars(
    title: str,
    groups: Sequence[str],
    series: Sequence[str],
    values: Sequence[Sequence[float | None]],
) -> str:
    """One bar for each value, ``values[series][group]``; None leaves its place empty, marked."""
    known = [value for row in values for value in row if value]
    high = 1.08 * max(known, default=1.0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">',
        f'<style>{_STYLE}</style><path fill="#fff" d="M0 0H{WIDTH}V{HEIGHT}H0z"/>',
        f'<text class="title" x="{_LEFT}" y="16">{escape(title)}</text>',
        *_legend(series),
        *_grid(high),
        *_groups(groups, values, high),
        f'<path class="axis" d="M{_LEFT} {HEIGHT - _BOTTOM}H{WIDTH - _RIGHT}"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _y(value: float, high: float) -> float:
    return HEIGHT - _BOTTOM - value / high * (HEIGHT - _BOTTOM - _TOP)


def _legend(series: Sequence[str]) -> Iterator[str]:
    for number, name in enumerate(series):
        x = _LEFT + _ENTRY * (number % _PER_LINE)
        y = 32 + 16 * (number // _PER_LINE)
        yield f'<path fill="{_COLOURS[number]}" d="M{x} {y - 9}h10v10h-10z"/>'
        yield f'<text x="{x + 15}" y="{y}">{escape(name)}</text>'


def _grid(high: float) -> Iterator[str]:
    ticks, decimals = nice_ticks(0, high, 6)
    for tick in ticks:
        y = _y(tick, high)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
        yield f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{tick:.{decimals}f}</text>'


def _groups(
    groups: Sequence[str], values: Sequence[Sequence[float | None]], high: float
) -> Iterator[str]:
    width = (WIDTH - _LEFT - _RIGHT) / max(len(groups), 1)
    bar = 0.84 * width / max(len(values), 1)
    for place, name in enumerate(groups):
        left = _LEFT + (place + 0.08) * width
        middle = _LEFT + (place + 0.5) * width
        yield f'<text class="mid" x="{middle:.1f}" y="{HEIGHT - 12}">{escape(name)}</text>'
        for number, row in enumerate(values):
            value = row[place]
            x, y = left + number * bar, _y(value or 0.0, high)
            label = f"{value:.2f}" if value else "?"
            if value:
                shape = f"M{x + 1:.1f} {y:.1f}h{bar - 2:.1f}V{HEIGHT - _BOTTOM}h{2 - bar:.1f}z"
                yield f'<path fill="{_COLOURS[number]}" d="{shape}"/>'
            yield f'<text class="mid small" x="{x + bar / 2:.1f}" y="{y - 3:.1f}">{label}</text>'
