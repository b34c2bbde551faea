"""The sketch ``carries`` of the few-bit operators: bits are added before they are counted.

For the Cortex-A76: elsewhere `bsl` of 128 bits costs as much as it saves (A72), or the tile of two
pixels has too many loads (A53), and both lack dot products. ``w`` is what the operators compute as
a convolution.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from schedules._bitserial_tiles import RUNS, blocks, fits_cache, parallel_copy

Knobs = dict[str, Any]

_CORE = "cortex-a76"
_MAX_PIXELS = 2  # of 32 registers: each has 4 of sums modulo 2, 4 of carries and 2 of x
_UNROLLED = 4  # chains of a plane, but for the first and the last; more are a loop


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Pixels of a run, runs of a tile, and how many tiles have their panels at the same time."""
    gains = target.core == _CORE and target.isa == "aarch64" and "+dotprod" in target.mattr
    if not gains or not w.chain_cut:
        return {}
    size = w.out_h * w.out_w
    pixels = list(range(1, min(_MAX_PIXELS, size) + 1))
    tiles = {-(-size // (p * r)) for p in pixels for r in RUNS}
    options = {1}.union(*map(blocks, tiles))
    return {"carries": {"pixels": pixels, "runs": list(RUNS), "block": sorted(options)}}


def pays(w: Any) -> bool:
    """Whether chains have 8 words at least, so that they save more than their ends take."""
    rows, words = w.chain_cut or (0, 0)
    return bool(rows * w.kernel[1] * words >= 8)


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether blocks divide the tiles, and no tile is larger than the image or the L1 cache."""
    size, tile = w.out_h * w.out_w, knobs["pixels"] * knobs["runs"]
    if tile > size or -(-size // tile) % int(knobs["block"]):
        return False
    return knobs["runs"] == 1 or fits_cache(_code(w, knobs), target)


def _code(w: Any, knobs: Knobs) -> int:
    """Bytes of a tile's chains: a word takes 10 instructions a pixel, and loads; 26 are its end."""
    rows, words = w.chain_cut
    pixels = knobs["pixels"]
    chain = rows * w.kernel[1] * words * (11 * pixels + 4) + 26 * pixels
    return int(4 * _chains(w) * chain * knobs["runs"])


def _chains(w: Any) -> int:
    """How many there are in a run's code: the first one, the last one, loops of what is between."""
    rows, words = w.chain_cut
    chains = w.kernel[0] // rows * -(-w.group_words // words)
    shifts = Counter(i + j for i in range(w.a_bits) for j in range(w.w_bits))
    counts = [chains * number for _, number in sorted(shifts.items())]
    if sum(counts) == 1:
        return 1
    counts[0] -= 1
    counts[-1] -= 1
    return 2 + sum(count if count <= _UNROLLED else 1 for count in counts)


def likely(w: Any, target: Any) -> list[Knobs]:
    """Knobs near the best: few pixels computed twice, few ends of chains to wait for.

    One tile at a time is within 1 % of the best, panels of about 16 KB sometimes 1 % better.
    """
    options = space(w, target).get("carries")
    if not options:
        return []
    size, (rows, words) = w.out_h * w.out_w, w.chain_cut
    chain = rows * w.kernel[1] * words
    kib = w.kernel[0] * w.kernel[1] * w.group_words * 16 * w.a_bits / 1024  # of a pixel

    def cost(knobs: Knobs) -> float:
        """Relative to the least; measured of 9 to 36 words."""
        tile, block = knobs["pixels"] * knobs["runs"], knobs["block"]
        slots = -(-size // tile) * tile
        room = 0.004 + 0.005 * abs(math.log2(block * tile * kib / 16)) if block > 1 else 0
        return float(slots / size * (1 + 0.3 / (chain * tile)) * (1 + room))

    found = [
        {"sketch": "carries", "pixels": pixels, "runs": runs, "block": block}
        for pixels in options["pixels"]
        for runs in RUNS
        for block in [1, *blocks(-(-size // (pixels * runs)))]
    ]
    return sorted((knobs for knobs in found if legal(w, target, knobs)), key=cost)[:4]


def schedule(sch: Any, knobs: Knobs, _target: Any) -> None:
    """Schedules ``pack_input``, ``panels``, [``table``,] ``tile`` in place; threads take blocks.

    Where the last tile is moved back, two threads may write the same bytes: equal ones.
    """
    tile = sch.get_sblock("tile")
    text = sch.get(tile).annotations["pragma_import_llvm"]
    sch.unannotate(tile, "pragma_import_llvm")
    _, n, group, channels, pixels = sch.get_loops(tile)
    block, inner = sch.split(pixels, [None, knobs["block"]])
    sch.reorder(n, group, block, channels, inner)
    sch.annotate(inner, "pragma_import_llvm", text)
    sch.compute_at(sch.get_sblock("panels"), block, preserve_unit_loops=True)
    sch.parallel(sch.fuse(n, group, block))
    parallel_copy(sch, 4)
