"""Blocks that call a function of LLVM IR, which a block's attribute has."""

from __future__ import annotations

from typing import Any


def annotate_call(sch: Any, block: Any, parallel: Any, worth: int) -> None:
    """Moves the function to the innermost loop; threads share the loop ``parallel``.

    They do where the block's attribute ``work`` is at least ``worth``.
    """
    notes = dict(sch.get(block).annotations)
    for name in notes:
        sch.unannotate(block, name)
    inner = sch.get_loops(block)[-1]
    if notes["work"] >= worth:
        sch.parallel(parallel)
    sch.annotate(inner, "pragma_import_llvm", notes["pragma_import_llvm"])
