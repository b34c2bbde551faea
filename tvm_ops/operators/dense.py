"""Dense layer, float32: y[n, co] = activation(x[n, ci] · weights[co, ci] + bias [+ residual]).

At batch 1 the time is that of reading the weights once. They are stored as streams that are read
side by side, each contiguous from its first use to its last: a prefetcher that runs a few lines
ahead of each then hides more of the memory's latency (2048 to 1000 on the modelled A53: one stream
1.2 bytes a cycle, two 1.5, the memory 1.6). Streams divide the output channels (``co_streams``) or
the input channels (``ci_streams``, whose partial sums are added at the end). In larger batches each
vector of weights serves several rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators import _dense
from tvm_ops.operators._conv_pack import store_vector
from tvm_ops.operators._dense import DenseWorkload
from tvm_ops.operators._epilogue import Epilogue
from tvm_ops.operators._layout import Array, check_arrays

ERROR_BOUND = 1e-5  # of the largest output


@dataclass(frozen=True)
class Workload(DenseWorkload):
    """Every ``DenseWorkload``."""


WORKLOADS = [
    # Classifiers: ResNet-18, ResNet-50, MobileNet v1, v2 and v3-large, and v3's layer before it.
    Workload(1, 512, 1000, "none"),
    Workload(1, 2048, 1000, "none"),
    Workload(1, 1024, 1000, "none"),
    Workload(1, 1280, 1000, "none"),
    Workload(1, 960, 1280, "hswish"),
    # Squeeze-excite of MobileNet v3-large (Howard et al. 2019, table 1).
    Workload(1, 72, 24),
    Workload(1, 24, 72, "none"),
    Workload(1, 120, 32),
    Workload(1, 32, 120, "none"),
    Workload(1, 480, 120),
    Workload(1, 120, 480, "none"),
    Workload(1, 672, 168),
    Workload(1, 168, 672, "none"),
    Workload(1, 960, 240),
    Workload(1, 240, 960, "none"),
    # Batches, sizes that no vector divides, one channel.
    Workload(2, 96, 50, "prelu", residual=True),
    Workload(7, 64, 40, "relu6"),
    Workload(33, 60, 37, "hswish"),
    Workload(1, 13, 23, "prelu"),
    Workload(1, 50, 1, "none", residual=True),
    Workload(1, 1, 9),
    Workload(1, 1, 1),
]

reference = _dense.dense_reference
data = _dense.dense_data


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return {"x": "n ci", "bias": "co", "slope": "co", "residual": "n co", "y": "n co"}


@dataclass(frozen=True)
class Streams:
    """Sizes of a workload under the knobs; ``n`` and ``co`` are rounded up to whole tiles.

    Each of ``count`` streams has ``tiles`` tiles of output channels and ``ci`` input channels:
    the tiles from s * tiles on and all input channels where the streams are ``along`` co, all
    tiles and the input channels from s * ci on where they are along ci.
    """

    w: DenseWorkload
    along: str
    count: int
    lanes: int
    tile_n: int
    tile_co: int
    tiles: int
    ci: int

    @classmethod
    def of(cls, w: DenseWorkload, knobs: dict[str, Any]) -> Streams:
        (tile_n, tile_co), count = knobs["tile"], knobs["streams"]
        along = "co" if knobs["sketch"] == "co_streams" else "ci"
        ci = w.ci // count if along == "ci" else w.ci
        tiles = -(-w.co // (tile_co * count if along == "co" else tile_co))
        return cls(w, along, count, knobs["lanes"], tile_n, tile_co, tiles, ci)

    @property
    def n(self) -> int:
        return -(-self.w.n // self.tile_n) * self.tile_n

    @property
    def co(self) -> int:
        return self.tiles * self.tile_co * (self.count if self.along == "co" else 1)

    @property
    def used(self) -> int:
        """Floats of one stream."""
        return self.tiles * self.ci * self.tile_co

    @property
    def length(self) -> int:
        """Floats from one stream to the next.

        Long ones start 4 KiB apart modulo the 16 KiB of a way of the L1, so that their lines do not
        evict each other, and cross the 4 KiB that a prefetcher stops at together.
        """
        if self.count == 1 or self.used <= 4096:
            return self.used
        return -(-(self.used - 1024) // 4096) * 4096 + 1024


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Those of the arrays that are given, as the kernel takes them.

    weights[stream, ([tile, ci, tile_co], gap)], bias[co] and slope[co], zeros where padded; x and
    residual as they are. Raises ``InputError`` for other shapes.
    """
    check_arrays(w, arrays)
    s = Streams.of(w, knobs)
    packed = dict(arrays)
    if "weights" in arrays:
        packed["weights"] = _pack_weights(s, arrays["weights"])
    for name in [name for name in ("bias", "slope") if name in arrays]:
        packed[name] = np.pad(arrays[name], (0, s.co - w.co))
    return {name: np.ascontiguousarray(a, np.float32) for name, a in packed.items()}


