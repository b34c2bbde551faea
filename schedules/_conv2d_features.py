"""What makes a register tile good, in numbers that mean the same in every sketch of ``conv2d``.

A cost model that sees knobs alone learns each sketch, kernel and size by itself; of these numbers
it learns once how many accumulators the registers hold, and knows it of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from typing import Any

_LATENCY = 4  # cycles that a multiply-add waits for the one before it into the same accumulator
_SPILL = 2  # for an accumulator without a register, in each step: loaded and stored
_IMPLICIT = 1.4  # times as long where LLVM is left to find the vectors: some tiles stay scalar
_COPY = 0.75  # for a float that is packed or gathered: most are moved one by one


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
    """Logarithms of numbers and ratios, and which way vectors go.

    ``cycles`` is the guess that a search begins with: of a vector multiply-add that is asked for.
    On the 2400 random trials of ``scripts/compare_tuners.sh`` its rank correlation with the
    modelled cycles is 0.75 in a workload; 0.67, 0.46, 0.41 and 0.31 in the sketches alone.
    """
    accumulators = tile.pixels * tile.channels / tile.lanes
    loads = (tile.vector_loads + tile.element_loads) / accumulators
    operands = min(tile.vector_loads, tile.element_loads) + 1
    spilled = max(accumulators + operands - target.vector_registers, 0.0) / accumulators
    work = tile.waste * target.vector_lanes / tile.lanes
    if tile.along == "none":
        work *= _IMPLICIT
    copied = tile.copied / tile.depth
    cycles = work * (max(1.0, loads, _LATENCY / accumulators) + _SPILL * spilled)
    cycles += _COPY * target.vector_lanes * copied
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
        "cycles": log2(cycles),
        "weights": log2(tile.weights / l1),
        "inputs": log2(tile.inputs / l1),
        "block": log2(tile.block / l2),
    }
