"""Schedules of ``depthwise_conv2d``: the space of knobs, what is legal, and the templates.

for channel block (parallel): [planes: pad the plane]; for rows of tiles: for columns of tiles:
straight-line code. The tile and its order of loads are the compute definition's. ``channel_pack``
has loops of its own.
"""

from __future__ import annotations

from math import prod
from typing import Any

from schedules import _depthwise_channel_pack as channel_pack

Knobs = dict[str, Any]

STRUCTURAL = {"fence": None}  # and the sketch; None: any of the space

# (rows, columns) of a register tile of outputs. Tiles of few rows read and write few streams at a
# time, those of more rows load an input less often.
_TILES = [[1, 7], [1, 4], [1, 8], [1, 14], [2, 7], [2, 4], [2, 8], [2, 5], [3, 4], [4, 4], [3, 5]]
_PLANE_TILES = [[4, 2], [2, 2], [4, 4], [1, 4], [1, 2], [2, 1], [4, 1], [3, 2], [2, 4]]  # vectors
_SMALLEST = [1, 1]
_SHARING = {"cortex-a53": 1, "cortex-a72": 10}  # taps from which on two rows pay, in a cache
_MAX_CODE = 5000  # multiply-adds of all spans: 30 KB with loads and stores, a row of tiles a third


_LIKELY = [
    ([1, 7], "row"), ([2, 7], "tile"), ([3, 4], "row"), ([1, 14], "tile"), ([1, 8], "row"),
    ([4, 4], "row"), ([2, 7], "row"), ([2, 4], "tile"),
]  # fmt: skip


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """``blocks`` or ``planes`` (NCHW), or where these are too much code ``loops``.

    In NCHW also ``channel_pack``, which has the knobs of AutoTVM's template, for its logs. Empty
    where x and y have different layouts.
    """
    if w.block[0] != w.block[1]:
        return {}
    sketches = _own_space(w, target)
    if w.block[0] == 1 and w.co == w.ci:
        sketches["channel_pack"] = channel_pack.space(w, target)
    return sketches


def _own_space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Without AutoTVM's; one sketch."""
    sketch, tiles = ("planes", _PLANE_TILES) if w.block[0] == 1 else ("blocks", _TILES)
    lanes = _lanes(w, target)
    fitting = [t for t in tiles if _fits(w, target, sketch, t, lanes)]
    if not fitting and _fits(w, target, sketch, _SMALLEST, lanes):
        fitting = [_SMALLEST]
    if not fitting:
        return {"loops": {"lanes": [min(target.vector_lanes, w.block[0])]}}
    return {sketch: {"lanes": [lanes], "tile": fitting, "fence": ["row", "tile"]}}


def _lanes(w: Any, target: Any) -> int:
    """Of channels, or of columns: no more than a row has, so that the last vector lies in it."""
    lanes = int(target.vector_lanes)
    if w.block[0] > 1:
        return min(lanes, int(w.block[0]))
    while lanes > w.out_w:
        lanes //= 2
    return lanes


def _fits(w: Any, target: Any, sketch: str, tile: list[int], lanes: int) -> bool:
    """Whether accumulators and weights fit the registers, and the code is not large."""
    taps, (rows, cols) = prod(w.kernel), tile
    weights = taps if taps <= 9 else min(rows, w.kernel[0]) * w.kernel[1]
    if tile != _SMALLEST and rows * cols + weights > target.vector_registers - 2:
        return False
    if sketch == "planes":  # padded: no edges
        row_taps = w.kernel[0] * (rows + (w.out_h % rows if w.out_h > rows else 0))
        col_taps = w.kernel[1] * cols * (2 if w.out_w % (cols * lanes) else 1)
    else:
        row_taps, col_taps = (_taps(w, axis, tile[axis]) for axis in (0, 1))
    return bool(row_taps * col_taps <= _MAX_CODE)


def _taps(w: Any, axis: int, tile: int) -> int:
    """Of all different tiles along an axis: the taps of their outputs that lie in the input."""
    size, outputs = (w.h, w.w)[axis], (w.out_h, w.out_w)[axis]

    def inside(output: int) -> tuple[int, int]:
        start, d = output * w.stride[axis] - w.pad[axis], w.dilation[axis]
        first = max(0, -(start // d))
        return first, max(first, min(w.kernel[axis], (size - 1 - start) // d + 1))

    tiles = {
        tuple(inside(o) for o in range(start, min(start + tile, outputs)))
        for start in range(0, outputs, tile)
    }
    return sum(end - first for taps in tiles for first, end in taps)


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Every combination is; of ``channel_pack`` those whose code is small."""
    return knobs["sketch"] != "channel_pack" or channel_pack.legal(w, target, knobs)


def default(w: Any, target: Any) -> Knobs:
    """Tiles of one row for what comes from memory, of two for what stays in a cache.

    One row is two streams: 23 cycles a vector of outputs instead of 27 (2 rows) and 29 (4) for
    128@56 on A72; 34, 41 and 60 for 480@14 on A53. Two rows share inputs, and the weights of
    kernels that do not stay in registers: 37.5 instead of 41.0 for 960@7, 5x5, on A53. The A76
    loads twice a cycle and gains nothing.
    """
    ((sketch, options),) = _own_space(w, target).items()
    knobs = {"sketch": sketch, **{name: values[0] for name, values in options.items()}}
    if sketch != "blocks":
        return knobs
    c = 8 if w.out_w % 8 == 0 and w.out_w % 7 else 7
    size = 4 * (w.ci * w.h * w.w + w.co * w.out_h * w.out_w)
    cached = size <= 1024 * max(target.l2_kib, target.l3_kib)
    shares = w.stride[0] == 1 and prod(w.kernel) >= _SHARING.get(target.core, 1 << 30)
    if cached and shares and [2, c] in options["tile"]:
        return knobs | {"tile": [2, c], "fence": "tile"}
    return knobs | ({"tile": [1, c]} if [1, c] in options["tile"] else {})


def likely(w: Any, target: Any) -> list[Knobs]:
    """What a search should try after the default, the likeliest first."""
    options = space(w, target).get("blocks")
    if options is None:
        return []
    common = {"sketch": "blocks", "lanes": options["lanes"][0]}
    return [
        {**common, "tile": tile, "fence": fence}
        for tile, fence in _LIKELY
        if tile in options["tile"]
    ]


def sliceable(w: Any, knobs: Knobs | str) -> bool:
    """Whether the knobs (or their sketch's) mean the same for fewer rows of the output."""
    return bool(w.block[0] > 1)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the blocks ``conv`` and, of ``planes``, ``pack_input`` in place."""
    if knobs["sketch"] == "channel_pack":
        channel_pack.schedule(sch, knobs)
        return
    n, block, lane = sch.get_loops(sch.get_sblock("conv"))
    outer = sch.fuse(n, block)
    sch.parallel(outer)  # refused once other blocks are inside
    if knobs["sketch"] == "planes":
        sch.compute_at(sch.get_sblock("pack_input"), outer)
    if knobs["sketch"] != "loops":
        _, lane = sch.split(lane, [None, knobs["lanes"]])
        sch.vectorize(lane)
