"""The curve of a tuning session as inline SVG; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Drawn at about this size on a phone (360 px) and 1.3 times on a desktop: text of 12 stays legible.
WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 40
# A trial is a mark at the upper edge if it took longer than both: 1.15 times the first good trial
# (the best so far is never above that one), 1.5 times the best, where tuning cuts off.
OF_FIRST, OF_BEST = 1.15, 1.5


def number(value: float | None, decimals: int = 2) -> str:
    """A table's cell: three digits at least, unless none are wanted; a dash for what is unknown."""
    if value is None:
        return "–"
    return f"{value:.3g}" if decimals and abs(value) < 0.1 else f"{value:.{decimals}f}"


@dataclass(frozen=True)
class Marks:
    """Trials (counted from 1) that are no point in the chart."""

    slow: Sequence[int]  # slower than the scale, or cut off because of that
    failed: Sequence[int]


@dataclass(frozen=True)
class _Scale:
    """From values to the drawing's units; y in ms, growing upwards."""

    trials: int
    low: float
    high: float

    def x(self, trial: float) -> float:
        share = (trial - 1) / max(self.trials - 1, 1)
        return LEFT + 6 + share * (WIDTH - LEFT - RIGHT - 12)

    def y(self, ms: float) -> float:
        share = (ms - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def longest_shown(milliseconds: Sequence[float | None]) -> float:
    """What a trial may take to be a point in the chart, in ms."""
    known = [ms for ms in milliseconds if ms]
    return max(OF_FIRST * known[0], OF_BEST * min(known)) if known else 0.0


def convergence(milliseconds: Sequence[float | None], marks: Marks, unit: str) -> str:
    """Points for the trials, a step line for the best so far, a dashed line for the first trial.

    ``milliseconds`` has one value per trial, None where it has no time; at least one has one.
    ``unit`` is the y axis' title, such as "ms, modelled".
    """
    limit = longest_shown(milliseconds)
    points = [(i, ms) for i, ms in enumerate(milliseconds, 1) if ms and ms <= limit]
    steps = _best_so_far(points)
    best, first = steps[-1][1], milliseconds[0]
    values = [ms for _, ms in points]
    span = max(values) - best or 0.2 * best
    # Room below the best for its label.
    scale = _Scale(len(milliseconds), max(0.0, best - 0.22 * span), max(values) + 0.08 * span)
    words = f"Best so far: {number(steps[0][1], 3)} ms at trial {steps[0][0]}, " + (
        f"{number(best, 3)} ms at trial {steps[-1][0]} of {len(milliseconds)}"
    )
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">',
        *_axes(scale, unit),
        _dots(scale, points),
        _symbols("slow", "m-3 5l3-5l3 5", [scale.x(i) for i in marks.slow], TOP - 6),
        _symbols(
            "failed",
            "m-3-3l6 6m0-6l-6 6",
            [scale.x(i) for i in marks.failed],
            HEIGHT - BOTTOM - 6,
        ),
        *(_reference(scale, first) if first and first > best else []),
        _curve(scale, steps),
        *_improvements(scale, steps),
        _label(scale, steps),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def _best_so_far(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    steps: list[tuple[int, float]] = []
    for trial, ms in points:
        if not steps or ms < steps[-1][1]:
            steps.append((trial, ms))
    return steps


def _axes(scale: _Scale, unit: str) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    ticks, decimals = nice_ticks(scale.low, scale.high, 6)
    for tick in ticks:
        y = scale.y(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="end">{tick:.{decimals}f}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    for number in [1, *(int(t) for t in nice_ticks(1, scale.trials, 6)[0] if t > 1 and t % 1 == 0)]:
        x = scale.x(number)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" class="mid">{number}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 6}" class="mid">trial</text>')
    y = (TOP + bottom) / 2
    parts.append(f'<text transform="translate(11 {y:g})rotate(-90)" class="mid">{unit}</text>')
    return parts


def nice_ticks(low: float, high: float, most: int) -> tuple[list[float], int]:
    """At most ``most`` multiples of 1, 2 or 5 times a power of ten, and the decimals they need."""
    if high <= low:
        return [low], 0
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power) if (high - low) / s <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [round(i * step, decimals) for i in range(first, last + 1)], decimals


def _dots(scale: _Scale, points: Sequence[tuple[int, float]]) -> str:
    """One path of round line ends: a tenth of the bytes of a circle each."""
    path = "".join(f"M{scale.x(i):.1f} {scale.y(ms):.1f}h0" for i, ms in points)
    return f'<path class="dots" d="{path}"/>'


def _symbols(name: str, shape: str, xs: Sequence[float], y: float) -> str:
    path = "".join(f"M{x:.1f} {y:g}{shape}" for x in xs)
    return f'<path class="{name}" d="{path}"/>' if xs else ""


def _reference(scale: _Scale, ms: float) -> list[str]:
    y, right = scale.y(ms), WIDTH - RIGHT
    return [
        f'<path class="default" d="M{LEFT} {y:.1f}H{right}"/>',
        f'<text x="{right - 2}" y="{y - 5:.1f}" class="end halo">default {number(ms, 3)}</text>',
    ]


def _curve(scale: _Scale, steps: Sequence[tuple[int, float]]) -> str:
    trial, ms = steps[0]
    path = f"M{scale.x(trial):.1f} {scale.y(ms):.1f}"
    path += "".join(f"H{scale.x(i):.1f}V{scale.y(ms):.1f}" for i, ms in steps[1:])
    return f'<path class="best" d="{path}H{scale.x(scale.trials):.1f}"/>'


def _improvements(scale: _Scale, steps: Sequence[tuple[int, float]]) -> list[str]:
    """Each with a text that shows where a pointer rests on it."""
    parts = []
    for (trial, ms), before in zip(steps, [None, *(ms for _, ms in steps)], strict=False):
        gained = f", {100 * (1 - ms / before):.1f} % less time" if before else ""
        parts.append(
            f'<circle class="step" cx="{scale.x(trial):.1f}" cy="{scale.y(ms):.1f}" r="3.5">'
            f"<title>trial {trial}: {number(ms, 3)} ms{gained}</title></circle>"
        )
    return parts


def _label(scale: _Scale, steps: Sequence[tuple[int, float]]) -> str:
    x, y = scale.x(scale.trials), scale.y(steps[-1][1])
    text = f"{number(steps[-1][1], 3)} ms"
    return f'<text x="{x:.1f}" y="{y + 17:.1f}" class="end halo value">{text}</text>'
