"""Schedules of ``winograd_conv2d``: the space of knobs, what is legal, and the template.

for tile block: [for channel group: pad rows, transform]; for co block: [for element, tiles of the
GEMM: micro-kernel]; inverse transform, store. One block's transformed input stays in L1 or L2.
"""

from __future__ import annotations

from typing import Any

from schedules import _winograd_batch_gemm as batch_gemm
from schedules import _winograd_stages as stages
from schedules._winograd_stages import READ

Knobs = dict[str, Any]

# (tiles p, channels co) of the register tile for vectors of 4 lanes, the likeliest first: 14 to 24
# accumulators of 32 registers; 16x12 spilled (55.5 instead of 20.7 Mcycles on A53).
_TILES_32 = [[8, 8], [7, 8], [9, 8], [10, 8], [12, 8], [5, 16], [4, 16], [7, 12], [8, 12]]
_TILES_32 += [[14, 4], [16, 4]]
_TILES_16 = [[4, 8], [8, 4], [4, 4], [12, 4], [4, 12]]
# (tiles p, channels co) of the assembly tiles, the fastest first.
_TILES_NEON = [[9, 8], [8, 8], [7, 12], [10, 8], [7, 8], [6, 12], [5, 16], [14, 4], [4, 16]]
_VARIANTS = [[2, 2], [4, 2], [4, 4], [5, 4], [5, 5], [6, 4], [6, 6]]  # F(rows x columns, 3x3)
_SQUARE = [[2, 2], [4, 4], [6, 6]]
_BLOCKS = [0, 1, 2, 4, 8, 16]
# Knobs that, with the sketch, choose another algorithm or data flow, and all options that are
# correct, tuned or not; None: those of the space.
STRUCTURAL = {"m": _VARIANTS, "v_inner": None}

_LLVM_ONLY = ("unroll_k", "read_weights", "pipeline")  # knobs that assembly tiles have no use for
_MAX_BODY = 320  # multiply-adds; with loads and addresses 1.6 KB of code
_MAX_WORK = 1.3  # of the least for the shape; what needs more lost on ResNet-18's layers
_WEIGHTS_AS_TILES = 5  # streaming the transformed weights once costs as much as so many tiles


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Sketches: ``packed`` (vectors along channels), ``phased`` (along tiles), ``neon``.

    ``neon`` is ``packed`` with assembly tiles, on AArch64. ``batch_gemm`` has the knobs of
    AutoTVM's template, for its logs, which are of one image. Channels in blocks are ``packed`` if
    the blocks are vectors.
    """
    lanes = target.vector_lanes if w.block == (1, 1) else w.block[0]
    if w.block[0] != w.block[1] or lanes > target.vector_lanes:
        return {}
    variants = _variants(w)
    shapes = [t for t in _register_tiles(target) if any(_fits(w, target, m, t) for m in variants)]
    most_p = max(-(-_tiles(w, m) // p) for m in variants for p, _ in shapes)
    most_co = max(-(-w.co // co) for _, co in shapes)
    common = {
        "m": variants,
        "lanes": [lanes],
        "tile": shapes,
        "block_p": [b for b in _BLOCKS if b < most_p],
        "block_co": [b for b in _BLOCKS if b < most_co],
        "order": ["co_outer", "p_outer"] if min(most_p, most_co) > 1 else ["co_outer"],
        "unroll_k": sorted(u for u in {4, 8, lanes} if _round_up(w.ci, lanes) % u == 0),
        "v_outer": ["element", "tile"],
        "pad_at": ["channel", "block"],
        "read_weights": [False, True],
        "pipeline": [False, True],
    }
    found = {"packed": {**common, "v_inner": ["tile", "channel"]}}
    if w.block == (1, 1):
        found["phased"] = {**common, "v_inner": ["tile"]}
        if w.n == 1:
            found["batch_gemm"] = batch_gemm.space(w, target)
    if target.isa == "aarch64":
        tiles = [t for t in _TILES_NEON if any(_fits(w, target, m, t) for m in variants)]
        rest = {name: common[name] for name in ("m", "lanes", "v_outer", "pad_at")}
        most_p = max(-(-_tiles(w, m) // p) for m in variants for p, _ in tiles)
        blocks = sorted({0, *(b for b in (1, 2, 3, 4, 7, 8, 14, 16) if b < most_p)})
        found["neon"] = {
            **rest, "tile": tiles, "block_p": blocks, "block_co": common["block_co"],
            "order": ["co_outer", "p_outer"], "v_inner": ["channel"],
            "in_order": [target.core == "cortex-a53"],
        }  # fmt: skip
    return found


def _variants(w: Any) -> list[list[int]]:
    """F(2,3), F(4,3), F(6,3) compete for every shape, others where they need little more work."""
    most = _MAX_WORK * _least_work(w)
    return [m for m in _VARIANTS if m in _SQUARE or _work(w, m) <= most]


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether loops divide, code and padding stay near the least, and no knob is without effect."""
    if knobs["sketch"] == "batch_gemm":
        return batch_gemm.legal(w, target, knobs)
    lanes, (tile_p, tile_co) = knobs["lanes"], knobs["tile"]
    if knobs["sketch"] == "neon":
        return _blocks_fit(w, target, knobs)
    phased, inner, unroll = knobs["sketch"] == "phased", knobs["v_inner"], knobs["unroll_k"]
    vector_p = lanes if phased else READ
    if _round_up(w.ci, lanes) % unroll or (tile_p % vector_p and inner == "tile"):
        return False
    if inner == "channel" and unroll % lanes:
        return False
    if tile_p * tile_co // lanes * unroll > _MAX_BODY:  # the body must stay in the I-cache
        return False
    return _blocks_fit(w, target, knobs)


