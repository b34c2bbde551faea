"""The goals for each kind of layers and board, and what of them is reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tvm_ops.networks import Layer, kind
from tvm_ops.performance.layers import LayerRow

WIDE = 128  # channels in and out from which a 1x1 layer is held to the core's peak
_POINTWISE = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "resnet50")


@dataclass(frozen=True)
class Goal:
    """``measure`` of the layers that ``has`` picks, at least ``least[target]``.

    A ratio is the fastest peer's time over ours, ``peak`` our percentage of the core's peak: both
    as the geometric mean over the layers, each different one once. ``worst`` is the lowest ratio.
    """

    name: str
    measure: Literal["ratio", "peak", "worst"]
    has: Callable[[Layer], bool]
    least: dict[str, float]


def _of(name: str, networks: Sequence[str] = ()) -> Callable[[Layer], bool]:
    return lambda layer: (
        kind(layer) == name and (not networks or not set(networks).isdisjoint(layer.networks))
    )


def _is_wide(layer: Layer) -> bool:
    return kind(layer) == "1x1" and min(layer.workload.ci, layer.workload.co) >= WIDE


def _boards(rpi3: float, rpi4: float, rpi5: float) -> dict[str, float]:
    return {"rpi3": rpi3, "rpi4": rpi4, "rpi5": rpi5}


GOALS = (
    Goal("3x3 stride 1, ResNet-18 and -50", "ratio", _of("3x3 stride 1"), _boards(1.15, 1.25, 1.1)),
    Goal(
        "1x1, MobileNet v1, v2, v3 and ResNet-50", "ratio", _of("1x1", _POINTWISE),
        _boards(1.0, 1.0, 1.0),
    ),
    Goal("3x3 and 7x7 stride 2", "ratio", _of("3x3 and 7x7 stride 2"), _boards(1.0, 1.05, 1.0)),
    Goal("depthwise 3x3 and 5x5, MobileNets", "ratio", _of("depthwise"), _boards(1.0, 1.1, 1.1)),
    Goal("dense", "ratio", _of("dense"), {}),
    Goal(
        f"percent of peak, 1x1 with {WIDE} or more channels in and out", "peak", _is_wide,
        _boards(68, 92, 93),
    ),
    Goal("worst single layer", "worst", lambda layer: True, _boards(0.8, 0.85, 0.85)),
)  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """What a target has of a goal; ``value`` is of the layers that have one, None without any.

    ``incomplete`` layers lack our record or a peer's figure; in ``untimed`` ones no peer has a time
    and so there is nothing to compare with. ``worst_layer`` is the key of the lowest.
    """

    goal: Goal
    least: float | None
    value: float | None
    layers: int
    incomplete: int
    untimed: int
    worst_layer: str | None

    @property
    def met(self) -> bool | None:
        """None where there is no goal, or layers are missing so that it is open."""
        if self.least is None or self.value is None:
            return None
        if self.value < self.least:
            return False
        return None if self.incomplete else True

    def to_json(self) -> dict[str, Any]:
        return {
            "goal": self.goal.name,
            "measure": self.goal.measure,
            "least": self.least,
            "value": self.value,
            "met": self.met,
            "layers": self.layers,
            "incomplete": self.incomplete,
            "untimed": self.untimed,
            "worst_layer": self.worst_layer,
        }


def reached(goal: Goal, rows: Sequence[LayerRow], target: str) -> Reached:
    """What the rows, of one target, have of the goal."""
    own = [row for row in rows if goal.has(row.layer)]
    peak = goal.measure == "peak"
    values = {row.layer.key: row.percent_of_peak if peak else row.claimed for row in own}
    known = {key: value for key, value in values.items() if value is not None}
    value = None
    if known:
        middle = min if goal.measure == "worst" else statistics.geometric_mean
        value = middle(known.values())
    complete = [row for row in own if (row.blocked if peak else not row.missing)]
    return Reached(
        goal=goal,
        least=goal.least.get(target),
        value=value,
        layers=len(own),
        incomplete=len(own) - len(complete),
        untimed=sum(row.fastest is None for row in complete),
        worst_layer=min(known, key=lambda key: known[key], default=None),
    )


def shortfalls(row: LayerRow) -> list[str]:
    """Which of its kind's numbers a single layer is below, in words; none where all is well.

    A kind's number is a mean over its layers; one below it is not a failure but has a reason.
    """
    found = []
    for goal in GOALS:
        value = row.percent_of_peak if goal.measure == "peak" else row.claimed
        least = goal.least.get(row.target.name)
        if least is None or value is None or value >= least or not goal.has(row.layer):
            continue
        text = value_text(goal, value, least)
        if goal.measure == "peak":
            found.append(f"{text} % of peak, not {least:g}")
        elif goal.measure == "ratio":
            found.append(f"ratio {text}, not {least:g}")
        else:
            found.append(f"below {least:g}, which no layer should be")
    return found


def value_text(goal: Goal, value: float, least: float | None) -> str:
    """Two digits, of percent one; more where the value would be rounded up to what it is below."""
    digits = 1 if goal.measure == "peak" else 2
    while least and value < least <= float(f"{value:.{digits}f}"):
        digits += 1
    return f"{value:.{digits}f}"
