"""The sketches ``pixels`` and ``channels`` of ``conv2d``: gathered panels, a GEMM micro-kernel."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import gcd
from typing import Any

from schedules._conv2d_features import Tile

Knobs = dict[str, Any]

# (pixels, channels co) of the register tile for vectors of 4 lanes: up to 24 accumulators of 32
# registers, the rest for operands.
_TILES_32 = [
    [12, 8], [8, 12], [16, 4], [4, 16], [8, 8], [4, 24], [4, 20], [24, 4], [20, 4], [4, 8],
]  # fmt: skip
_TILES_16 = [[8, 4], [4, 8], [4, 4], [12, 4], [4, 12], [8, 8]]
_FEW_PIXELS = [[1, 16], [1, 32]]  # fewer pixels than any other tile has
_BLOCKS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]
_MAX_WASTE = 1.2  # of the least padding that any option of the same knob needs
_MAX_BODY = 200  # vector instructions: the loop's body must stay in the I-cache


def space(w: Any, target: Any, along: str) -> dict[str, list[Any]]:
    """Knobs and options of the sketch with vectors ``along`` pixels or channels."""
    pointwise = w.kernel == w.stride == (1, 1) and w.pad == (0, 0)
    rows = ["flat"] if pointwise else ["padded", "flat"]
    tiles = _tiles(w, target, along, rows)
    k = w.ci * w.kernel[0] * w.kernel[1]
    pixels, l2_pixels = w.out_h * w.out_w, 1 + target.l2_kib * 256 // k
    few_p, most_p = pixels // (2 * l2_pixels) + 1, pixels // max(p for p, _ in tiles)
    return {
        "lanes": [target.vector_lanes],
        "tile": tiles,
        "rows": rows,
        "blocks_p": [b for b in _BLOCKS if few_p <= b <= most_p] or [1],
        "blocks_co": [b for b in (1, 2, 3, 4, 8, 16) if b * max(co for _, co in tiles) <= w.co]
        or [1],
        "order": ["co_outer", "p_outer"],
        "unroll_k": [u for u in (1, 2, 3, 4, 7, 8, 9) if k % u == 0],
        "pad_at": ["block"] if pointwise else ["channel", "block"],
        # Channels of one pass over the block's pixels; fewer are fewer streams to prefetch.
        "gather_k": [c for c in (1, 4, 8, 16) if w.ci % c == 0],
        # Floats of one load. x86 multiplies by a broadcast element of memory (0), ARM by an element
        # of a register; 64-bit loads issue beside a multiply on A53, 128-bit ones take two cycles.
        "read_elements": [0, target.vector_lanes] if target.isa == "x86_64" else [4, 2],
        "read_vectors": [False, True],
    }


def _tiles(w: Any, target: Any, along: str, rows: list[str]) -> list[list[int]]:
    """Register tiles whose padding is near the least; wider lanes, as many vectors."""
    lanes, scale = target.vector_lanes, target.vector_lanes // 4
    tiles = list(_TILES_32 if target.vector_registers == 32 else _TILES_16)
    if w.out_h * w.out_w < 4 and along == "channels":
        tiles += _FEW_PIXELS
    tiles = [[p * scale, co] if along == "pixels" else [p, co * scale] for p, co in tiles]
    waste = [min(_waste(w, {"tile": t, "lanes": lanes, "rows": r}) for r in rows) for t in tiles]
    return [t for t, x in zip(tiles, waste, strict=True) if x <= min(waste) * _MAX_WASTE]


def _sizes(w: Any, knobs: Knobs) -> tuple[int, int]:
    """Pixels and channels that are computed with whole tiles."""
    tile_p, tile_co = knobs["tile"]
    unit = gcd(tile_p, knobs["lanes"])
    width = _round_up(w.out_w, unit) if knobs["rows"] == "padded" else w.out_w
    return _round_up(w.out_h * width, tile_p), _round_up(w.co, tile_co)


def _waste(w: Any, knobs: Knobs) -> float:
    p, co = _sizes(w, knobs)
    return p * co / (w.out_h * w.out_w * w.co)


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether the padding is near the least that any tile needs, and the loop's body not large."""
    tile_p, tile_co = knobs["tile"]
    if tile_p * tile_co // knobs["lanes"] * knobs["unroll_k"] > _MAX_BODY:
        return False
    if _waste(w, knobs) > _MAX_WASTE * _least_waste(w, target, knobs["sketch"]):
        return False
    p, co = _sizes(w, knobs)
    return _fits(p // tile_p, knobs["blocks_p"]) and _fits(co // tile_co, knobs["blocks_co"])


@lru_cache(64)  # a search asks thousands of times
def _least_waste(w: Any, target: Any, along: str) -> float:
    options, lanes = space(w, target, along), target.vector_lanes
    choices = product(options["tile"], options["rows"])
    return min(_waste(w, {"tile": t, "rows": r, "lanes": lanes}) for t, r in choices)


def _fits(tiles: int, blocks: int) -> bool:
    return blocks <= tiles and _round_up(tiles, blocks) <= tiles * _MAX_WASTE


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def tile(w: Any, target: Any, knobs: Knobs) -> Tile:
    """The micro-kernel in one step; of its operands one is read by vectors, one by elements."""
    (tile_p, tile_co), lanes = knobs["tile"], knobs["lanes"]
    p, co = _sizes(w, knobs)
    k, of_block = w.ci * w.kernel[0] * w.kernel[1], p / knobs["blocks_p"]
    vectors, elements = (tile_p, tile_co) if knobs["sketch"] == "pixels" else (tile_co, tile_p)
    return Tile(
        pixels=tile_p,
        channels=tile_co,
        along=knobs["sketch"],
        lanes=lanes,
        vector_loads=vectors / lanes,
        element_loads=elements / (knobs["read_elements"] or 1),
        steps=knobs["unroll_k"],
        rolled=1,
        waste=_waste(w, knobs),
        copied=k * p / (w.out_h * w.out_w * w.co),
        depth=k,
        weights=k * tile_co,
        inputs=k * tile_p,
        block=k * (of_block if knobs["order"] == "co_outer" else co / knobs["blocks_co"]),
    )


def default(w: Any, target: Any) -> Knobs:
    """``pixels``: the cheapest tile, blocks of a quarter of the L2."""
    options, in_order = space(w, target, "pixels"), target.core == "cortex-a53"
    first = {"sketch": "pixels"} | {name: values[0] for name, values in options.items()}
    choices = [first | {"tile": t, "rows": r} for t in options["tile"] for r in options["rows"]]
    knobs = min(choices, key=lambda c: _cost(w, c, 2 if in_order else 0.2))
    k, (tile_p, tile_co) = w.ci * w.kernel[0] * w.kernel[1], knobs["tile"]
    # In order, misses of the L1 are not hidden: the larger panel stays in it while the smaller ones
    # pass, if all weights fit the L2 (64@56, 3x3: 54 instead of 64 Mcycles on A53).
    if in_order and tile_p > tile_co and k * w.co <= target.l2_kib * 128:
        knobs["order"] = "p_outer"
    gathered = 4 * k * w.out_h * w.out_w
    wanted = [b for b in options["blocks_p"] if gathered <= b * target.l2_kib * 256]
    fitting = (knobs | {"blocks_p": b} for b in wanted)
    return next((c for c in fitting if legal(w, target, c)), knobs)


def _cost(w: Any, knobs: Knobs, per_load: float) -> float:
    """Cycles per useful multiply of a vector: one, and those that loads of vectors take."""
    (tile_p, tile_co), lanes = knobs["tile"], knobs["lanes"]
    multiplies, loads = tile_p * tile_co / lanes, tile_p / lanes + tile_co / 4
    return _waste(w, knobs) * (1 + per_load * loads / multiplies)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules [``pack_input``,] ``gather``, ``gemm``, ``epilogue`` in place."""
    lanes, (tile_p, tile_co) = knobs["lanes"], knobs["tile"]
    unit, group = gcd(tile_p, lanes), 1 if knobs["sketch"] == "pixels" else lanes
    gemm, epilogue = sch.get_sblock("gemm"), sch.get_sblock("epilogue")

    n, p, co = sch.get_loops(epilogue)
    p_block, p_tile, p_in = sch.split(p, [knobs["blocks_p"], None, tile_p // unit])
    co_block, co_tile, co_in = sch.split(co, [knobs["blocks_co"], None, tile_co // group])
    outer = [co_tile, p_tile] if knobs["order"] == "co_outer" else [p_tile, co_tile]
    sch.reorder(n, p_block, co_block, *outer, co_in, p_in)
    sch.unroll(co_in)
    sch.unroll(p_in)
    candidates = [(p_block, knobs["blocks_p"]), (co_block, knobs["blocks_co"])]
    # Refused once other blocks are inside.
    sch.parallel(next((loop for loop, blocks in candidates if blocks > 1), outer[0]))
    sch.compute_at(gemm, outer[-1], preserve_unit_loops=True)
    sch.set_scope(gemm, 0, "local")
    _schedule_gather(sch, knobs, p_block)
    _schedule_gemm(sch, knobs, gemm)


def _schedule_gather(sch: Any, knobs: Knobs, p_block: Any) -> None:
    gather = sch.get_sblock("gather")
    sch.compute_at(gather, p_block, preserve_unit_loops=True)
    *_, p_tile, k, p_in = sch.get_loops(gather)
    sch.unroll(p_in)
    kernel = sch.get(gather).annotations.get("kernel")
    if kernel is None:  # pointwise: nothing is padded
        channel, channel_in = sch.split(k, [None, knobs["gather_k"]])
        sch.reorder(channel, p_tile, channel_in, p_in)
        return
    taps = int(kernel[0]), int(kernel[1])
    channel, channel_in, *taps = sch.split(k, [None, knobs["gather_k"], *taps])
    sch.reorder(channel, p_tile, channel_in, *taps, p_in)
    at = channel if knobs["pad_at"] == "channel" else p_block
    sch.compute_at(sch.get_sblock("pack_input"), at)


def _schedule_gemm(sch: Any, knobs: Knobs, gemm: Any) -> None:
    lanes, along_pixels = knobs["lanes"], knobs["sketch"] == "pixels"
    p, co, k = sch.get_loops(gemm)[-3:]
    k_out, k_in = sch.split(k, [None, knobs["unroll_k"]])
    vectors, elements = (p, co) if along_pixels else (co, p)
    vectors, lane = sch.split(vectors, [None, lanes])
    sch.reorder(k_out, k_in, elements, vectors, lane)
    # Elements must be read as vectors, or each becomes a scalar load and a multiply by a scalar.
    by_element, as_vectors = (1, 0) if along_pixels else (0, 1)
    if knobs["read_elements"]:
        read_as_vectors(sch, gemm, by_element, k_in, knobs["read_elements"])
    if knobs["read_vectors"]:
        read_as_vectors(sch, gemm, as_vectors, k_in, lanes)
    sch.unroll(k_in)
    sch.unroll(elements)
    sch.unroll(vectors)
    sch.vectorize(lane)
    init = sch.decompose_reduction(gemm, k_out)
    for loop in sch.get_loops(init)[-3:-1]:
        sch.unroll(loop)


def read_as_vectors(sch: Any, gemm: Any, operand: int, at: Any, lanes: int) -> None:
    """Loads what one step of the reduction needs of an operand into registers."""
    copy = sch.cache_read(gemm, operand, "local")
    sch.compute_at(copy, at, preserve_unit_loops=True)
    depth = len(sch.get_loops(gemm)) - 3  # the loops above the register tile
    fused = sch.fuse(*sch.get_loops(copy)[depth:])
    size = int(sch.get(fused).extent)
    vectors, lane = sch.split(fused, [None, gcd(size, lanes)])
    sch.unroll(vectors)
    sch.vectorize(lane)
