"""The sketch ``spatial_pack`` of ``conv2d``: the loops and knobs of AutoTVM's spatial pack for ARM.

for row of tiles (parallel): pack the input; for co tile (parallel): for tiles: for ci, kh, kw: the
tile's rows, columns, co; store. Knobs as in its template: splits, two orders, two annotations.
"""

from __future__ import annotations

from math import gcd, prod
from typing import Any

from schedules import _autotvm as autotvm
from schedules._conv2d_features import Tile

Knobs = dict[str, Any]

_MAX_TILE = 1024  # outputs of a tile, 4 KB of accumulators; records of real boards have up to 568
_MAX_UNROLL = 16  # iterations of a loop around the stores


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options; ``ann_reduce`` is of kh, kw, ``ann_spatial`` of rows, columns, co."""
    return {
        "tile_co": autotvm.factors(w.co),
        "tile_oh": autotvm.factors(w.out_h),
        "tile_ow": autotvm.factors(w.out_w),
        "reorder_0": ["vh vw vc", "vc vh vw"],
        "ann_reduce": autotvm.words(2, vectors=False),
        "ann_spatial": autotvm.words(3),
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether tiles and the innermost loop's code are small, and vectors not long."""
    co, rows, cols = knobs["tile_co"], knobs["tile_oh"], knobs["tile_ow"]
    if w.co % co or w.out_h % rows or w.out_w % cols or co * rows * cols > _MAX_TILE:
        return False
    tile = (rows, cols, co)
    if autotvm.vector_lanes(knobs["ann_spatial"], tile) > autotvm.MAX_LANES:
        return False
    size = autotvm.body(knobs["ann_spatial"], tile, target.vector_lanes)
    return size * autotvm.body(knobs["ann_reduce"], w.kernel, 1) <= autotvm.MAX_BODY


def tile(w: Any, target: Any, knobs: Knobs) -> Tile:
    """One tap of one channel; without a vector LLVM makes one along channels, if it can."""
    extents = rows, cols, co = knobs["tile_oh"], knobs["tile_ow"], knobs["tile_co"]
    words, taps = knobs["ann_spatial"].split(), knobs["ann_reduce"].split()
    extent = autotvm.vector_lanes(knobs["ann_spatial"], extents)
    along = words.index(autotvm.VECTORIZE) if extent > 1 else 2
    # A vector that is not whole becomes parts, and one of strided elements is put together of them.
    lanes = gcd(extents[along], target.vector_lanes)
    strided = along == 0 or (along == 1 and w.stride[1] > 1)
    inputs = rows * cols / (lanes if along == 1 and not strided else 1)
    read = [(v - 1) * s + k for v, s, k in zip((rows, cols), w.stride, w.kernel, strict=True)]
    return Tile(
        pixels=rows * cols,
        channels=co,
        along="none" if extent == 1 else "channels" if along == 2 else "pixels",
        lanes=lanes,
        vector_loads=co / lanes if along == 2 else inputs,
        element_loads=inputs if along == 2 else co,
        steps=prod(k for k, word in zip(w.kernel, taps, strict=True) if word == autotvm.UNROLL),
        rolled=prod(e for e, word in zip(extents, words, strict=True) if word == autotvm.NONE),
        waste=1.0,
        copied=w.ci * prod(read) / (rows * cols * w.co),
        depth=w.ci * prod(w.kernel),
        weights=w.ci * prod(w.kernel) * co,
        inputs=w.ci * prod(read),
        block=w.ci * prod(read) * w.out_w / cols,
    )


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``pack_input``, ``conv``, ``epilogue`` in place."""
    conv, epilogue = sch.get_sblock("conv"), sch.get_sblock("epilogue")
    sch.parallel(sch.get_loops(sch.get_sblock("pack_input"))[1])

    n, co, row, col = sch.get_loops(epilogue)
    co, vc = sch.split(co, [None, knobs["tile_co"]])
    row, vh = sch.split(row, [None, knobs["tile_oh"]])
    col, vw = sch.split(col, [None, knobs["tile_ow"]])
    sch.reorder(n, co, row, col, vh, vw, vc)
    autotvm.annotate(sch, (vh, vw, vc), knobs["ann_spatial"], _MAX_UNROLL)
    sch.parallel(co)  # refused once other blocks are inside
    sch.compute_at(conv, col, preserve_unit_loops=True)
    sch.set_scope(conv, 0, "local")

    vh, vw, vc, ci, kh, kw = sch.get_loops(conv)[-6:]
    inner = {"vh": vh, "vw": vw, "vc": vc}
    sch.reorder(ci, kh, kw, *(inner[name] for name in knobs["reorder_0"].split()))
    autotvm.annotate(sch, (kh, kw), knobs["ann_reduce"])
    autotvm.annotate(sch, (vh, vw, vc), knobs["ann_spatial"])
    sch.decompose_reduction(conv, ci)
