"""What the sketches with AutoTVM's loop structures share: its spaces of splits and annotations.

A split of an axis is its inner factor, a divisor of the extent; an annotation is a word for each
loop, such as ``unroll none vec``. The options are those of AutoTVM's spaces, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

NONE, UNROLL, VECTORIZE = "none", "unroll", "vec"
MAX_LANES = 32  # of a vector; eight registers on ARM
MAX_BODY = 256  # vector instructions of an unrolled loop; records of real boards have up to 224


def factors(extent: int, most: int | None = None) -> list[int]:
    """The divisors, up to ``most``, as ``define_split`` of two parts has them."""
    return [d for d in range(1, min(extent, most or extent) + 1) if extent % d == 0]


def words(loops: int, vectors: bool = True) -> list[str]:
    """Of so many loops, as ``try_unroll_vec`` (one vector at most) or ``try_unroll`` has them."""
    one = [NONE, UNROLL, VECTORIZE] if vectors else [NONE, UNROLL]
    choices = product(one, repeat=loops)
    return [" ".join(choice) for choice in choices if choice.count(VECTORIZE) <= 1]


def body(annotation: str, extents: Sequence[int], lanes: int) -> int:
    """Vector instructions that one statement becomes in loops of these extents."""
    total = 1
    for word, extent in zip(annotation.split(), extents, strict=True):
        if word == UNROLL:
            total *= extent
        elif word == VECTORIZE:
            total *= -(-extent // lanes)
    return total


def vector_lanes(annotation: str, extents: Sequence[int]) -> int:
    """The extent of the loop that becomes a vector; 1 without one."""
    pairs = zip(annotation.split(), extents, strict=True)
    return next((extent for word, extent in pairs if word == VECTORIZE), 1)


def annotate(
    sch: Any, loops: Sequence[Any], annotation: str, max_unroll: int | None = None
) -> None:
    """Unrolls (loops of up to ``max_unroll`` iterations) and vectorizes as the words say."""
    for loop, word in zip(loops, annotation.split(), strict=True):
        if word == UNROLL and (max_unroll is None or int(sch.get(loop).extent) <= max_unroll):
            sch.unroll(loop)
        elif word == VECTORIZE:
            sch.vectorize(loop)