def _blocks_fit(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether blocks of whole tiles need little padding, and no knob is without effect."""
    m, (tile_p, tile_co), phased = knobs["m"], knobs["tile"], knobs["sketch"] == "phased"
    tiles = _tiles(w, m, knobs["lanes"] if phased else 1)
    p_tiles, co_tiles = -(-tiles // tile_p), -(-w.co // tile_co)
    block_p, block_co = knobs["block_p"], knobs["block_co"]
    if knobs["order"] == "p_outer" and 1 in (block_p or p_tiles, block_co or co_tiles):
        return False  # the same as co_outer
    block = [tile_p * max(1, block_p), tile_co * max(1, block_co)]
    return block_p < p_tiles and block_co < co_tiles and _fits(w, target, m, block, phased)


def _fits(w: Any, target: Any, m: list[int], block: list[int], phased: bool = False) -> bool:
    """Whether whole blocks (tiles, channels) need little more than the best register tile does."""
    tiles = _tiles(w, m, target.vector_lanes if phased else 1)
    least = min(_padded(tiles, w.co, tile) for tile in _register_tiles(target))
    return _padded(tiles, w.co, block) <= _MAX_WORK * least


def _register_tiles(target: Any) -> list[list[int]]:
    tiles = _TILES_32 if target.vector_registers == 32 else _TILES_16
    return [[p, co * (target.vector_lanes // 4)] for p, co in tiles]


def _padded(tiles: int, co: int, tile: list[int]) -> int:
    return _round_up(tiles, tile[0]) * _round_up(co, tile[1])


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def default(w: Any, target: Any) -> Knobs:
    """What an untuned shape gets: the variant with the least work, a tile that wastes little."""
    lanes = target.vector_lanes if w.block == (1, 1) else w.block[0]
    m = min(_VARIANTS, key=lambda m: _work(w, m))
    tiles = _tiles(w, m)
    neon = target.isa == "aarch64"
    shapes = [t for t in _register_tiles(target) if t[0] * t[1] <= _MAX_BODY]
    shapes = _TILES_NEON if neon else shapes
    tile = min(shapes, key=lambda t: _padded(tiles, w.co, t))
    p_tiles, co_tiles = -(-tiles // tile[0]), -(-w.co // tile[1])
    # Four blocks of channels if there are as many, for as many threads.
    most = co_tiles // min(4, co_tiles)
    blocks_co = [b for b in _BLOCKS if b <= most < co_tiles and co_tiles % max(1, b) == 0]
    blocks_p = [b for b in (4, 2, 1) if p_tiles % b == 0] if p_tiles > 8 else [0]
    knobs: Knobs = {
        "sketch": "packed", "m": m, "lanes": lanes, "tile": tile,
        "block_p": blocks_p[0], "block_co": max(blocks_co, default=0),
        "order": "co_outer", "unroll_k": lanes, "v_outer": "element", "v_inner": "channel",
        "pad_at": "channel", "read_weights": False, "pipeline": False,
    }  # fmt: skip
    return _to_neon(knobs, target) if neon else knobs


def likely(w: Any, target: Any) -> list[Knobs]:
    """What a search should try after the default: each variant, then tiles and parts of the L2."""
    base = default(w, target)
    if base["sketch"] != "neon":
        return []
    choices: list[tuple[int, Knobs]] = []
    for i, m in enumerate(sorted(_variants(w), key=lambda m: _work(w, m))):
        tiles = _tiles(w, m)
        shapes = sorted(_TILES_NEON, key=lambda t: _padded(tiles, w.co, t))[:3]
        for j, tile in enumerate(shapes):
            for k, block in enumerate(_blocks_by_l2(w, target, m, tile)):
                knobs = base | {"m": m, "tile": tile, "block_p": block, "block_co": 0}
                first = m in _SQUARE and not any(knobs["m"] == c["m"] for _, c in choices)
                if legal(w, target, knobs):
                    choices.append((1 if first else 2 * i + j + k, knobs))
    return [knobs for _, knobs in sorted(choices, key=lambda choice: choice[0])]


def _blocks_by_l2(w: Any, target: Any, m: list[int], tile: list[int]) -> list[int]:
    """Register tiles of a block whose transformed input takes a quarter, half, ... of the L2."""
    one = 4 * (m[0] + 2) * (m[1] + 2) * tile[0] * w.ci  # bytes
    count, found = -(-_tiles(w, m) // tile[0]), []
    for part in (4, 2, 1, 8):
        fitting = [b for b in (1, 2, 3, 4, 7, 8, 14, 16) if b * one <= target.l2_kib * 1024 // part]
        block = max(fitting, default=1)
        block = 0 if block >= count else block
        if block not in found:
            found.append(block)
    return found


def _to_neon(knobs: Knobs, target: Any) -> Knobs:
    """The same choices for assembly tiles."""
    rest = {name: value for name, value in knobs.items() if name not in _LLVM_ONLY}
    return {**rest, "sketch": "neon", "in_order": target.core == "cortex-a53"}


def _tiles(w: Any, m: list[int], multiple: int = 1) -> int:
    """Tiles of the output, their number in a row rounded up."""
    return int(-(-w.out_h // m[0]) * _round_up(-(-w.out_w // m[1]), multiple))


def _work(w: Any, m: list[int]) -> float:
    """Multiply-adds a channel in and out; transforms and streaming the weights in the same unit."""
    elements, tiles = (m[0] + 2) * (m[1] + 2), _tiles(w, m)
    transforms = 2 * max(m) * tiles * (w.ci + w.co) / (w.ci * w.co)
    return elements * (tiles + transforms + _WEIGHTS_AS_TILES)


def _least_work(w: Any) -> float:
    return min(_work(w, m) for m in _VARIANTS)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the blocks of ``operators/winograd_conv2d.py`` in place."""
    (batch_gemm if knobs["sketch"] == "batch_gemm" else stages).schedule(sch, knobs)
