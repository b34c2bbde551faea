"""What makes a register tile good, in numbers that mean the same in every sketch of ``conv2d``.

A cost model that sees knobs alone learns each sketch, kernel and size by itself; of these numbers
it learns once how many accumulators the registers hold, and knows it of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any

_LATENCY = 4  # steps that a multiply-add waits for the one before it into the same accumulator


@dataclass(frozen=True)
class Tile:
    """A register tile: ``pixels`` times ``channels`` outputs, and one step of their sums.

    Each multiply-add does ``lanes`` useful ones; ``along`` is what a vector goes along: ``pixels``,
    ``channels``, or nothing that the schedule says, where compilers take channels.
    ``vector_loads`` and ``element_loads`` are the instructions that load the operands. ``steps``
    are unrolled; ``rolled`` outputs are of loops inside the tile that are not. ``waste`` is what is
    computed over what is asked for; ``copied`` floats are written first, for each output; ``depth``
    is the length of a sum. ``weights`` and ``inputs`` are floats that a tile reads, ``block`` those
    that are to stay while the tiles of a block pass.
    """

    pixels: int
    channels: int
    along: str
    lanes: float
    vector_loads: float
    element_loads: float
    steps: int
    rolled: int
    waste: float
    copied: float
    depth: int
    weights: float
    inputs: float
    block: float


def features(tile: Tile, target: Any) -> dict[str, float]:
    """Logarithms of numbers and ratios, and which way vectors go."""
    accumulators = tile.pixels * tile.channels / tile.lanes
    loads = (tile.vector_loads + tile.element_loads) / accumulators
    operands = min(tile.vector_loads, tile.element_loads) + 1
    excess = max(accumulators + operands - target.vector_registers, 0.0)
    spilled = excess / accumulators
    work = tile.waste * target.vector_lanes / tile.lanes
    copied = tile.copied / tile.depth
    cycles = max(1.0, loads, _LATENCY / accumulators) + 2 * spilled
    l1, l2 = target.l1d_kib * 256, target.l2_kib * 256  # in floats
    return {
        "along pixels": float(tile.along == "pixels"),
        "along channels": float(tile.along == "channels"),
        "pixels": log2(tile.pixels),
        "channels": log2(tile.channels),
        "lanes": log2(tile.lanes),
        "accumulators": log2(accumulators),
        "spilled": spilled,
        "loads": log2(loads),
        "body": log2(tile.steps * accumulators),
        "rolled": log2(tile.rolled),
        "rounds": log2(tile.depth / tile.steps),
        "work": log2(work),
        "copied": log2(copied),
        "cycles": log2(work * cycles + copied),
        "weights": log2(tile.weights / l1),
        "inputs": log2(tile.inputs / l1),
        "block": log2(tile.block / l2),
    }
