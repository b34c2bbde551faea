"""Schedules of ``fused_glue``: which channels and pixels one call takes, and in what order."""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

STRUCTURAL = {"chunk": None, "order": None}

_PARALLEL = 1 << 16  # sums, 30 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """One sketch: chunks of channels of some pixels."""
    total = w.n * w.h * w.w
    return {
        "chunks": {
            "chunk": [c for c in (16, 32, 64, 128) if c <= max(16, w.c)],
            "pixels": [p for p in (1, 2, 4) if p <= total],
            "order": ["pixels_inner", "chunks_inner"],
            "isa": [target.isa],
        }
    }


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether the body of a call is of a size that stays in the I-cache."""
    levels = 2**w.out_bits - 1 if w.glue == "thr" else 4
    return bool(knobs["chunk"] * knobs["pixels"] * levels <= 2048)


def default(w: Any, target: Any) -> Knobs:
    """As many channels as a call may have, one pixel: more loads that do not wait for each other.

    In order, what several levels or the shift's parameters take is kept in registers instead: few
    channels, four pixels (128 channels at 28x28, 2 bits, on A53: 0.59 instead of 0.49 sums a cycle,
    shifted 0.28 instead of 0.24; on A72 128 channels have 1.30 and 0.56, 64 have 0.88 and 0.46).
    """
    (sketch, options), *_ = space(w, target).items()
    few = 32 if w.glue == "thr" else 16
    in_order = target.core == "cortex-a53" and (w.out_bits > 1 or w.glue == "shift")
    base = {"sketch": sketch, "order": "pixels_inner", "isa": target.isa}
    choices = [
        base | {"chunk": c, "pixels": p} for c in options["chunk"] for p in options["pixels"]
    ]
    wanted = (few, 4) if in_order else (128, 1)
    fitting = [k for k in choices if legal(w, target, k) and k["chunk"] <= wanted[0]]
    return max(fitting, key=lambda k: (k["chunk"], -abs(k["pixels"] - wanted[1])))


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``chunk`` and ``rest``, of which there may be one only, in place."""
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        note = dict(sch.get(block).annotations)["pragma_import_llvm"]
        sch.unannotate(block, "pragma_import_llvm")
        chunk, tile = sch.get_loops(block)
        if knobs["order"] == "chunks_inner":
            sch.reorder(tile, chunk)
        work = int(sch.get(chunk).extent) * int(sch.get(tile).extent)
        inner = sch.get_loops(block)[-1]
        if work * knobs["chunk"] * knobs["pixels"] >= _PARALLEL:
            sch.parallel(tile)
        sch.annotate(inner, "pragma_import_llvm", note)
