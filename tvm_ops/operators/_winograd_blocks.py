"""The blocks of ``winograd_conv2d``: sizes that follow from the knobs, layouts, TIR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._winograd import TAPS, apply_2d, matrices


@dataclass(frozen=True)
class Geometry:
    """Sizes that follow from the workload and the knobs.

    Tiles are numbered p = row * tiles_w + column; ``tiles`` is p's range rounded up to whole
    blocks, ``ci`` and ``co`` are rounded up to what the packed weights have.
    """

    m: tuple[int, int]
    lanes: int
    tile_p: int
    tile_co: int
    tiles_h: int
    tiles_w: int
    tiles: int
    ci: int
    co: int
    channels: int  # of one vector of the input: lanes, or 1 where vectors go along tiles
    tiled_product: bool = False  # a register tile's products lie together

    @property
    def elements(self) -> int:
        return (self.m[0] + TAPS - 1) * (self.m[1] + TAPS - 1)

    def product_shape(self, n: int) -> tuple[int, ...]:
        """Tile-major: a power-of-two stride between elements would thrash a 2-way L1."""
        if not self.tiled_product:
            return n, self.tiles, self.elements, self.co
        tiles = self.tiles // self.tile_p, self.co // self.tile_co
        return n, *tiles, self.elements, self.tile_p, self.tile_co

    def product_index(self, n: Any, p: Any, e: Any, co: Any) -> tuple[Any, ...]:
        if not self.tiled_product:
            return n, p, e, co
        (tile_p, tile_co) = self.tile_p, self.tile_co
        return n, p // tile_p, co // tile_co, e, p % tile_p, co % tile_co


def geometry(w: ConvWorkload, knobs: dict[str, Any]) -> Geometry:
    """Needs sketch, m, lanes, tile (p, co), block_p and block_co (in register tiles; 0: all)."""
    m, lanes, (tile_p, tile_co) = tuple(knobs["m"]), knobs["lanes"], knobs["tile"]
    tiles_h, tiles_w = -(-w.out_h // m[0]), -(-w.out_w // m[1])
    phased = knobs["sketch"] == "phased"
    if phased:  # `lanes` neighbours in p must lie in one row
        tiles_w = -(-tiles_w // lanes) * lanes
    p_block, co_block = tile_p * max(1, knobs["block_p"]), tile_co * max(1, knobs["block_co"])
    return Geometry(
        m=m, lanes=lanes, tile_p=tile_p, tile_co=tile_co, tiles_h=tiles_h, tiles_w=tiles_w,
        tiles=-(-tiles_h * tiles_w // p_block) * p_block,
        ci=-(-w.ci // lanes) * lanes, co=-(-w.co // co_block) * co_block,
        channels=1 if phased else lanes, tiled_product=knobs["sketch"] == "neon",
    )  # fmt: skip


def gemm(w: ConvWorkload, g: Geometry, layout: Any, v: Any, u: Any, product: Any) -> None:
    """product[n, p, e, co] = sum over k of v * u, for each element e."""
    from tvm.script.ir_builder import tirx as T

    with T.grid(w.n, g.elements, g.tiles, g.co, g.ci) as (n, e, p, co, k), T.sblock("gemm"):
        vn, ve = T.axis.spatial(w.n, n), T.axis.spatial(g.elements, e)
        vp, vo = T.axis.spatial(g.tiles, p), T.axis.spatial(g.co, co)
        vk = T.axis.reduce(g.ci, k)
        a = v[layout.v_index(vn, ve, vp, layout.channel(vk))]
        b = u[ve, vo // g.tile_co, vk, vo % g.tile_co]
        T.reads(a, b)
        T.writes(product[vn, vp, ve, vo])
        with T.init():
            T.buffer_store(product, T.float32(0), [vn, vp, ve, vo])
        T.buffer_store(product, product[vn, vp, ve, vo] + a * b, [vn, vp, ve, vo])


def inverse_tile(g: Geometry, product: Any, n: Any, p: Any, co: Any) -> list[list[Any]]:
    """The rows of a tile's outputs, without what follows the sum."""
    from tvm.script.ir_builder import tirx as T

    rows, cols = matrices(g.m[0]).inverse, matrices(g.m[1]).inverse
    width = cols.shape[1]

    def load(r: int, c: int) -> Any:
        return product[g.product_index(n, p, r * width + c, co)]

    return apply_2d(rows, cols, load, T.bind)