def _pack_weights(s: Streams, weights: Array) -> Array:
    padded = np.pad(weights, ((0, s.co - s.w.co), (0, 0)))
    if s.along == "co":
        split = padded.reshape(s.count, s.tiles, s.tile_co, s.ci).transpose(0, 1, 3, 2)
    else:
        split = padded.reshape(s.tiles, s.tile_co, s.count, s.ci).transpose(2, 0, 3, 1)
    return np.pad(split.reshape(s.count, s.used), ((0, 0), (0, s.length - s.used)))


def unpack_output(w: Workload, y: Array) -> Array:
    """y[n, co]."""
    return y.reshape(w.output_shape)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of ``w.arguments`` as ``pack`` makes them, then y[n, co].

    Blocks ``read_x``, ``gemm``, ``epilogue``.
    """
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    s = Streams.of(w, knobs)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.input_shape))
        weights = T.arg("weights", T.buffer((s.count, s.length)))
        after = Epilogue.arguments(w, (s.co,), w.output_shape)
        y = T.arg("y", T.buffer(w.output_shape))
        rows = T.sblock_alloc_buffer((s.n, w.ci // s.ci, s.ci))
        product = T.sblock_alloc_buffer((s.n, s.tiles, s.count, s.tile_co))
        _read_x(s, x, rows)
        _gemm(s, rows, weights, product)
        _epilogue(s, product, after, y)
    return builder.get()


def _read_x(s: Streams, x: Any, rows: Any) -> None:
    """x[n, part of ci, ci]; rows past the last, which are not stored, repeat it."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    sizes = (s.n, s.w.ci // s.ci, s.ci)
    with T.grid(*sizes) as indices, T.sblock("read_x"):
        vn, vp, vk = map(T.axis.spatial, sizes, indices)
        row = vn if s.n == s.w.n else tirx.min(vn, s.w.n - 1)
        T.reads(x[row, vp * s.ci + vk])
        T.writes(rows[vn, vp, vk])
        T.buffer_store(rows, x[row, vp * s.ci + vk], [vn, vp, vk])


def _gemm(s: Streams, x: Any, weights: Any, product: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    sizes = (s.n, s.tiles, s.count, s.tile_co)
    with T.grid(*sizes, s.ci) as (*indices, k), T.sblock("gemm"):
        vn, vt, vs, vc = map(T.axis.spatial, sizes, indices)
        vk = T.axis.reduce(s.ci, k)
        a = x[vn, 0 if s.along == "co" else vs, vk]
        b = weights[vs, (vt * s.ci + vk) * s.tile_co + vc]
        T.reads(a, b)
        T.writes(product[vn, vt, vs, vc])
        with T.init():
            T.buffer_store(product, T.float32(0), [vn, vt, vs, vc])
        T.buffer_store(product, product[vn, vt, vs, vc] + a * b, [vn, vt, vs, vc])


def _epilogue(s: Streams, product: Any, after: Epilogue, y: Any) -> None:
    """One vector of channels of one row."""
    from tvm.script.ir_builder import tirx as T

    w, stored = s.w, s.count if s.along == "co" else 1
    sizes = (s.n, s.tiles, stored, s.tile_co // s.lanes)
    with T.grid(*sizes) as indices, T.sblock("epilogue"):
        vn, vt, vs, vv = map(T.axis.spatial, sizes, indices)
        first = vv * s.lanes
        start = (vs * s.tiles + vt) * s.tile_co + first
        parts = slice(vs, vs + s.count // stored)
        T.reads(product[vn, vt, parts, first : first + s.lanes])
        T.writes(y[0 : w.n, 0 : w.co])

        def store(lane: Any) -> None:
            terms = [product[vn, vt, vs + p, first + lane] for p in range(s.count // stored)]
            at = [vn, start + lane]
            T.buffer_store(y, after.value(sum(terms[1:], terms[0]), start + lane, at), at)

        def store_channels() -> None:
            if s.co > w.co:
                store_vector(start, w.co, s.lanes, store)
                return
            with T.vectorized(0, s.lanes) as lane:
                store(lane)

        if s.n == w.n:
            store_channels()
        else:
            with T.If(vn < w.n), T.Then():
                store_channels()
