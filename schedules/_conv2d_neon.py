"""The sketch ``neon`` of ``conv2d``: the order of its assembly tiles, and where input is packed."""

from __future__ import annotations

from functools import partial
from typing import Any

from schedules import _conv2d_tiles as tiles

Knobs = dict[str, Any]

# (pixels, vectors) of the register tile, by how few cycles a multiply takes: with p pixels and v
# vectors, p v accumulators, p + v operands and a second set of weights' registers fit 32.
_TILES = [
    [9, 2], [7, 3], [8, 2], [10, 2], [6, 3], [5, 4], [4, 5], [14, 1], [7, 2], [6, 2], [5, 3],
    [4, 4], [12, 1], [10, 1], [8, 1], [7, 1], [3, 6], [2, 8], [4, 3], [4, 2], [3, 4], [3, 2],
    [2, 4], [2, 2], [4, 1], [3, 1], [2, 1], [1, 8], [1, 6], [1, 4], [1, 3], [1, 2], [1, 1],
]  # fmt: skip
_MAX_OFFSET = 32760  # bytes: the immediate of an 8-byte load
_MAX_UNALIGNED = 255 + 8  # bytes from the first pixel, of the end of the last half vector
_MAX_INTERLEAVED = 16  # channels


def takes(w: Any) -> bool:
    """Channels in blocks of four; or NCHW of few channels, where a kernel row's are neighbours."""
    few = w.ci <= _MAX_INTERLEAVED and w.groups == w.dilation[1] == 1
    return w.block == (4, 4) or (w.block == (1, 4) and few and not w.is_pointwise)


def space(w: Any, target: Any) -> dict[str, list[Any]]:
    """Knobs and options."""
    return {
        "lanes": [4],
        **tiles.space(w, target, _TILES, ["interleaved"] if w.block[0] == 1 else None),
        "in_order": [target.core == "cortex-a53"],
        "ahead": _ahead(w),
    }


def _ahead(w: Any) -> list[str]:
    """What of x is asked for so that it is there in time.

    That of the tile's next block of channels, or of the next tile's same block. Padded rows are in
    the L1, where it only costs (3x3, stride 2, 64 to 128 channels on A72: 17.7 instead of 16.3).
    By loads into nowhere; or by ``prfm``, which takes no miss buffer of a core while it waits, for
    real boards: the modelled one does not see it.
    """
    if w.block[0] == 1 or w.kernel != (1, 1) or w.pad != (0, 0):
        return ["none"]
    where = ["block", "tile"] if w.is_pointwise else ["block"]
    return ["none", *where, *(f"prfm_{ahead}" for ahead in where)]


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether padding is near the least, and immediates reach all of a tile's pixels.

    Interleaved pixels lie at any number of floats: an immediate has them up to 255 bytes.
    """
    if knobs["ahead"] in ("tile", "prfm_tile") and knobs["x"] != "direct":
        return False
    most = _MAX_UNALIGNED if w.block[0] == 1 else _MAX_OFFSET
    return tiles.legal(w, knobs) and _reach(w, knobs) <= most


def _reach(w: Any, knobs: Knobs) -> int:
    """Bytes from a tile's first pixel to its last one's last tap."""
    rows, cols, _ = knobs["tile"]
    if w.is_pointwise:
        return 16 * int(cols)
    row = (rows - 1) * w.stride[0] + (w.kernel[0] - 1) * w.dilation[0]
    col = (cols - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1]
    width = w.w + 2 * w.pad[1]
    if w.block[0] == 1:  # in whole vectors, up to three floats more; the kernel's rows are no taps
        row = (rows - 1) * w.stride[0]
        return 4 * int(row * (width * w.ci + 6) + (col + 1) * w.ci + 3)
    return 16 * int(row * width + col + 1)


def default(w: Any, target: Any) -> Knobs:
    """The tile that takes the fewest cycles, blocks that fit the caches, x asked for in time.

    With few output channels memory is what counts (1x1, 32 to 16 channels at 112x112 on A72: 2.0
    Mcycles with the next tile asked for, 2.6 without).
    """
    options = space(w, target)
    knobs = tiles.default(w, target, options, partial(legal, w, target))
    if _is_streamed(w, options):
        return knobs | {"x": "direct", "block": 1, "ahead": "tile"}
    ahead = "block" if target.core != "cortex-a53" and "block" in options["ahead"] else "none"
    return knobs | {"ahead": ahead}


def likely(w: Any, target: Any) -> list[Knobs]:
    """Knobs near the best, the likeliest first."""
    options, base = space(w, target), default(w, target)
    seen = [ahead for ahead in options["ahead"] if not ahead.startswith("prfm")]
    others = [base | {"ahead": ahead} for ahead in seen if ahead != base["ahead"]]
    near = tiles.likely(w, target, options, partial(legal, w, target))
    if base["ahead"] == "tile":
        near = [knobs | {"x": "direct", "ahead": "tile"} for knobs in near]
    else:
        near = [knobs | {"ahead": base["ahead"]} for knobs in near]
    return [knobs for knobs in [*others, *near] if legal(w, target, knobs)]


def _is_streamed(w: Any, options: dict[str, list[Any]]) -> bool:
    """Whether so few channels are made that reading x is most of the work."""
    return "tile" in options["ahead"] and w.is_pointwise and w.co <= 32 and w.ci <= 128


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules [``pack_input``,] ``tile`` in place."""
    tile = sch.get_sblock("tile")
    notes = dict(sch.get(tile).annotations)
    for name in notes:
        sch.unannotate(tile, name)
    _z, n, group, vector, row, col = sch.get_loops(tile)
    if notes["pointwise"]:
        block, col = sch.split(col, [None, knobs["block"]])
    else:
        block, row = sch.split(row, [None, knobs["block"]])
    outer = [vector, row, col] if knobs["order"] == "co_outer" else [row, col, vector]
    sch.reorder(n, group, block, *outer)
    sch.annotate(outer[-1], "pragma_import_llvm", notes["pragma_import_llvm"])
    tiles.schedule_parallel(sch, group, block, outer[0])
    tiles.schedule_pack(sch, knobs, block)
