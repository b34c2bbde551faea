"""The sketches ``direct`` and ``grouped`` of ``conv2d``: register tiles of rows, columns, co."""

from __future__ import annotations

from math import gcd, prod
from typing import Any

from schedules._conv2d_features import Tile

Knobs = dict[str, Any]

# (rows, columns, co) of the register tile for vectors of 4 lanes.
_TILES_32 = [
    [1, 8, 12], [1, 12, 8], [1, 8, 8], [1, 16, 4], [1, 4, 16], [1, 4, 24], [1, 24, 4], [1, 20, 4],
    [2, 4, 8], [2, 8, 4], [2, 4, 12], [3, 8, 4], [2, 12, 4], [4, 4, 4],
]  # fmt: skip
_TILES_16 = [[1, 8, 4], [1, 4, 8], [1, 12, 4], [1, 4, 4], [2, 4, 4], [1, 4, 12]]
_TILES_DEPTHWISE = [[1, 4], [1, 8], [1, 12], [1, 16], [2, 4], [2, 8], [3, 8], [4, 4], [1, 28]]
_MAX_WASTE = 1.2  # of the least padding that any tile needs
_MAX_BODY = 300  # vector instructions: the loop's body must stay in the I-cache


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options; ``tile`` has few co where a group has few."""
    tiles = _tiles(w, target)
    most = max(-(-w.out_h // rows) for rows, _, _ in tiles)
    return {
        "lanes": [target.vector_lanes],
        "tile": tiles,
        "blocks_rows": [b for b in (1, 2, 3, 4, 7, 8, 14, 16, 28, 56) if b <= most],
        "order": ["co_outer", "pixels_outer"],
        "unroll": ["columns", "taps"] if w.kernel[0] > 1 else ["columns"],
        "read_weights": [False, True],
        "read_input": [False, True],
    }


def _tiles(w: Any, target: Any) -> list[list[int]]:
    """Register tiles whose padding is near the least."""
    scale, per_group = target.vector_lanes // 4, w.co // w.groups
    tiles = _TILES_32 if target.vector_registers == 32 else _TILES_16
    if per_group < 4:
        few = _TILES_DEPTHWISE if target.vector_registers == 32 else _TILES_DEPTHWISE[:-2]
        tiles = [[r, c, co] for r, c in few for co in (1, 2) if co <= per_group and r * c * co < 48]
    tiles = [[r, c * scale, co] for r, c, co in tiles]
    least = min(_waste(w, t) for t in tiles)
    return [t for t in tiles if _waste(w, t) <= least * _MAX_WASTE]


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether blocks of rows need little padding, and the loop's body is not large."""
    rows, cols, co = knobs["tile"]
    size = rows * cols * co // knobs["lanes"] * prod(w.kernel)
    if knobs["unroll"] == "taps" and size > _MAX_BODY:
        return False
    tiles, blocks = -(-w.out_h // rows), knobs["blocks_rows"]
    return blocks <= tiles and -(-tiles // blocks) * blocks <= tiles * _MAX_WASTE


def _waste(w: Any, tile: list[int]) -> float:
    size = 1.0
    for extent, step in zip((w.out_h, w.out_w, w.co // w.groups), tile, strict=True):
        size *= -(-extent // step) * step / extent
    return size


def tile(w: Any, target: Any, knobs: Knobs) -> Tile:
    """One tap of one channel; vectors of the input are read, and weights by vectors or elements."""
    (rows, cols, co), lanes = knobs["tile"], knobs["lanes"]
    (kh, kw), ci = w.kernel, w.ci // w.groups
    read_rows, read_cols = (rows - 1) * w.stride[0] + kh, (cols - 1) * w.stride[1] + kw
    row_block = -(-w.out_h // (rows * knobs["blocks_rows"])) * rows
    # Each block packs its own rows of the input, with those that its neighbours have too.
    packed = ((row_block - 1) * w.stride[0] + kh) * knobs["blocks_rows"]
    width = (w.out_w - 1) * w.stride[1] + kw
    return Tile(
        pixels=rows * cols,
        channels=co,
        along="pixels",
        lanes=lanes,
        vector_loads=rows * cols / lanes,
        element_loads=co / gcd(co, lanes) if knobs["read_weights"] else co,
        steps=kw * (kh if knobs["unroll"] == "taps" else 1),
        rolled=1,
        waste=_waste(w, knobs["tile"]),
        copied=ci * packed * width / (w.out_h * w.out_w * w.co // w.groups),
        depth=ci * kh * kw,
        weights=ci * kh * kw * co,
        inputs=ci * read_rows * read_cols,
        block=ci * packed * width / knobs["blocks_rows"],
    )


def default(w: Any, target: Any) -> Knobs:
    """The largest tile among those that waste least."""
    options = space(w, target)
    knobs: Knobs = {name: values[0] for name, values in options.items()}
    knobs["tile"] = min(options["tile"], key=lambda t: (_waste(w, t), -prod(t)))
    return knobs


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``pack_input``, ``conv``, ``epilogue`` in place."""
    lanes, (rows, cols, tile_co) = knobs["lanes"], knobs["tile"]
    conv, epilogue = sch.get_sblock("conv"), sch.get_sblock("epilogue")

    _n, group, co, row, column = sch.get_loops(epilogue)
    groups, blocks = int(sch.get(group).extent), knobs["blocks_rows"]
    row_block, row_tile, row_in = sch.split(row, [blocks, None, rows])
    co_tile, co_in = sch.split(co, [None, tile_co])
    column_tile, column_in = sch.split(column, [None, cols // lanes])
    outer = [row_tile, column_tile]
    outer = [co_tile, *outer] if knobs["order"] == "co_outer" else [*outer, co_tile]
    sch.reorder(row_block, *outer, co_in, row_in, column_in)
    for loop in (co_in, row_in, column_in):
        sch.unroll(loop)
    # Refused once other blocks are inside.
    sch.parallel(group if groups > 1 else row_block if blocks > 1 else outer[0])
    sch.compute_at(conv, outer[-1], preserve_unit_loops=True)
    sch.set_scope(conv, 0, "local")
    sch.compute_at(sch.get_sblock("pack_input"), row_block)
    _schedule_conv(sch, knobs, conv)


def _schedule_conv(sch: Any, knobs: Knobs, conv: Any) -> None:
    lanes = knobs["lanes"]
    co, row, column, ci, tap_h, tap_w = sch.get_loops(conv)[-6:]
    column, lane = sch.split(column, [None, lanes])
    sch.reorder(ci, tap_h, tap_w, co, row, column, lane)
    if knobs["read_weights"]:
        _read(sch, conv, 1, tap_w, lanes)
    if knobs["read_input"]:
        _read(sch, conv, 0, tap_w, lanes)
    for loop in [tap_w, co, row, column] + ([tap_h] if knobs["unroll"] == "taps" else []):
        sch.unroll(loop)
    sch.vectorize(lane)
    init = sch.decompose_reduction(conv, ci)
    for loop in sch.get_loops(init)[-4:-1]:
        sch.unroll(loop)


def _read(sch: Any, conv: Any, operand: int, at: Any, lanes: int) -> None:
    """Loads what one tap needs of an operand into registers."""
    copy = sch.cache_read(conv, operand, "local")
    sch.compute_at(copy, at, preserve_unit_loops=True)
    depth = len(sch.get_loops(conv)) - 4  # the loops above the register tile
    *others, last = sch.get_loops(copy)[depth:]
    size = int(sch.get(last).extent)
    last, lane = sch.split(last, [None, gcd(size, lanes)])
    for loop in [*others, last]:
        sch.unroll(loop)
    sch.vectorize(lane)
