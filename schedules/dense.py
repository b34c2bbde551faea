"""Schedules of ``dense``: the space of knobs, what is legal, and the template.

for tile of co: for tile of n: for ci: vectors of weights of each stream, multiplied by elements of
x; then the sums get bias and activation, and are stored.
"""

from __future__ import annotations

from itertools import product
from math import gcd, prod
from typing import Any

Knobs = dict[str, Any]

STRUCTURAL = {"streams": None}  # with the sketch, chooses another layout; None: any of the space

_MAX_ROWS = 8
_MAX_WASTE = 1.2  # of the least padding that any tile needs
_MAX_BODY = 160  # multiplies of vectors: the loop's body must stay in the I-cache
_ENOUGH = 4  # accumulators that hide the latency of a multiply-add to itself
_PARALLEL = 1 << 17  # multiply-adds, 30 us and more on every board; starting threads takes about 20


def space(w: Any, target: Any) -> dict[str, dict[str, list[Any]]]:
    """Sketches: streams of weights that divide co (``co_streams``) or ci (``ci_streams``)."""
    unroll = [u for u in (8, 4) if w.ci % u == 0] or [max(u for u in range(1, 8) if w.ci % u == 0)]
    common: dict[str, list[Any]]
    common = {"lanes": _lanes(target), "tile": _tiles(w, target), "unroll": unroll}
    found = {"co_streams": {"streams": [1, 2, 3, 4], **common}}
    parts = [s for s in (2, 3, 4) if w.ci % (4 * s) == 0]
    if parts:
        found["ci_streams"] = {"streams": parts, **common}
    return found


