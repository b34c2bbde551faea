"""The sketch ``channel_pack`` of ``depthwise_conv2d``: loops and knobs of AutoTVM's for ARM.

for channel group (parallel): for row of tiles: pack the rows; for tiles: for taps: rows, columns,
channels. Then for channel (parallel): store.
"""

from __future__ import annotations

from typing import Any

from schedules import _autotvm as autotvm

Knobs = dict[str, Any]

_MAX_UNROLL = 16  # iterations of one loop


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options; ``ann`` is of a tile's rows, columns, channels."""
    return {
        "tile_c": autotvm.factors(w.co),
        "tile_h": autotvm.factors(w.out_h),
        "tile_w": autotvm.factors(w.out_w),
        "ann": autotvm.words(3),
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether unrolled loops are short, the code small and vectors not long."""
    tile = knobs["tile_h"], knobs["tile_w"], knobs["tile_c"]
    if autotvm.vector_lanes(knobs["ann"], tile) > autotvm.MAX_LANES:
        return False
    loops = zip(knobs["ann"].split(), tile, strict=True)
    if any(word == autotvm.UNROLL and size > _MAX_UNROLL for word, size in loops):
        return False
    return autotvm.body(knobs["ann"], tile, target.vector_lanes) <= autotvm.MAX_BODY


def schedule(sch: Any, knobs: Knobs) -> None:
    """Schedules ``pack_input``, ``conv``, ``epilogue`` in place."""
    conv = sch.get_sblock("conv")
    sch.parallel(sch.get_loops(sch.get_sblock("epilogue"))[1])

    n, block, row, col, lane, tap_h, tap_w = sch.get_loops(conv)
    row, row_in = sch.split(row, [None, knobs["tile_h"]])
    col, col_in = sch.split(col, [None, knobs["tile_w"]])
    sch.reorder(n, block, row, col, tap_h, tap_w, row_in, col_in, lane)
    sch.parallel(block)  # refused once other blocks are inside
    sch.compute_at(sch.get_sblock("pack_input"), row)
    autotvm.annotate(sch, (row_in, col_in, lane), knobs["ann"])
    sch.decompose_reduction(conv, tap_h)
