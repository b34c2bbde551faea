"""ResNet-18's 3x3 layers of one bit and of two, held against the goals; from tuning_logs/ only.

The one bit is bipolar, the two of activations unipolar; both read packed codes, and write, by
thresholds, packed codes of as many bits. Float32 is the fastest kernel of anyone on the layer of
the same sizes, with relu or without, ours in either layout and Winograd included.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_ops.chooser import variant
from tvm_ops.errors import InputError
from tvm_ops.networks import Layer, layers
from tvm_ops.operators import bitserial_conv2d
from tvm_ops.peers.figures import figures_path, lookup, read_figures
from tvm_ops.performance.goals import Goal, Reached
from tvm_ops.performance.layers import BOARD, LayerRow, read_rows
from tvm_ops.performance.tables import PEER_NAMES
from tvm_ops.targets import Target
from tvm_ops.task import Task
from tvm_ops.tuning.log import best, log_path, read_log

NETWORK = "resnet18"
BY_HAND = "handwritten"


@dataclass(frozen=True)
class FewBitLayer:
    """Cycles on one target, None where a log has nothing."""

    target: str
    name: str
    """Channels and pixels a side: ``128@28``."""
    macs: int
    one: int | None
    two: int | None
    by_hand: int | None
    float32: int | None
    fastest: str
    """Whose float32, and of ours which variant; empty if nobody's is known."""

    @classmethod
    def of_json(cls, values: Any) -> FewBitLayer:
        """The inverse of ``dataclasses.asdict``; raises ``InputError``."""
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"few-bit layer: {error}") from None

    @property
    def macs_per_cycle(self) -> float | None:
        return _ratio(self.macs, self.one)

    @property
    def over_float(self) -> float | None:
        """How many times as long float32 takes as one bit; for the others below the same."""
        return _ratio(self.float32, self.one)

    @property
    def over_by_hand(self) -> float | None:
        return _ratio(self.by_hand, self.one)

    @property
    def share(self) -> float | None:
        """Of the speed of one bit that two have."""
        return _ratio(self.one, self.two)


def _ratio(above: int | None, below: int | None) -> float | None:
    return above / below if above and below else None


def few_bit_layers(target: Target, bits: int) -> list[Task]:
    """ResNet-18's four, of one bit or of two; the first of the operator's workloads."""
    found = [w for w in bitserial_conv2d.WORKLOADS if w.a_bits == w.out_bits == bits]
    return [Task("bitserial_conv2d", w, target) for w in found if w.kernel == (3, 3)][:4]


def read_layers(target: Target, logs: Path) -> list[FewBitLayer]:
    """The best checked records and the peers' figures. Raises ``InputError`` for a bad log."""
    records = read_log(log_path(logs, target.name, "bitserial_conv2d"))
    figures = read_figures(figures_path(logs, target.name))
    rows = read_rows(layers(NETWORK), target, logs)

    def cycles(task: Task) -> int | None:
        chosen = best(r for r in records if r.task == task.key and r.board == BOARD)
        return chosen.cycles if chosen else None

    found = []
    for one, two in zip(few_bit_layers(target, 1), few_bit_layers(target, 2), strict=True):
        w, figure = one.workload, lookup(figures, one.key, BY_HAND)
        candidates = [f for row in rows if _is_same(row.layer, w) for f in _floats(row)]
        float32, fastest = min(candidates, default=(None, ""))
        found.append(
            FewBitLayer(
                target.name, f"{w.ci}@{w.h}", w.macs, cycles(one), cycles(two),
                figure.cycles if figure else None, float32, fastest,
            )
        )  # fmt: skip
    return found


def _is_same(layer: Layer, w: bitserial_conv2d.Workload) -> bool:
    of: bitserial_conv2d.Workload = layer.workload
    sizes = ("n", "ci", "h", "w", "co", "kernel", "stride", "pad", "groups")
    return layer.operator == "conv2d" and all(getattr(of, s) == getattr(w, s) for s in sizes)


def _floats(row: LayerRow) -> list[tuple[int, str]]:
    """Cycles and whose: ours in either layout, the peers'."""
    ours = [o for o in (row.blocked, row.plain) if o]
    found = [(o.cycles, f"ours {variant(o.task, o.record)}".strip()) for o in ours]
    return found + [(f.cycles, PEER_NAMES[f.peer]) for f in row.figures.values() if f and f.cycles]


@dataclass(frozen=True)
class Column:
    """A figure of each layer, and the goal that the geometric mean over its layers has."""

    goal: Goal
    value: Callable[[FewBitLayer], float | None]
    wide: bool | None = None
    """Layers of 128 channels and more, those of fewer, or both."""

    def reached(self, found: Sequence[FewBitLayer]) -> Reached:
        """Of one target; all its layers have to be known for a value."""
        own = [x for x in found if self.wide in (None, not x.name.startswith("64@"))]
        values = [v for x in own if (v := self.value(x)) is not None]
        mean = statistics.geometric_mean(values) if own and len(values) == len(own) else None
        least = self.goal.least.get(found[0].target) if found else None
        return Reached(self.goal, least, mean, len(own), len(own) - len(values), 0, None)


def _goal(name: str, rpi3: float, rpi4: float, rpi5: float, *, digits: int = 2) -> Goal:
    least = {"rpi3": rpi3, "rpi4": rpi4, "rpi5": rpi5}
    return Goal(name, "peak" if digits == 1 else "ratio", lambda _layer: False, least)


COLUMNS = (
    Column(
        _goal("MAC/cycle, 128@28, 256@14 and 512@7", 32, 74, 80, digits=1),
        lambda x: x.macs_per_cycle,
        wide=True,
    ),
    Column(_goal("MAC/cycle, 64@56", 25, 66, 74, digits=1), lambda x: x.macs_per_cycle, wide=False),
    Column(_goal("over our hand-written kernel", 1.05, 1.05, 1.05), lambda x: x.over_by_hand),
    Column(_goal("over the best float32 of anyone", 5, 6, 3.3), lambda x: x.over_float),
    Column(_goal("two bits' share of the speed of one", 0.5, 0.5, 0.5), lambda x: x.share),
)
