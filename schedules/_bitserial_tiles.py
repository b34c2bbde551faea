"""The sketches of register tiles, ``assembly`` and ``intrinsics``, of the few-bit operators.

For the few-bit operators: ``w`` is what they compute as a convolution.
"""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

_MAX_PIXELS = {"aarch64": 5, "armv7": 2, "x86_64": 3}  # of 32, 16 and 16 registers
_DUPLICATES = ("cortex-a72", "cortex-a76")
_MAX_OFFSET = 65520  # bytes: the immediate of a 16-byte load
_MAX_BLOCK = 64  # tiles of pixels
RUNS = (1, 2, 4, 7)  # images have rows of 7 times a power of two pixels
_UNROLLED = 160  # steps of a call; with more, chunks are a loop
_PARALLEL_COPY = 16384  # words; fewer are there before threads are


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Knobs and options: pixels of the tile, where it reads x, whether each word is there twice.

    ``block``: tiles of pixels that all output channels pass before the next ones; 0 for all.
    ``runs``: how many times as many pixels as registers have room for are finished together.
    ``k_bits``: of K in a step; 64 with tiles of 8 output channels, 16 with tiles of 32, which are
    for in-order cores: there nothing hides what the former take to add up a chunk's bytes.

    A vector needs a word of x in both halves. `ld1r` does that, on A72 and A76 with an operation of
    the vector pipes; a copy that has each word twice does without. The A53 loads 64 bits a cycle.
    """
    if not takes(w):
        return {}
    in_order = target.core == "cortex-a53"
    size = w.out_h * w.out_w
    most = min(_MAX_PIXELS[target.isa], size)
    common: dict[str, list[Any]] = {
        "pixels": list(range(1, most + 1)),
        "x": ["padded", "im2col", *(["direct"] if w.reads_in_place else [])],
        "block": sorted({0}.union(*(blocks(-(-size // p)) for p in range(1, 2 * most + 1)))),
    }
    portable = {**common, "duplicated": [False, True], "runs": [1], "isa": [target.isa]}
    if target.isa != "aarch64":
        return {"intrinsics": portable}
    assembly: dict[str, list[Any]] = {
        **common,
        "duplicated": [False] if in_order else [True, False],
        "runs": [1] if in_order else list(RUNS),
        "k_bits": [16, 64] if in_order and w.wide_cut else [64],
        "in_order": [in_order],
    }
    return {"assembly": assembly, "intrinsics": portable}


def blocks(tiles: int) -> list[int]:
    """Numbers of tiles that divide all of them."""
    return [b for b in range(2, min(tiles - 1, _MAX_BLOCK) + 1) if tiles % b == 0]


def takes(w: Any) -> bool:
    """Whether a chunk fits bytes, and groups are of whole tiles."""
    return w.cut is not None and (w.groups == 1 or w.co // w.groups % 8 == 0)


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether x can be read so: in place, by the offsets that an instruction has, in such blocks.

    On A72 and A76 a copy that can have words twice has to: `ld1r` takes an operation of the vector
    pipes, and these are what tiles are limited by.
    """
    tiles = -(-w.out_h * w.out_w // (knobs["pixels"] * knobs["runs"]))
    if knobs["block"] and (tiles <= knobs["block"] or tiles % knobs["block"]):
        return False
    if knobs["runs"] > 1 and (knobs["x"] == "im2col" or tiles == 1):
        return False
    if knobs["runs"] > 1 and not fits_cache(_code(w, knobs), target):
        return False
    if knobs.get("k_bits") == 16:
        return knobs["x"] != "direct" or bool(w.reads_cut_in_place(w.wide_cut))
    could = knobs["x"] != "direct" and _reach(w, knobs) * 16 <= _MAX_OFFSET
    if not knobs["duplicated"]:
        return not could or target.core not in _DUPLICATES
    return could


def fits_cache(code: int, target: Any) -> bool:
    """Whether a tile of so many bytes of code can stay in the L1 cache, which the model has not."""
    return code <= 1024 * int(target.l1i_kib)


def _code(w: Any, knobs: Knobs) -> int:
    """Bytes of a tile's chunks: eor, cnt and add for 4 vectors of each pixel, loads of both."""
    rows, words = w.cut
    steps = w.kernel[0] * w.kernel[1] * -(-w.group_words // words) * words * w.a_bits * w.w_bits
    if steps > _UNROLLED:
        steps = rows * w.kernel[1] * words
    return int(4 * steps * (12 * knobs["pixels"] + 4 + knobs["pixels"]) * knobs["runs"])


def _reach(w: Any, knobs: Knobs) -> int:
    """Words from the first to the last one of a chunk."""
    rows, words = w.cut
    if knobs["x"] == "im2col":
        return int(rows * w.kernel[1] * words * knobs["pixels"])
    row = (w.w + 2 * w.pad[1]) * w.a_bits * -(-w.group_words // words)
    return int((rows - 1) * row + w.kernel[1]) * words


def likely(w: Any, target: Any) -> list[Knobs]:
    """Knobs near the best, the likeliest first."""
    sketches = space(w, target)
    sketch = next(iter(sketches))
    options = sketches[sketch]
    fixed: dict[str, Any] = {"sketch": sketch, "runs": min(2, options["runs"][-1])}
    fixed |= {name: options[name][0] for name in ("in_order", "isa") if name in options}
    widths = options.get("k_bits", [64])
    tiles = [(p, k) for p in options["pixels"] for k in widths]
    tiles.sort(key=lambda tile: _cost(w, target, *tile))
    found = []
    for x in ["direct", "padded"] if _is_small(w, target) else ["padded", "direct"]:
        for duplicated in [True, False] if target.core in _DUPLICATES else [False]:
            for p, k in tiles[:3]:
                knobs = fixed | {"pixels": p, "x": x, "duplicated": duplicated}
                knobs |= {"k_bits": k} if "k_bits" in options else {}
                block = _block(w, target, p * knobs["runs"], 2 if duplicated else 1)
                choices = [{"block": block}, {"block": 0}, {"block": 0, "runs": 1}]
                legals = [knobs | c for c in choices if x in options["x"]]
                found += [k for k in legals if legal(w, target, k)][:1]
    return found


def _block(w: Any, target: Any, pixels: int, times: int) -> int:
    """As many tiles as have their rows of x in half of the L1 cache, where not all have."""
    row = (w.w + 2 * w.pad[1]) * w.groups * w.group_words * w.a_bits * 8 * times
    room = target.l1d_kib * 512

    def rows(tiles: int) -> int:
        return int(-(-tiles * pixels // w.out_w) * w.stride[0] + w.kernel[0])

    if row * (w.h + 2 * w.pad[0]) <= room:
        return 0
    dividing = blocks(-(-w.out_h * w.out_w // pixels))
    return max((b for b in dividing if row * rows(b) <= room), default=0)


def _is_small(w: Any, target: Any) -> bool:
    """Whether so few output channels share a copy that it costs more than it saves.

    Not on the A76: with 1x1 and 64 to 512 channels it is up to 7 % faster with the copy.
    """
    few = w.co <= 64 * w.kernel[0] * w.kernel[1]
    return bool(few and target.core != "cortex-a76")


def _cost(w: Any, target: Any, pixels: int, k_bits: int) -> float:
    """Cycles of a group.

    Three instructions for 4 accumulators a step; in order the loads' halves take (8 + P) / 2
    cycles. 7 to add up a pixel's sums, and to start a chunk and a tile 15 and 25 cycles. Tiles of
    32 channels: 6 between chunks, 12 for a pixel's end (one bit; two 24), 40 for a tile.
    """
    rows, words = w.wide_cut if k_bits == 16 else w.cut
    steps = rows * w.kernel[1] * words
    chunks = w.kernel[0] // rows * -(-w.group_words // words) * w.a_bits * w.w_bits
    size = w.out_h * w.out_w
    tiles = -(-size // pixels)
    in_order = target.core == "cortex-a53"
    step = 12 * pixels + ((8 + pixels) / 2 if in_order else 0)
    channels = w.co // w.groups
    if k_bits == 16:
        end = 40 + 12 * pixels * max(1, w.out_bits)
        return float(-(-channels // 32) * tiles * (chunks * (4 * steps * step + 6) + end))
    rate = 1 if in_order else 0.5
    chunk = rate * (steps * step + 7 * pixels) + 15
    return float(-(-channels // 8) * tiles * (chunks * chunk + 25 + 4 * pixels))


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules [``pack_input``, ``table``,] ``tile`` in place.

    Threads take tiles of output channels of a block. Where the last tile of pixels is moved back,
    two of them may write the same bytes: equal ones.
    """
    tile = sch.get_sblock("tile")
    text = sch.get(tile).annotations["pragma_import_llvm"]
    sch.unannotate(tile, "pragma_import_llvm")
    _, n, group, channels, pixels = sch.get_loops(tile)
    if knobs["block"]:
        block, pixels = sch.split(pixels, [None, knobs["block"]])
        sch.reorder(n, group, block, channels, pixels)
        channels = sch.fuse(block, channels)
    sch.annotate(pixels, "pragma_import_llvm", text)
    sch.parallel(sch.fuse(n, group, channels))
    if knobs["x"] == "direct":
        return
    parallel_copy(sch, 5)


def parallel_copy(sch: Any, outer: int) -> None:
    """Threads for the copy of x, over so many of its loops, where it is large."""
    loops = sch.get_loops(sch.get_sblock("pack_input"))
    extent = 1
    for loop in loops:
        extent *= int(sch.get(loop).extent)
    if extent >= _PARALLEL_COPY:
        sch.parallel(sch.fuse(*loops[:outer]))
