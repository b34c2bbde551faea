"""What a network's layers take together: the best float32 of anyone, few bits, without parts.

Poolings, additions and concatenations are in no sum, float32 or few-bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.few_bit.runs import Known
from tvm_ops.few_bit.tasks import (
    ABLATION,
    ONE_BIT,
    PRECISIONS,
    Kernel,
    ablated,
    binarized,
    few_bit_task,
    float_layers,
    packing_task,
)
from tvm_ops.networks import Layer, layers
from tvm_ops.performance.layers import LayerRow, read_rows
from tvm_ops.targets import Target


@dataclass(frozen=True)
class NetworkSums:
    """Cycles of a network on one target; None where something of ``missing`` belongs to the sum.

    ``whole`` and ``binarized`` have "float32" and the name of each precision: all layers, and
    those that are binarized. To the whole of few bits belong the layers that stay float32, and the
    packing in front. ``ablation`` has the binarized layers at each step, of one unipolar bit.
    ``partly`` names the layers whose best float32 is not yet that of all peers and of ours.
    """

    network: str
    whole: dict[str, int | None]
    binarized: dict[str, int | None]
    ablation: dict[str, int | None]
    missing: list[str]
    partly: list[str]

    def speedup(self, name: str, *, whole: bool = True) -> float | None:
        """Of a precision over float32."""
        sums = self.whole if whole else self.binarized
        return _ratio(sums["float32"], sums[name])

    def slowdown(self, step: str) -> float | None:
        """Time at a step of the ablation, over that with everything."""
        return _ratio(self.ablation[step], self.ablation[ABLATION[0]])

    @classmethod
    def of_json(cls, values: Any) -> NetworkSums:
        """The inverse of ``dataclasses.asdict``; raises ``InputError``."""
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"sums of a network: {error}") from None


def _ratio(above: int | None, below: int | None) -> float | None:
    return above / below if above and below else None


def best_float(row: LayerRow) -> int | None:
    """The fewest cycles of the peers and of ours in either layout; None without any."""
    known = [ours.cycles for ours in (row.blocked, row.plain) if ours]
    known += [figure.cycles for figure in row.figures.values() if figure and figure.cycles]
    return min(known, default=None)


def network_sums(network: str, target: Target, logs: Path, known: Known) -> NetworkSums:
    """From the logs and the runs. Raises ``InputError`` for a log that cannot be read."""
    first, last = float_layers(network)
    middle = binarized(network)
    rows = read_rows(layers(network), target, logs)
    floats = {row.layer.key: best_float(row) for row in rows}
    missing = [f"no float32 figure of `{key}`" for key, cycles in floats.items() if not cycles]
    partly = [f"{row.layer.key}: {', '.join(row.missing)}" for row in rows if row.missing]
    whole: dict[str, int | None] = {"float32": _total(layers(network), floats)}
    only: dict[str, int | None] = {"float32": _total(middle, floats)}
    ends = _total([first, last], floats)
    for precision in PRECISIONS:
        tasks = {x.key: [Kernel(few_bit_task(x, precision, target))] for x in middle}
        packing = Kernel(packing_task(network, precision, target))
        missing += _missing(
            [packing, *(kernel for found in tasks.values() for kernel in found)], known
        )
        only[precision.name] = _total(middle, _cycles(tasks, known))
        whole[precision.name] = _add([ends, known.cycles(packing), only[precision.name]])
    ablation: dict[str, int | None] = {}
    for step, name in enumerate(ABLATION):
        steps = {x.key: list(ablated(few_bit_task(x, ONE_BIT, target), step)) for x in middle}
        ablation[name] = _total(middle, _cycles(steps, known))
    return NetworkSums(network, whole, only, ablation, missing, partly)


def kernels(network: str, target: Target) -> list[Kernel]:
    """All that the sums need, those of the precisions first."""
    found = []
    middle = binarized(network)
    for precision in PRECISIONS:
        found.append(Kernel(packing_task(network, precision, target)))
        found += [Kernel(few_bit_task(layer, precision, target)) for layer in middle]
    for step in range(1, len(ABLATION)):
        for layer in middle:
            found += ablated(few_bit_task(layer, ONE_BIT, target), step)
    return found


def _missing(kernels: Iterable[Kernel], known: Known) -> list[str]:
    keys = dict.fromkeys(k.task.key for k in kernels if known.cycles(k) is None)
    return [f"no run of `{key}`" for key in keys]


def _cycles(tasks: dict[str, list[Kernel]], known: Known) -> dict[str, int | None]:
    return {key: _add([known.cycles(kernel) for kernel in found]) for key, found in tasks.items()}


def _total(found: Sequence[Layer], cycles: dict[str, int | None]) -> int | None:
    """Each layer as often as the network has it."""
    return _add([c and c * layer.count for layer in found for c in [cycles[layer.key]]])


def _add(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
