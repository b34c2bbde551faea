"""The matrix products of ``winograd_conv2d`` by assembly tiles."""

from __future__ import annotations

from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import whole
from tvm_ops.operators._neon_registers import LANES, VECTOR
from tvm_ops.operators._neon_tile import Tile
from tvm_ops.operators._winograd_blocks import Geometry


def gemm_tile(g: Geometry, knobs: dict[str, Any]) -> Tile:
    """One register tile of one element's product; v is [.., ci / 4, p, 4], products [p, co]."""
    step = {"element": 1, "tile": g.elements}[knobs["v_outer"]]
    return Tile(
        pixels=tuple(VECTOR * p for p in range(g.tile_p)),
        taps=(0,),
        vectors=g.tile_co // LANES,
        blocks=g.ci // LANES,
        x_step=VECTOR * g.tile_p * step,
        outputs=tuple(4 * g.tile_co * p for p in range(g.tile_p)),
        y_step=VECTOR,
        bias=False,
        in_order=knobs["in_order"],
    )


def gemm_tiles(
    w: ConvWorkload, g: Geometry, buffers: tuple[Any, Any, Any], knobs: dict[str, Any]
) -> None:
    """The block ``gemm``: product[n, p tile, co tile, e] = v * u for each element and tile."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    v, u, product = buffers
    tile, by_element = gemm_tile(g, knobs), knobs["v_outer"] == "element"
    loops = (1, 1, 1, w.n, g.elements, g.tiles // g.tile_p, g.co // g.tile_co)
    with T.grid(*loops) as indices, T.sblock("gemm"):
        vz, vy, vx, vn, ve, vp, vo = map(T.axis.spatial, loops, indices)
        p_in, lanes, blocks = whole(vz, g.tile_p), whole(vy, LANES), slice(0, g.ci // LANES)
        first = (vn, ve, vp, 0, 0, 0) if by_element else (vn, vp, 0, ve, 0, 0)
        read = (vn, ve, vp, blocks) if by_element else (vn, vp, blocks, ve)
        T.reads(v[(*read, p_in, lanes)], u[ve, vo, 0 : g.ci, 0 : g.tile_co])
        T.writes(product[vn, vp, vo, ve, p_in, whole(vx, g.tile_co)])
        T.sblock_attr({"pragma_import_llvm": tile.llvm()})
        pointers = {
            "x": v[first],
            "weights": u[ve, vo, 0, 0],
            "y": product[vn, vp, vo, ve, 0, 0],
        }
        arguments = [tirx.address_of(pointers[name]) for name in tile.arguments]
        T.evaluate(tirx.call_extern("int32", tile.name, *arguments))