def _lanes(target: Any) -> list[int]:
    """On A53 a 64-bit load issues beside a 64-bit multiply, a 128-bit one takes two cycles.

    480 -> 120 in its L2: 38 instead of 54 modelled kcycles. Half of AVX-512 is for few channels.
    """
    lanes = target.vector_lanes
    in_order = target.core == "cortex-a53" and target.isa == "aarch64"
    return [lanes, lanes // 2] if in_order or lanes == 16 else [lanes]


def _tiles(w: Any, target: Any) -> list[list[int]]:
    """(rows, channels) of the register tile of one stream."""
    rows = {-(-w.n // -(-w.n // r)) for r in range(1, _MAX_ROWS + 1)}  # evenly divided
    unit = _lanes(target)[-1] if target.isa == "x86_64" else target.vector_lanes
    vectors = [v for v in (1, 2, 3, 4, 6, 8, 10) if (v - 1) * unit < w.co]
    return [[n, v * unit] for n in sorted(rows) for v in vectors]


def legal(w: Any, target: Any, knobs: Knobs) -> bool:
    """Whether loops divide, sums stay in registers and are enough, and padding is near the least.

    Fewer sums than hide the multiply's latency are allowed where no choice has more.
    """
    if not _fits(w, target, knobs):
        return False
    options = space(w, target)[knobs["sketch"]]
    others = [
        knobs | {"tile": t, "streams": s} for t in options["tile"] for s in options["streams"]
    ]
    fitting = [k for k in others if _fits(w, target, k)]
    most = _MAX_WASTE * min(_padded(w, k) for k in fitting)
    enough = min(_ENOUGH, max(_sums(k) for k in fitting if _padded(w, k) <= most))
    return _padded(w, knobs) <= most and _sums(knobs) >= enough


def _fits(w: Any, target: Any, knobs: Knobs) -> bool:
    (rows, co), streams, lanes = knobs["tile"], knobs["streams"], knobs["lanes"]
    along_ci = knobs["sketch"] == "ci_streams"
    if co % lanes or (along_ci and w.ci % (streams * knobs["unroll"])):
        return False
    elements = 1 if target.isa == "x86_64" else rows * (streams if along_ci else 1)
    sums = _sums(knobs)
    # Two registers for weights.
    return sums + elements + 2 <= target.vector_registers and sums * knobs["unroll"] <= _MAX_BODY


def _sums(knobs: Knobs) -> int:
    """Accumulators."""
    return int(prod(knobs["tile"]) * knobs["streams"] // knobs["lanes"])


def _padded(w: Any, knobs: Knobs) -> int:
    rows, co = knobs["tile"]
    channels = co * knobs["streams"] if knobs["sketch"] == "co_streams" else co
    return -(-w.n // rows) * rows * (-(-w.co // channels) * channels)


def default(w: Any, target: Any) -> Knobs:
    """One stream, or two for weights that do not fit the L2; the tile with the least to compute.

    Two, because x, bias and y can be streams too, and an A53 follows four: with the smallest tile
    they were at most 1.5 % behind the best of all for five layers, four streams up to 29 %. The
    other cores wait less with large tiles (2048 to 1000 on A72: 4.00 instead of 4.06 Mcycles).
    """
    lanes = _lanes(target)
    if target.isa != "x86_64":
        lanes = lanes[-1:] if w.n == 1 else lanes[:1]
    in_order = target.core == "cortex-a53"
    wanted = 2 if 4 * w.ci * w.co > 1024 * target.l2_kib else 1
    choices = [
        {"sketch": sketch, "streams": s, "tile": t, "lanes": x, "unroll": knobs["unroll"][-1]}
        for sketch, knobs in space(w, target).items()
        for s, t, x in product(knobs["streams"], knobs["tile"], lanes)
    ]

    def rank(k: Knobs) -> tuple[Any, ...]:
        cost = _cost(w, k, 2 if in_order else 0.5)
        if w.n > 1 or wanted == 1:
            return k["streams"] != wanted, cost
        return k["streams"] != wanted, k["sketch"], -k["lanes"], _sums(k) * (1 if in_order else -1)

    return min((k for k in choices if legal(w, target, k)), key=rank)


def _cost(w: Any, knobs: Knobs, per_load: float) -> float:
    """In proportion to the cycles: multiplies of vectors, and the loads that they need."""
    (rows, co), streams, lanes = knobs["tile"], knobs["streams"], knobs["lanes"]
    elements = rows * (streams if knobs["sketch"] == "ci_streams" else 1)
    loads = co * streams / lanes + elements / 4
    return _padded(w, knobs) / lanes * (1 + per_load * loads / _sums(knobs))


def schedule(sch: Any, knobs: Knobs, target: Any) -> None:
    """Schedules ``read_x``, ``gemm``, ``epilogue`` in place."""
    gemm, epilogue = sch.get_sblock("gemm"), sch.get_sblock("epilogue")
    macs = prod(int(sch.get(loop).extent) for loop in sch.get_loops(gemm))
    n, tile, stream, vector = sch.get_loops(epilogue)
    n_tile, n_in = sch.split(n, [None, knobs["tile"][0]])
    sch.reorder(tile, n_tile, n_in, stream, vector)
    for loop in (n_in, stream, vector):
        sch.unroll(loop)
    if macs >= _PARALLEL:
        sch.parallel(tile)  # refused once other blocks are inside
    sch.compute_at(gemm, n_tile, preserve_unit_loops=True)
    sch.set_scope(gemm, 0, "local")
    _schedule_gemm(sch, knobs, gemm, by_element=target.isa != "x86_64")


def _schedule_gemm(sch: Any, knobs: Knobs, gemm: Any, by_element: bool) -> None:
    n, _tile, stream, co, k = sch.get_loops(gemm)[-5:]
    k_out, k_in = sch.split(k, [None, knobs["unroll"]])
    co, lane = sch.split(co, [None, knobs["lanes"]])
    sch.reorder(k_out, k_in, stream, n, co, lane)
    if by_element:
        _read_elements(sch, gemm, k_out, gcd(knobs["unroll"], 4))
    else:  # x86 multiplies by a broadcast element of memory
        sch.compute_inline(sch.get_sblock("read_x"))
    for loop in (k_in, stream, n, co):
        sch.unroll(loop)
    sch.vectorize(lane)
    init = sch.decompose_reduction(gemm, k_out)
    for loop in sch.get_loops(init)[-5:-1]:
        sch.unroll(loop)


def _read_elements(sch: Any, gemm: Any, k_out: Any, lanes: int) -> None:
    """Loads vectors of x, which ARM multiplies by one element."""
    read_x = sch.get_sblock("read_x")
    sch.compute_at(read_x, k_out, preserve_unit_loops=True)
    sch.set_scope(read_x, 0, "local")
    depth = len(sch.get_loops(gemm)) - 5  # the loops above the register tile
    *rows, k = sch.get_loops(read_x)[depth:]
    k, lane = sch.split(k, [None, lanes])
    for loop in (*rows, k):
        sch.unroll(loop)
    sch.vectorize(lane)
