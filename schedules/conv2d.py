"""Schedules of ``conv2d``: the space of knobs, what is legal, and the templates.

``pixels``, ``channels``: for pixel block: [pad rows, gather]; for co block: tiles of the GEMM:
micro-kernel, store. ``direct``, ``grouped``: for row block: [pad rows]; tiles: taps, store.
"""

from __future__ import annotations

from typing import Any

from schedules import _conv2d_blocked as blocked
from schedules import _conv2d_direct as direct
from schedules import _conv2d_features as tile_features
from schedules import _conv2d_gemm as gemm
from schedules import _conv2d_neon as neon
from schedules import _conv2d_spatial_pack as spatial_pack

Knobs = dict[str, Any]

# With the sketch, choose another data flow; None: any of the space.
STRUCTURAL = {"rows": None, "x": None}


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """NCHW: ``pixels``, ``channels`` (vectors along them), ``direct``; with groups ``grouped``.

    ``spatial_pack`` has the knobs of AutoTVM's template of that name, for its logs.

    Channels in blocks: ``blocked``, and on AArch64 ``neon`` where they are of four, or few before
    and of four after it. Groups have to be of whole blocks.
    """
    if w.block != (1, 1):
        if w.block[1] == 1 or not _whole_groups(w):
            return {}
        found = {"blocked": blocked.space(w, target)}
        if target.isa == "aarch64" and neon.takes(w):
            found["neon"] = neon.space(w, target)
        return found
    if w.groups > 1:
        return {"grouped": direct.space(w, target)}
    matrix = {along: gemm.space(w, target, along) for along in ("pixels", "channels")}
    return {
        **matrix,
        "direct": direct.space(w, target),
        "spatial_pack": spatial_pack.space(w, target),
    }


def _whole_groups(w: Any) -> bool:
    channels = (w.ci // w.groups, w.block[0]), (w.co // w.groups, w.block[1])
    return w.groups == 1 or all(c % block == 0 for c, block in channels)


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether loops divide, tiles fit the registers and padding is near the least."""
    return bool(_PARTS[knobs["sketch"]].legal(w, target, knobs))


def default(w: Any, target: Any) -> Knobs:
    """What an untuned shape gets."""
    sketches = space(w, target)
    for sketch in ("neon", "blocked", "grouped"):
        if sketch in sketches:
            return {**_PARTS[sketch].default(w, target), "sketch": sketch}
    return gemm.default(w, target)


def likely(w: Any, target: Any) -> list[Knobs]:
    """What a search should try after the default, the likeliest first."""
    sketches = space(w, target)
    for sketch in ("neon", "blocked"):
        if sketch in sketches:
            return [{**knobs, "sketch": sketch} for knobs in _PARTS[sketch].likely(w, target)]
    return []


def sliceable(w: Any, knobs: Knobs) -> bool:
    """Whether the knobs mean the same for fewer rows of the output."""
    return knobs["sketch"] in ("neon", "blocked")


def features(w: Any, target: Any, knobs: Knobs) -> dict[str, float]:
    """What a cost model sees beside the knobs: the register tile; nothing of blocks of channels."""
    if knobs["sketch"] in ("neon", "blocked"):
        return {}
    return tile_features.features(_PARTS[knobs["sketch"]].tile(w, target, knobs), target)


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules the blocks of ``operators/conv2d.py`` in place."""
    _PARTS[knobs["sketch"]].schedule(sch, knobs, target)


_PARTS = {
    "pixels": gemm,
    "channels": gemm,
    "direct": direct,
    "spatial_pack": spatial_pack,
    "grouped": direct,
    "blocked": blocked,
    "neon": neon,
}
