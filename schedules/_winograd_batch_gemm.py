"""The sketch ``batch_gemm`` of ``winograd_conv2d``: loops and knobs of AutoTVM's Winograd for ARM.

for group of tiles (parallel): for ci: gather, transform; for co group (parallel): [for element, for
group of tiles, for ci group: co, ci, tile]; for co: for tile: inverse transform, store.
"""

from __future__ import annotations

from typing import Any

from schedules import _autotvm as autotvm

Knobs = dict[str, Any]

_M = [4, 4]
_MOST = 16  # of a split's inner part, and iterations of an unrolled reduction


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options; ``ann_reduce`` is of ci in its group, ``ann_spatial`` of co and tiles."""
    return {
        "m": [_M],
        "tile_p": autotvm.factors(_tiles(w, _M), _MOST),
        "tile_k": autotvm.factors(w.co, _MOST),
        "tile_c": autotvm.factors(w.ci, _MOST),
        "ann_reduce": autotvm.words(1, vectors=False),
        "ann_spatial": autotvm.words(2),
    }


def _tiles(w: Any, m: list[int]) -> int:
    return int(-(-w.out_h // m[0]) * -(-w.out_w // m[1]))


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether tiles divide and the innermost loop's code is small."""
    sizes = (knobs["tile_k"], knobs["tile_p"])
    if _tiles(w, knobs["m"]) % knobs["tile_p"]:
        return False
    size = autotvm.body(knobs["ann_spatial"], sizes, target.vector_lanes)
    return size * autotvm.body(knobs["ann_reduce"], [knobs["tile_c"]], 1) <= autotvm.MAX_BODY


def schedule(sch: Any, knobs: Knobs) -> None:
    """Schedules the blocks of ``_winograd_batch_gemm.py`` in place."""
    transform, gemm = sch.get_sblock("transform"), sch.get_sblock("gemm")
    inverse, epilogue = sch.get_sblock("inverse"), sch.get_sblock("epilogue")

    _one, group, channel, tile = sch.get_loops(transform)
    sch.parallel(group)
    sch.vectorize(tile)
    sch.compute_at(sch.get_sblock("pack_input"), channel)

    n, co, row, col = sch.get_loops(epilogue)
    co, co_in = sch.split(co, [None, knobs["tile_k"]])
    row, row_in = sch.split(row, [None, knobs["m"][0]])
    col, col_in = sch.split(col, [None, knobs["m"][1]])
    sch.reorder(n, co, co_in, row, col, row_in, col_in)
    fused = sch.fuse(n, co)
    sch.parallel(fused)  # refused once other blocks are inside
    sch.compute_at(inverse, col)
    sch.set_scope(inverse, 0, "local")
    sch.compute_at(gemm, fused, preserve_unit_loops=True)

    element, k, tile, channel = sch.get_loops(gemm)[-4:]
    channel, channel_in = sch.split(channel, [None, knobs["tile_c"]])
    tile, tile_in = sch.split(tile, [None, knobs["tile_p"]])
    sch.reorder(element, tile, channel, k, channel_in, tile_in)
    autotvm.annotate(sch, [channel_in], knobs["ann_reduce"])
    autotvm.annotate(sch, [k, tile_in], knobs["ann_spatial"])
    sch.decompose_reduction(gemm, channel)
