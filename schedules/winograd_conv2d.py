"""Schedules of ``winograd_conv2d``: the space of knobs, what is legal, and the template.

for tile block: [for channel group: pad rows, transform]; for co block: [for element, tiles of the
GEMM: micro-kernel]; inverse transform. One block's transformed input stays in L1 or L2.
"""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

# (tiles p, channels co) of the register tile for vectors of 4 lanes. With 32 registers: up to 24
# accumulators, and operands; 16x12 spilled on every core (55.5 instead of 20.7 Mcycles on A53).
_TILES_32 = [[4, 16], [5, 16], [7, 8], [7, 12], [8, 8], [8, 12], [9, 8], [10, 8], [12, 8]]
_TILES_32 += [[14, 4], [16, 4]]
_TILES_16 = [[8, 4], [4, 8], [4, 4], [12, 4], [4, 12]]
STRUCTURAL = ["m", "v_inner"]  # knobs that, with the sketch, choose another algorithm or data flow

_BLOCKS_CO = [0, 1, 2, 3, 4, 8, 16, 32]
_READ = 4  # values of neighbouring tiles that one load brings; the multiplies take them one by one
_MAX_BODY = 256  # multiply-adds; with loads and addresses 1.3 KB of code
_MAX_WASTE = 1.15  # of the least padding that any option of the same knob needs


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Sketches: ``packed`` (vectors along channels) and ``phased`` (vectors along tiles)."""
    lanes = target.vector_lanes
    tiles = _TILES_32 if target.vector_registers == 32 else _TILES_16
    scale = lanes // 4
    common = {
        "m": [[2, 2], [4, 2], [4, 4], [5, 4], [5, 5], [6, 4], [6, 6]],
        "lanes": [lanes],
        "tile": [[p, co * scale] for p, co in tiles],
        "block_p": [0, 1, 2, 3, 4, 6, 8, 12, 16],
        "block_co": _BLOCKS_CO,
        "order": ["co_outer", "p_outer"],
        "unroll_k": sorted({1, 2, 4, 8, lanes}),
        "v_outer": ["element", "tile"],
        "pad_at": ["channel", "block"],
        "read_weights": [False, True],
        "pipeline": [False, True],
    }
    return {
        "packed": {**common, "v_inner": ["tile", "channel"]},
        "phased": {**common, "v_inner": ["tile"]},
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether the padding that the tiles need is near the least, and loops divide."""
    lanes, (tile_p, tile_co) = knobs["lanes"], knobs["tile"]
    if _round_up(w.ci, lanes) % knobs["unroll_k"] or tile_co % lanes:
        return False
    if tile_p % (lanes if knobs["sketch"] == "phased" else _READ) and knobs["v_inner"] == "tile":
        return False
    if knobs["v_inner"] == "channel" and knobs["unroll_k"] % lanes:
        return False
    if (
        tile_p * tile_co // lanes * knobs["unroll_k"] > _MAX_BODY
    ):  # the body must stay in the I-cache
        return False
    tiles_h, tiles_w = -(-w.out_h // knobs["m"][0]), -(-w.out_w // knobs["m"][1])
    if knobs["sketch"] == "phased":
        tiles_w = _round_up(tiles_w, lanes)
    p_tiles, co_tiles = -(-tiles_h * tiles_w // tile_p), -(-w.co // tile_co)
    return _fits(p_tiles, knobs["block_p"]) and _fits(co_tiles, knobs["block_co"])


def _fits(tiles: int, block: int) -> bool:
    return block < tiles and (not block or _round_up(tiles, block) <= tiles * _MAX_WASTE)


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


def default(w: Any, target: Any) -> Knobs:
    """What an untuned shape gets: the variant with the least work, a tile that wastes little."""
    lanes, scale = target.vector_lanes, target.vector_lanes // 4
    # Work: multiplies, and the weights that are streamed once, worth five tiles.
    m = min(([4, 4], [5, 5], [4, 2], [2, 2]), key=lambda m: _elements(m) * (_tiles(w, m) + 5))
    widths = [8, 7, 9, 10] if lanes == 4 else [8, 7]
    if target.vector_registers == 16:
        widths = [4]
    tile_p = min(widths, key=lambda p: _round_up(_tiles(w, m), p))
    tile = [tile_p, 8 * scale]
    co_tiles = -(-w.co // tile[1])
    fitting = [b for b in _BLOCKS_CO if b * 4 <= co_tiles and _fits(co_tiles, b)]
    p_tiles = -(-_tiles(w, m) // tile_p)
    blocks_p = [b for b in (4, 3, 2) if _fits(p_tiles, b)] if p_tiles > 8 else []
    knobs: Knobs = {
        "sketch": "packed", "m": m, "lanes": lanes, "tile": tile,
        "block_p": blocks_p[0] if blocks_p else 0,
        "block_co": max(fitting, default=0),  # at least four blocks, for as many threads
        "order": "co_outer", "unroll_k": lanes, "v_outer": "element", "v_inner": "channel",
        "pad_at": "channel", "read_weights": False, "pipeline": False,
    }  # fmt: skip
    return knobs


def _elements(m: list[int]) -> int:
    return (m[0] + 2) * (m[1] + 2)


def _tiles(w: Any, m: list[int]) -> int:
    return int(-(-w.out_h // m[0]) * -(-w.out_w // m[1]))


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the four blocks ``pack_input``, ``transform``, ``gemm``, ``inverse`` in place."""
    lanes, (tile_p, tile_co) = knobs["lanes"], knobs["tile"]
    gemm, inverse = sch.get_sblock("gemm"), sch.get_sblock("inverse")
    transform, pack = sch.get_sblock("transform"), sch.get_sblock("pack_input")

    n, p, co = sch.get_loops(inverse)
    p_block, p_in = _split_blocks(sch, p, knobs["block_p"] * tile_p)
    co_block, co_in = _split_blocks(sch, co, knobs["block_co"] * tile_co)
    co_in, co_lane = sch.split(co_in, [None, lanes])
    sch.reorder(n, p_block, co_block, p_in, co_in, co_lane)
    if int(sch.mod["main"].params[-1].shape[1]) % lanes == 0:
        sch.vectorize(co_lane)  # otherwise lanes of the last vector must not be stored
    sch.parallel(p_block if knobs["block_p"] else co_block)  # refused once other blocks are inside
    sch.compute_at(gemm, co_block, preserve_unit_loops=True)
    sch.compute_at(transform, p_block, preserve_unit_loops=True)
    _schedule_input(sch, knobs, transform, pack, p_block)
    _schedule_gemm(sch, knobs, gemm, tile_p, tile_co)


def _split_blocks(sch: Any, loop: Any, size: int) -> Any:
    return sch.split(loop, [None, size] if size else [1, None])


def _schedule_input(sch: Any, knobs: Knobs, transform: Any, pack: Any, p_block: Any) -> None:
    loops = sch.get_loops(transform)
    if knobs["sketch"] == "packed":
        p_in, channel, lane = loops[-3:]
        sch.reorder(channel, p_in)
    else:
        channel, p_in = loops[-2:]
        p_in, lane = sch.split(p_in, [None, knobs["lanes"]])
    sch.compute_at(pack, channel if knobs["pad_at"] == "channel" else p_block)
    sch.vectorize(lane)


def _schedule_gemm(sch: Any, knobs: Knobs, gemm: Any, tile_p: int, tile_co: int) -> None:
    lanes = knobs["lanes"]
    e, p, co, k = sch.get_loops(gemm)[-4:]
    p_tile, p_in = sch.split(p, [None, tile_p])
    co_tile, co_in = sch.split(co, [None, tile_co])
    co_in, co_lane = sch.split(co_in, [None, lanes])
    lane_k = lanes if knobs["v_inner"] == "channel" else 1
    k_out, k_group, k_in = sch.split(k, [None, knobs["unroll_k"] // lane_k, lane_k])
    outer = [co_tile, p_tile] if knobs["order"] == "co_outer" else [p_tile, co_tile]
    sch.reorder(e, *outer, k_out, k_group, k_in, p_in, co_in, co_lane)
    accumulators = sch.cache_write(gemm, 0, "local")
    sch.reverse_compute_at(accumulators, outer[-1])
    # The transformed input must be read as vectors, or it becomes one scalar load a multiply.
    read = lanes if knobs["v_inner"] == "channel" else _READ
    _read_as_vectors(sch, gemm, 0, k_group, 4, read)
    if knobs["read_weights"]:
        at, inside = (k_group, 4) if lane_k == 1 else (k_in, 3)
        _read_as_vectors(sch, gemm, 1, at, inside, lanes)
    sch.unroll(k_group)
    sch.unroll(k_in)
    sch.unroll(p_in)
    sch.unroll(co_in)
    sch.vectorize(co_lane)
    *_, row, column = sch.get_loops(accumulators)
    column, lane = sch.split(column, [None, lanes])
    sch.unroll(row)
    sch.unroll(column)
    sch.vectorize(lane)
    if knobs["pipeline"]:  # the loads of the next k before the multiplies of this one
        copies = 1 + (knobs["read_weights"] and lane_k == 1)
        sch.annotate(k_group, "software_pipeline_stage", [0] * copies + [1])
        sch.annotate(k_group, "software_pipeline_order", list(range(copies + 1)))
    sch.decompose_reduction(gemm, k_out)


def _read_as_vectors(
    sch: Any, gemm: Any, operand: int, at: Any, loops_inside: int, lanes: int
) -> None:
    """Copy what one iteration of ``at`` reads, ``loops_inside`` of the gemm's loops being in it."""
    copy = sch.cache_read(gemm, operand, "local")
    sch.compute_at(copy, at)
    depth = len(sch.get_loops(gemm)) - loops_inside
    fused = sch.fuse(*sch.get_loops(copy)[depth:])
    vectors, lane = sch.split(fused, [None, lanes])
    sch.unroll(vectors)
    sch.vectorize(lane)
