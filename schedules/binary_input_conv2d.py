"""Schedules of ``binary_input_conv2d``: tiles of pixels and channels, and their order."""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

STRUCTURAL = {"loops": None}

# (pixels, vectors of eight channels) of the assembly: sums, pixels, two sets of weights and three
# more fit the registers.
_TILES = [[4, 4], [3, 4], [2, 4], [1, 4], [4, 2], [3, 2], [2, 2], [1, 2], [2, 6], [1, 6]]
_MAX_BODY = 1024  # products of a kernel row
_PARALLEL = 1 << 18  # MACs, 20 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Sketches: ``pairs`` of taps by signs, the same in ``assembly``, ``dot`` products.

    ``dot`` is where the core has them, ``assembly`` on AArch64 where a kernel row is short.
    """
    wide = [[p, v] for p in (1, 2, 3, 4, 5, 6, 8) for v in (2, 4, 6, 8) if p <= w.out_w]
    common: dict[str, list[Any]] = {"loops": ["rows", "channels"], "isa": [target.isa]}
    sketches = {"pairs": common | {"tile": wide}}
    groups = -(-w.kernel[1] * w.ci // 2)
    tiles = [t for t in _TILES if t[0] <= w.out_w and groups * t[0] * t[1] <= _MAX_BODY]
    if target.isa == "aarch64" and tiles and w.stride[1] * w.ci < 1024:
        sketches["assembly"] = common | {"tile": tiles}
    if "+dotprod" in target.mattr:
        sketches["dot"] = common | {"tile": wide}
    return sketches


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether sums, an operand for each pixel or vector and two more fit the registers.

    Channels are padded by less than a tile, or by as little as the smallest one does.
    """
    pixels, vectors = knobs["tile"]
    sums = pixels * vectors * (2 if knobs["sketch"] == "dot" else 1)
    if vectors > 2 and 8 * (vectors - 2) >= w.co:
        return False
    return bool(sums + pixels + 2 <= target.vector_registers)


def default(w: Any, target: Any) -> Knobs:
    """The tile with the fewest loads for each product, where padding counts as products."""
    options = space(w, target)
    order = ("pairs",) if target.core == "cortex-a53" else ("dot", "assembly", "pairs")
    sketch = next(name for name in order if name in options)

    def cost(knobs: Knobs) -> float:
        pixels, vectors = knobs["tile"]
        padded = -(-w.co // (8 * vectors)) * vectors * -(-w.out_w // pixels) * pixels
        return float(padded * (1 + 1 / pixels + 1 / vectors))

    base = {"sketch": sketch, "loops": "rows", "isa": target.isa}
    most = {"dot": 24, "assembly": 16, "pairs": 16}[sketch]  # sums: LLVM spills more
    choices = [base | {"tile": tile} for tile in options[sketch]["tile"]]
    fitting = [k for k in choices if legal(w, target, k)]
    few = [k for k in fitting if k["tile"][0] * k["tile"][1] <= most]
    return min(few or fitting, key=cost)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``pack_input``, ``tile`` (if there is more than one) and ``last`` in place."""
    blocks = sch.get_child_blocks(sch.get_sblock("root"))
    for block in blocks[1:]:
        notes = dict(sch.get(block).annotations)
        for name in notes:
            sch.unannotate(block, name)
        _n, row, channels, _col = sch.get_loops(block)
        if knobs["loops"] == "channels":
            sch.reorder(channels, row)
        sch.annotate(sch.get_loops(block)[-1], "pragma_import_llvm", notes["pragma_import_llvm"])
        if notes["macs"] >= _PARALLEL:
            sch.parallel(row)