def inverse(w: ConvWorkload, g: Geometry, product: Any, sums: Any) -> None:
    """The block ``inverse``: sums[n, p, row, column, co] of each tile."""
    from tvm.script.ir_builder import tirx as T

    loops = (1, 1, w.n, g.tiles, g.co)
    with T.grid(*loops) as indices, T.sblock("inverse"):
        vz, vy, vn, vp, vo = map(T.axis.spatial, loops, indices)
        T.reads(product[g.product_index(vn, vp, slice(0, g.elements), vo)])
        T.writes(sums[vn, vp, _all(vz, g.m[0]), _all(vy, g.m[1]), vo])
        for r, row in enumerate(inverse_tile(g, product, vn, vp, vo)):
            for c, value in enumerate(row):
                at = [vn, vp, vz * g.m[0] + r, vy * g.m[1] + c, vo]
                T.buffer_store(sums, value, at)


def _all(iterator: Any, size: int) -> slice:
    """A whole axis, as compute_at wants it: the range of an iterator of extent 1."""
    return slice(iterator * size, iterator * size + size)


class _Layout:
    """Layouts of the packed input and of the transformed one, v.

    Knob ``v_outer``: v is [n, element, p / tile_p, channel, ...] ("element"), or
    [n, p / tile_p, channel, element, ...] ("tile"), which keeps together what ``transform`` writes.
    Knob ``v_inner``: the last axes are (lane,) p % tile_p ("tile"), or p % tile_p, lane ("channel":
    no transpose in ``transform``, and any tile_p).
    """

    def __init__(self, w: ConvWorkload, g: Geometry, knobs: dict[str, Any]) -> None:
        self.w, self.g = w, g
        self.outer, self.inner = knobs["v_outer"], knobs["v_inner"]
        self.rows = -(-g.tiles // g.tiles_w) * g.m[0] + TAPS - 1

    def v_index(self, n: Any, e: Any, p: Any, channel: tuple[Any, ...]) -> list[Any]:
        block, (first, *lane), p_in = p // self.g.tile_p, channel, p % self.g.tile_p
        outer = {"element": [e, block, first], "tile": [block, first, e]}[self.outer]
        inner = {"tile": [*lane, p_in], "channel": [p_in, *lane]}[self.inner]
        return [n, *outer, *inner]

    def v_shape(self) -> list[int]:
        g = self.g
        lanes = [g.ci // g.channels, *([g.channels] if g.channels > 1 else [])]
        outer = {
            "element": [g.elements, g.tiles // g.tile_p, lanes[0]],
            "tile": [g.tiles // g.tile_p, lanes[0], g.elements],
        }[self.outer]
        inner = {"tile": [*lanes[1:], g.tile_p], "channel": [g.tile_p, *lanes[1:]]}[self.inner]
        return [self.w.n, *outer, *inner]

    def v_range(self, z: Any, n: Any, p: Any, channel: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(self.v_index(n, _all(z, self.g.elements), p, channel))


class Packed(_Layout):
    """Vectors of ``lanes`` channels: packed[n, ci / lanes, row, column, lane]."""

    def __init__(self, w: ConvWorkload, g: Geometry, knobs: dict[str, Any]) -> None:
        super().__init__(w, g, knobs)
        self.cols = g.tiles_w * g.m[1] + TAPS - 1
        self.packed_shape = (w.n, g.ci // g.lanes, self.rows, self.cols, g.lanes)

    def channel(self, k: Any) -> tuple[Any, ...]:
        return k // self.g.lanes, k % self.g.lanes

    def pack_input(self, x: Any, packed: Any) -> None:
        from tvm import tirx
        from tvm.script.ir_builder import tirx as T

        w, g = self.w, self.g
        left = w.pad[1]
        loops = (1, 1, w.n, g.ci // g.lanes, self.rows)
        with T.grid(*loops) as indices, T.sblock("pack_input"):
            vz, vy, vn, vc, vh = map(T.axis.spatial, loops, indices)
            blocked = w.block[0] > 1
            if blocked:
                T.reads(x[vn, vc, vh - w.pad[0], 0 : w.w, 0 : g.lanes])
            else:
                T.reads(x[vn, vc * g.lanes : vc * g.lanes + g.lanes, vh - w.pad[0], 0 : w.w])
            T.writes(packed[vn, vc, vh, _all(vz, self.cols), _all(vy, g.lanes)])

            def zeros(start: int, count: int) -> None:
                with T.serial(0, count) as i, T.vectorized(0, g.lanes) as lane:
                    T.buffer_store(packed, T.float32(0), [vn, vc, vh, start + i, lane])

            with T.If(tirx.all(vh >= w.pad[0], vh < w.h + w.pad[0])):
                with T.Then():
                    zeros(0, left)
                    if blocked:
                        with T.serial(0, w.w) as i, T.vectorized(0, g.lanes) as lane:
                            value = x[vn, vc, vh - w.pad[0], i, lane]
                            T.buffer_store(packed, value, [vn, vc, vh, left + i, lane])
                    else:
                        self._transpose_row(x, packed, (vn, vc, vh))
                    zeros(left + w.w, self.cols - left - w.w)
                with T.Else():
                    zeros(0, self.cols)

    def _transpose_row(self, x: Any, packed: Any, at: tuple[Any, Any, Any]) -> None:
        from tvm import tirx
        from tvm.script.ir_builder import tirx as T

        (n, block, row), w, g = at, self.w, self.g
        with T.serial(0, w.w) as i, T.unroll(0, g.lanes) as lane:
            value = x[n, block * g.lanes + lane, row - w.pad[0], i]
            if g.ci > w.ci:
                inside = block * g.lanes + lane < w.ci
                value = tirx.if_then_else(inside, value, T.float32(0))
            T.buffer_store(packed, value, [n, block, row, w.pad[1] + i, lane])

    def transform(self, packed: Any, v: Any) -> None:
        from tvm.script.ir_builder import tirx as T

        w, g = self.w, self.g
        rows, cols = matrices(g.m[0]).input, matrices(g.m[1]).input
        channels = g.ci // g.lanes
        loops = (1, w.n, g.tiles, channels, g.lanes)
        with T.grid(*loops) as indices, T.sblock("transform"):
            vz, vn, vp, vc, vl = map(T.axis.spatial, loops, indices)
            top, left = vp // g.tiles_w * g.m[0], vp % g.tiles_w * g.m[1]
            T.reads(packed[vn, vc, top : top + len(rows), 0 : self.cols, vl])
            T.writes(v[self.v_range(vz, vn, vp, (vc, vl))])
            tile = apply_2d(rows, cols, lambda r, c: packed[vn, vc, top + r, left + c, vl], T.bind)
            for r, row in enumerate(tile):
                for c_, value in enumerate(row):
                    element = vz * g.elements + r * len(cols) + c_
                    T.buffer_store(v, value, self.v_index(vn, element, vp, (vc, vl)))


class Phased(_Layout):
    """Vectors of ``lanes`` tiles: packed[n, ci, row, column % m, column / m]."""

    def __init__(self, w: ConvWorkload, g: Geometry, knobs: dict[str, Any]) -> None:
        super().__init__(w, g, knobs)
        self.width = g.tiles_w + -(-(TAPS - 1) // g.m[1])
        self.packed_shape = (w.n, g.ci, self.rows, g.m[1], self.width)

    def channel(self, k: Any) -> tuple[Any, ...]:
        return (k,)

    def pack_input(self, x: Any, packed: Any) -> None:
        from tvm import tirx
        from tvm.script.ir_builder import tirx as T

        w, g, m = self.w, self.g, self.g.m[1]
        loops = (1, 1, w.n, g.ci, self.rows)
        with T.grid(*loops) as indices, T.sblock("pack_input"):
            vz, vy, vn, vc, vh = map(T.axis.spatial, loops, indices)
            T.reads(x[vn, vc, vh - w.pad[0], 0 : w.w])
            T.writes(packed[vn, vc, vh, _all(vz, m), _all(vy, self.width)])
            with T.unroll(0, m) as phase, T.serial(0, self.width) as i:
                T.buffer_store(packed, T.float32(0), [vn, vc, vh, phase, i])
            inside = [vh >= w.pad[0], vh < w.h + w.pad[0]] + ([vc < w.ci] if g.ci > w.ci else [])
            with T.If(tirx.all(*inside)), T.Then(), T.unroll(0, w.w) as i:
                column = i + w.pad[1]
                T.buffer_store(
                    packed, x[vn, vc, vh - w.pad[0], i], [vn, vc, vh, column % m, column // m]
                )

    def transform(self, packed: Any, v: Any) -> None:
        from tvm.script.ir_builder import tirx as T

        w, g = self.w, self.g
        rows, cols = matrices(g.m[0]).input, matrices(g.m[1]).input
        loops = (1, w.n, g.ci, g.tiles)
        with T.grid(*loops) as indices, T.sblock("transform"):
            vz, vn, vc, vp = map(T.axis.spatial, loops, indices)
            top, left = vp // g.tiles_w * g.m[0], vp % g.tiles_w
            T.reads(packed[vn, vc, top : top + len(rows), 0 : g.m[1], 0 : self.width])
            T.writes(v[self.v_range(vz, vn, vp, (vc,))])

            def load(r: int, c: int) -> Any:
                return packed[vn, vc, top + r, c % g.m[1], left + c // g.m[1]]

            for r, row in enumerate(apply_2d(rows, cols, load, T.bind)):
                for c_, value in enumerate(row):
                    element = vz * g.elements + r * len(cols) + c_
                    T.buffer_store(v, value, self.v_index(vn, element, vp, (vc,)))
