"""Schedules of ``bitserial_dense``: those of the convolution that it is."""

from __future__ import annotations

from typing import Any

from schedules import bitserial_conv2d as conv2d

Knobs = dict[str, Any]

STRUCTURAL = conv2d.STRUCTURAL


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """``assembly`` (AArch64), ``intrinsics``, ``plain``."""
    return conv2d.space(w.conv, target)


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether the tile can read x as it lies."""
    return conv2d.legal(w.conv, target, knobs)


def default(w: Any, target: Any) -> Knobs:
    """What an untuned shape gets."""
    return conv2d.default(w.conv, target)


def likely(w: Any, target: Any) -> list[Knobs]:
    """What a search should try after the default, the likeliest first."""
    return conv2d.likely(w.conv, target)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the blocks of ``operators/bitserial_conv2d.py`` in place."""
    conv2d.schedule(sch, knobs, target)
