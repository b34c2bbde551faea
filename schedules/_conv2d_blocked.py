"""The sketch ``blocked`` of ``conv2d``: channels in blocks, vectors along the output's."""

from __future__ import annotations

from math import gcd, prod
from typing import Any

from schedules import _conv2d_tiles as tiles

Knobs = dict[str, Any]

# (pixels, vectors) of the register tile: up to 24 accumulators of 32 registers, or 8 to 12 of 16.
_TILES_32 = [
    [8, 2], [12, 2], [6, 4], [7, 3], [8, 3], [10, 2], [5, 4], [4, 4], [14, 1], [16, 1], [7, 2],
    [4, 6], [2, 8], [4, 2], [4, 1], [2, 4], [2, 2], [2, 1], [1, 8], [1, 4], [1, 2], [1, 1],
]  # fmt: skip
_TILES_16 = [
    [4, 2], [6, 2], [4, 3], [5, 2], [8, 1], [7, 1], [2, 4], [3, 3], [3, 2], [2, 2], [4, 1], [2, 1],
    [1, 4], [1, 2], [1, 1],
]  # fmt: skip
_MAX_BODY = 400  # multiplies of the innermost loop: its code must stay in the I-cache


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options."""
    c, lanes = w.block[0], tiles.lanes(w, target)
    by_memory = target.isa == "x86_64" or c == 1
    return {
        "lanes": [lanes],
        **tiles.space(w, target, _TILES_32 if target.vector_registers == 32 else _TILES_16),
        # Elements of one load. x86 multiplies by a broadcast element of memory (0), ARM by an
        # element of a register.
        "read_elements": [0] if by_memory else [4, 2],
        "read_weights": [False, True],
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether padding is near the least, the innermost loop's code small, and TVM has its bounds.

    Of elements read for several rows of a dilated kernel, compute_at finds no constant number.
    """
    if knobs["read_elements"] and knobs["tile"][0] > 1 and w.dilation[0] > 1:
        return False
    return prod(knobs["tile"]) * w.block[0] <= _MAX_BODY and tiles.legal(w, knobs)


def default(w: Any, target: Any) -> Knobs:
    """The tile that takes the fewest cycles, blocks that fit the caches."""
    return tiles.default(w, target, space(w, target), lambda knobs: legal(w, target, knobs))


def likely(w: Any, target: Any) -> list[Knobs]:
    """Knobs near the best, the likeliest first."""
    return tiles.likely(w, target, space(w, target), lambda knobs: legal(w, target, knobs))


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules [``pack_input``,] ``gemm``, ``epilogue`` in place."""
    tile_h, tile_w, tile_v = knobs["tile"]
    gemm, epilogue = sch.get_sblock("gemm"), sch.get_sblock("epilogue")
    pointwise = bool(sch.get(gemm).annotations["pointwise"])
    sch.unannotate(gemm, "pointwise")

    _n, row, col, vector, lane = sch.get_loops(epilogue)
    row, row_in = sch.split(row, [None, tile_h])
    col, col_in = sch.split(col, [None, tile_w])
    vector, vector_in = sch.split(vector, [None, tile_v])
    if pointwise:
        block, col = sch.split(col, [None, knobs["block"]])
    else:
        block, row = sch.split(row, [None, knobs["block"]])
    outer = [vector, row, col] if knobs["order"] == "co_outer" else [row, col, vector]
    sch.reorder(block, *outer, row_in, col_in, vector_in, lane)
    for loop in (row_in, col_in, vector_in):
        sch.unroll(loop)
    sch.vectorize(lane)
    tiles.schedule_parallel(sch, None, block, outer[0])
    sch.compute_at(gemm, outer[-1], preserve_unit_loops=True)
    sch.set_scope(gemm, 0, "local")
    tiles.schedule_pack(sch, knobs, block)
    _schedule_gemm(sch, knobs, gemm)


def _schedule_gemm(sch: Any, knobs: Knobs, gemm: Any) -> None:
    row, col, vector, lane, block, tap_h, tap_w, channel = sch.get_loops(gemm)[-8:]
    read = knobs["read_elements"]
    channel, channel_in = sch.split(channel, [None, read or 1])
    sch.reorder(block, tap_h, tap_w, channel, channel_in, row, col, vector, lane)
    if read:
        _read(sch, gemm, 0, channel, 5, read)
    if knobs["read_weights"]:
        _read(sch, gemm, 1, channel_in, 4, knobs["lanes"])
    for loop in (channel, channel_in, row, col, vector):
        sch.unroll(loop)
    sch.vectorize(lane)
    init = sch.decompose_reduction(gemm, block)
    for loop in sch.get_loops(init)[-4:-1]:
        sch.unroll(loop)


def _read(sch: Any, gemm: Any, operand: int, at: Any, inside: int, lanes: int) -> None:
    """Loads what one iteration of ``at`` needs of an operand into registers, as vectors."""
    copy = sch.cache_read(gemm, operand, "local")
    sch.compute_at(copy, at, preserve_unit_loops=True)
    depth = len(sch.get_loops(gemm)) - inside
    *others, last = sch.get_loops(copy)[depth:]
    last, lane = sch.split(last, [None, gcd(int(sch.get(last).extent), lanes)])
    for loop in [*others, last]:
        sch.unroll(loop)
    sch.vectorize(lane)
