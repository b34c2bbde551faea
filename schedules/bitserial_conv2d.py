"""Schedules of ``bitserial_conv2d``: register tiles where they fit, and plain loops."""

from __future__ import annotations

from typing import Any

from schedules import _bitserial_carries as carries
from schedules import _bitserial_plain as plain
from schedules import _bitserial_tiles as tiles

Knobs = dict[str, Any]

# With the sketch, choose another data flow; None: any of the space.
STRUCTURAL = {"x": None, "duplicated": None, "k_bits": None}


_SKETCHES: dict[str, Any] = {
    "carries": carries,
    "assembly": tiles,
    "intrinsics": tiles,
    "plain": plain,
}


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """``carries`` (Cortex-A76), ``assembly`` (AArch64), ``intrinsics``, ``plain``."""
    return {**carries.space(w, target), **tiles.space(w, target), "plain": plain.space(w, target)}


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether the tile can read x as it lies."""
    return bool(_SKETCHES[knobs["sketch"]].legal(w, target, knobs))


def default(w: Any, target: Any) -> Knobs:
    """What an untuned shape gets."""
    return next(iter(likely(w, target)), plain.default(w, target))


def likely(w: Any, target: Any) -> list[Knobs]:
    """What a search should try after the default, the likeliest first."""
    found = [carries.likely(w, target), tiles.likely(w, target) if tiles.takes(w) else []]
    if not carries.pays(w):
        found.reverse()
    return found[0] + found[1]


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the blocks of ``operators/bitserial_conv2d.py`` in place."""
    _SKETCHES[knobs["sketch"]].schedule(sch, knobs, target)
