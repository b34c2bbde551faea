"""Schedules of ``conv2d``: the space of knobs, what is legal, and the templates.

``pixels``, ``channels``: for pixel block: [pad rows, gather]; for co block: tiles of the GEMM:
micro-kernel, store. ``direct``, ``grouped``: for row block: [pad rows]; tiles: taps, store.
"""

from __future__ import annotations

from typing import Any

from schedules import _conv2d_direct as direct
from schedules import _conv2d_gemm as gemm

Knobs = dict[str, Any]

STRUCTURAL = {"rows": None}  # with the sketch, chooses another data flow; None: any of the space


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """One group: ``pixels``, ``channels`` (vectors along them), ``direct``; more: ``grouped``.

    Empty for channels in blocks.
    """
    if w.block != (1, 1):
        return {}
    if w.groups > 1:
        return {"grouped": direct.space(w, target)}
    matrix = {along: gemm.space(w, target, along) for along in ("pixels", "channels")}
    return {**matrix, "direct": direct.space(w, target)}


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether loops divide, tiles fit the registers and padding is near the least."""
    part = gemm if knobs["sketch"] in ("pixels", "channels") else direct
    return part.legal(w, target, knobs)


def default(w: Any, target: Any) -> Knobs:
    """What an untuned shape gets."""
    if w.groups > 1:
        return {"sketch": "grouped", **direct.default(w, target)}
    return gemm.default(w, target)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the blocks of ``operators/conv2d.py`` in place."""
    part = gemm if knobs["sketch"] in ("pixels", "channels") else direct
    part.schedule(sch, knobs, target)
