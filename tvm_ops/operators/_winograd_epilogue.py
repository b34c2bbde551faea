"""The last block of ``winograd_conv2d``, ``epilogue``: tiles into y, with what follows the sum.

One step is a tile of a vector of channels. Stores beyond y, of tiles at its edges, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._epilogue import Epilogue
from tvm_ops.operators._winograd_blocks import Geometry, inverse_tile


def store_vectors(w: ConvWorkload, g: Geometry, product: Any, after: Epilogue, y: Any) -> None:
    """y[n, co / lanes, row, column, lane] from the products, by the inverse transform."""
    from tvm.script.ir_builder import tirx as T

    loops, blocks = (w.n, g.tiles, g.co // g.lanes), w.kernel_output_shape[1]
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        vn, vp, vu = map(T.axis.spatial, loops, indices)
        top, left = vp // g.tiles_w * g.m[0], vp % g.tiles_w * g.m[1]
        channels = slice(vu * g.lanes, vu * g.lanes + g.lanes)
        outputs = vn, vu, *_tile(g, top, left), slice(0, g.lanes)
        *read, first = g.product_index(vn, vp, slice(0, g.elements), channels.start)
        products = product[(*read, slice(first, first + g.lanes))]
        T.reads(products, *after.reads(channels, outputs))
        T.writes(y[outputs])
        with _where(vu < blocks, g.co // g.lanes > blocks), T.vectorized(0, g.lanes) as lane:
            co = vu * g.lanes + lane
            value = after.of_channel(co, T.bind)
            for r, row in enumerate(inverse_tile(g, product, vn, vp, co)):
                for c, total in enumerate(row):
                    beyond = (g.tiles_w - 1) * g.m[1] + c >= w.out_w
                    at = [vn, vu, top + r, left + c, lane]
                    with _row_inside(w, g, top, r), _where(left + c < w.out_w, beyond):
                        T.buffer_store(y, value(total, at), at)


def store_rows(w: ConvWorkload, g: Geometry, sums: Any, after: Epilogue, y: Any) -> None:
    """y[n, co, row, column] from sums[n, p, row, column, co].

    The sums are vectors along channels. They are transposed in registers: to gather the residual
    and scatter y instead took 12.96 instead of 11.21 Mcycles for 64@56 on the modelled A72.
    """
    from tvm.script.ir_builder import tirx as T

    loops, lanes = (w.n, g.tiles, g.co // g.lanes), g.lanes
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        vn, vp, vu = map(T.axis.spatial, loops, indices)
        top, left = vp // g.tiles_w * g.m[0], vp % g.tiles_w * g.m[1]
        channels = slice(vu * lanes, vu * lanes + lanes)
        outputs = vn, channels, *_tile(g, top, left)
        T.reads(sums[vn, vp, 0 : g.m[0], 0 : g.m[1], channels], *after.reads(channels, outputs))
        T.writes(y[outputs])

        def channel(co: Any) -> Store:
            value = after.of_channel(co, T.bind)

            def store(r: int, c: Any) -> None:
                at = [vn, co, top + r, left + c]
                T.buffer_store(y, value(sums[vn, vp, r, c, co], at), at)

            return store

        for lane in range(lanes):
            co = vu * lanes + lane
            with _where(co < w.co, g.co > w.co):
                store = channel(co)
                for r in range(g.m[0]):
                    with _row_inside(w, g, top, r):
                        _store_row(w, g, left, r, store)


Store = Callable[[int, Any], None]  # of row r, column c of the tile


def _store_row(w: ConvWorkload, g: Geometry, left: Any, r: int, store: Store) -> None:
    """As vectors of 4 and 2 where all of the row lies inside y, else one by one."""
    from tvm.script.ir_builder import tirx as T

    if g.tiles_w * g.m[1] <= w.out_w:
        _store_whole_row(g, r, store)
        return
    with T.If(left + g.m[1] <= w.out_w):
        with T.Then():
            _store_whole_row(g, r, store)
        with T.Else():
            for c in range(g.m[1] - 1):
                with _where(left + c < w.out_w):
                    store(r, c)


def _store_whole_row(g: Geometry, r: int, store: Store) -> None:
    from tvm.script.ir_builder import tirx as T

    first = 0
    while first < g.m[1]:
        size = next(s for s in (4, 2, 1) if first + s <= g.m[1])
        if size == 1:
            store(r, first)
        else:
            with T.vectorized(0, size) as c:
                store(r, first + c)
        first += size


def _tile(g: Geometry, top: Any, left: Any) -> tuple[slice, slice]:
    return slice(top, top + g.m[0]), slice(left, left + g.m[1])


def _row_inside(w: ConvWorkload, g: Geometry, top: Any, r: int) -> Any:
    beyond = g.tiles > g.tiles_h * g.tiles_w or (g.tiles_h - 1) * g.m[0] + r >= w.out_h
    return _where(top + r < w.out_h, beyond)


@contextmanager
def _where(condition: Any, needed: bool = True) -> Iterator[None]:
    """The body of an If, or, where it is not needed, of nothing."""
    from tvm.script.ir_builder import tirx as T

    if not needed:
        yield
        return
    with T.If(condition), T.Then():
        yield
