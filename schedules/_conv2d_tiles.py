"""What the sketches ``neon`` and ``blocked`` of ``conv2d`` share: channels in blocks, tiles."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

Knobs = dict[str, Any]

# Blocks of channels that panels take in turns: streams that the A53's prefetcher follows, half of
# the A72's, which with all 8 of 32 channels and y's follows none.
_STREAMS = 4
_MAX_WASTE = 1.15  # outputs computed over outputs, of the least that any tile needs
_BLOCKS = [1, 2, 3, 4, 6, 7, 8, 12, 14, 16, 24, 28, 32, 56, 64, 112]


def lanes(w: Any, target: Any) -> int:
    """Of the vectors: the target's, or as few as channels lie together in y."""
    return int(min(target.vector_lanes, w.block[1]))


def space(
    w: Any, target: Any, shapes: list[list[int]], sources: list[str] | None = None
) -> dict[str, list[Any]]:
    """Knobs and options for register tiles of ``shapes`` (pixels, vectors).

    ``sources`` are the options of x; None: those of channels in blocks.
    """
    options = _tiles(w, target, shapes)
    most = max(_count(w, tile) for tile in options)
    return {
        "tile": options,
        "x": sources or _sources(w),
        "block": sorted({b for b in _BLOCKS if b <= most} | {_count(w, t) for t in options}),
        "order": ["co_outer", "p_outer"],
    }


def _sources(w: Any) -> list[str]:
    if w.is_pointwise:
        return ["direct", "panels"] if w.stride == (1, 1) else ["panels"]
    return ["padded"] if w.pad != (0, 0) else ["direct"]


