"""Schedules of ``binary_input_conv2d``: tiles of pixels and channels, and their order."""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

STRUCTURAL = {"order": None}

_PARALLEL = 1 << 18  # MACs, 20 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Sketches: ``pairs`` of taps without a sign, ``dot`` products where the core has them."""
    tiles = [[p, v] for p in (1, 2, 3, 4, 5, 6, 8) for v in (2, 4, 6, 8) if p <= w.out_w]
    common: dict[str, list[Any]] = {
        "tile": tiles,
        "order": ["rows", "channels"],
        "isa": [target.isa],
    }
    sketches = ["dot", "pairs"] if "+dotprod" in target.mattr else ["pairs"]
    return {sketch: common for sketch in sketches}


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
    sketch, options = next(iter(space(w, target).items()))

    def cost(knobs: Knobs) -> float:
        pixels, vectors = knobs["tile"]
        padded = -(-w.co // (8 * vectors)) * vectors * -(-w.out_w // pixels) * pixels
        return float(padded * (1 + 1 / pixels + 1 / vectors))

    base = {"sketch": sketch, "order": "rows", "isa": target.isa}
    choices = [base | {"tile": tile} for tile in options["tile"]]
    return min((k for k in choices if legal(w, target, k)), key=cost)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``pack_input``, ``tile`` (if there is more than one) and ``last`` in place."""
    blocks = sch.get_child_blocks(sch.get_sblock("root"))
    for block in blocks[1:]:
        notes = dict(sch.get(block).annotations)
        for name in notes:
            sch.unannotate(block, name)
        _n, row, channels, _col = sch.get_loops(block)
        if knobs["order"] == "channels":
            sch.reorder(channels, row)
        sch.annotate(sch.get_loops(block)[-1], "pragma_import_llvm", notes["pragma_import_llvm"])
        if notes["macs"] >= _PARALLEL:
            sch.parallel(row)
