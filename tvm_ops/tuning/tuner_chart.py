"""Curves of several tuners in one drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm_ops.report_chart import nice_ticks

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 44
_COLOURS = ("#9aa5b5", "#1f62d0", "#c2410c")


def curves_svg(curves: Mapping[str, Sequence[float]]) -> str:
    """SVG: for each label its values after 1, 2, 3... trials, fractions of the best found."""
    longest = max((len(values) for values in curves.values()), default=1)
    low = min((v for values in curves.values() for v in values[8:] if v), default=0.0)
    low = max(0.0, min(low, 0.95) - 0.05)

    def x(trial: float) -> float:
        return LEFT + (trial - 1) / max(longest - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (1 - low) * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#596373">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for tick in nice_ticks(low, 1.0, 6)[0]:
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#dde1e7"/>')
        place = f'x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end"'
        parts.append(f"<text {place}>{100 * tick:.0f} %</text>")
    for tick in nice_ticks(1, longest, 8)[0]:
        place = f'x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle"'
        parts.append(f"<text {place}>{tick:g}</text>")
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">trials</text>')
    for i, (label, values) in enumerate(curves.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        shown = [(n, v) for n, v in enumerate(values, 1) if v >= low]
        path = "".join(
            f"{'L' if k else 'M'}{x(n):.1f} {y(v):.1f}" for k, (n, v) in enumerate(shown)
        )
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        place = f'x="{LEFT + 8 + i * 170}" y="22"'
        parts.append(f'<text {place} fill="{colour}" font-weight="600">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