def _tiles(w: Any, target: Any, shapes: list[list[int]]) -> list[list[int]]:
    """(rows, columns, vectors) with little waste: pixels in one row, or in two and more."""
    h, width = (1, w.out_h * w.out_w) if w.is_pointwise else (w.out_h, w.out_w)
    vectors = _vectors(w, target)
    found = []
    for pixels, v in shapes:
        for rows in (1, 2, 3, 4):
            if pixels % rows == 0 and rows <= h and pixels // rows <= width and v <= vectors:
                found.append([rows, pixels // rows, v])
    least = min(_waste(w, t, target) for t in found)
    return [t for t in found if _waste(w, t, target) <= least * _MAX_WASTE]


def _vectors(w: Any, target: Any) -> int:
    c, per_group = w.block[1], w.co // w.groups
    return -(-per_group // c) * c // lanes(w, target)


def _count(w: Any, tile: list[int]) -> int:
    """Tiles that a block can have: pixels' tiles of a pointwise workload, else rows of tiles."""
    rows, cols, _ = tile
    return int(-(-w.out_h * w.out_w // cols) if w.is_pointwise else -(-w.out_h // rows))


def _waste(w: Any, tile: list[int], target: Any) -> float:
    """Outputs computed over outputs."""
    rows, cols, v = tile
    vectors = _vectors(w, target)
    waste = -(-vectors // v) * v / vectors
    if w.is_pointwise:
        return waste * _count(w, tile) * cols / (w.out_h * w.out_w)
    across = -(-w.out_w // cols) * cols / w.out_w
    return waste * across * _count(w, tile) * rows / w.out_h


def legal(w: Any, knobs: Knobs) -> bool:
    """Whether a block fits the output and rounding up to whole blocks costs at most 3 %."""
    block, count = knobs["block"], _count(w, knobs["tile"])
    if not w.is_pointwise and block * knobs["tile"][0] > w.out_h:
        return False
    return bool(block <= count and -(-count // block) * block <= 1.03 * count)


def default(
    w: Any, target: Any, options: dict[str, list[Any]], is_legal: Callable[[Knobs], bool]
) -> Knobs:
    """The cheapest tile. Blocks: all, where weights do not fit half of the L2; else a small one.

    A small block's input stays in the L1 while all weights pass (1x1, 128 to 256 channels at 28x28
    on A72: 7.1 Mcycles with 9 KB of input, 8.1 with all); weights that come from memory should
    pass once (512 to 512 at 14x14: 14.9 with one block, 18.4 with 2 tiles).
    """
    knobs: Knobs = {"sketch": "", **{name: values[0] for name, values in options.items()}}
    in_order = target.core == "cortex-a53"
    order = sorted(options["tile"], key=lambda t: _cost(w, t, target, in_order))
    streams = _streams(w, target)
    if streams and not in_order and "panels" in options["x"]:
        knobs["x"] = "panels"  # 1024 to 1024 at 7x7 on A72: 14.6 Mcycles, directly 15.6
    for tile in order:
        rows, cols, _ = tile
        pixels = cols if w.is_pointwise else rows * w.stride[0] * (w.w + 2 * w.pad[1])
        row = 4 * (w.ci // w.groups) * pixels  # bytes of input of one tile
        room = target.l2_kib * 1024 if streams else target.l1d_kib * 1024 // 3
        legal_blocks = [b for b in options["block"] if is_legal(knobs | {"tile": tile, "block": b})]
        fitting = [b for b in legal_blocks if b * row <= room]
        if legal_blocks:
            block = max(fitting) if fitting else min(legal_blocks)
            return knobs | {"tile": tile, "block": block}
    return knobs | {"tile": order[0], "block": 1}


def _streams(w: Any, target: Any) -> bool:
    """Whether the weights do not fit half of the L2."""
    k = w.ci // w.groups * w.kernel[0] * w.kernel[1]
    return bool(4 * k * w.co > target.l2_kib * 512)


def likely(
    w: Any, target: Any, options: dict[str, list[Any]], is_legal: Callable[[Knobs], bool]
) -> list[Knobs]:
    """Knobs near the best, the likeliest first: cheap tiles, blocks for each cache, every x."""
    base = default(w, target, options, is_legal)
    in_order = target.core == "cortex-a53"
    order = sorted(options["tile"], key=lambda t: _cost(w, t, target, in_order))[:4]
    choices = []
    for t, tile in enumerate(order):
        for b, block in enumerate(_blocks_by_cache(w, target, tile, options["block"])):
            for s, x in enumerate(options["x"]):
                knobs = base | {"tile": tile, "block": block, "x": x}
                if is_legal(knobs):
                    choices.append((t + b + s, knobs))
    return [knobs for _, knobs in sorted(choices, key=lambda choice: choice[0])]


def _blocks_by_cache(w: Any, target: Any, tile: list[int], options: list[int]) -> list[int]:
    """The largest blocks whose input fits a third of the L1, the L2, a quarter of it; one tile.

    Where weights come from memory, the larger ones first.
    """
    rows, cols, _ = tile
    pixels = cols if w.is_pointwise else rows * w.stride[0] * (w.w + 2 * w.pad[1])
    row, l1, l2 = 4 * (w.ci // w.groups) * pixels, target.l1d_kib << 10, target.l2_kib << 10
    count = _count(w, tile)
    found = []
    rooms = (l2, l2 // 4, l1 // 3, row) if _streams(w, target) else (l1 // 3, l2, l2 // 4, row)
    for room in rooms:
        block = max((b for b in options if b * row <= room and b <= count), default=1)
        if block not in found:
            found.append(block)
    return found


def _cost(w: Any, tile: list[int], target: Any, in_order: bool) -> float:
    """Cycles of a multiply: itself, its share of the loads, of start and end.

    A53: a cycle a load, 4 p v multiplies for p + 4 v loads. A72 and A76 hide loads that hit, and
    weights come from the L2, one vector for p multiplies.
    """
    rows, cols, v = tile
    p, k = rows * cols, w.ci // w.groups * w.kernel[0] * w.kernel[1]
    loads = (p + 4 * v) / (4 * p * v) if in_order else 0.6 / p + 0.15 / v
    loads += 0.03 * (p * v + p + 2 * v > 32) + 0.02 * (rows > 1)
    # Accumulators are set, finished and stored: 3 to 5 cycles each, and 40 for the call.
    rest = ((5 if in_order else 3) * p * v + 40) / (p * v * k)
    return _waste(w, tile, target) * (1 + loads + rest)


def schedule_parallel(sch: Any, group: Any, block: Any, inner: Any) -> None:
    """Threads take groups, else blocks if there are four, else what is next."""
    blocks, groups = int(sch.get(block).extent), int(sch.get(group).extent) if group else 1
    sch.parallel(group if groups > 1 else block if blocks >= 4 else inner)


def schedule_pack(sch: Any, knobs: Knobs, block: Any) -> None:
    """``pack_input``, if there is one, for each block."""
    if knobs["x"] == "direct":
        return
    pack = sch.get_sblock("pack_input")
    sch.compute_at(pack, block, preserve_unit_loops=True)
    if knobs["x"] == "panels":
        *_, tile, pixel, channels, lane = sch.get_loops(pack)
        channels, inner = sch.split(channels, [None, gcd(int(sch.get(channels).extent), _STREAMS)])
        sch.reorder(channels, tile, pixel, inner, lane)
        sch.unroll(inner)
        sch.vectorize(lane)
