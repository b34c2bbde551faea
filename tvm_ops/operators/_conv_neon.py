"""Convolution of channels in blocks of four by assembly tiles: blocks [``pack_input``,] ``tile``.

The output is cut into tiles of ``rows`` x ``cols`` pixels x ``vectors`` of four channels, and these
into blocks of rows (of pixels, where the convolution is pointwise). What lies at an axis' end is
moved back to end with it: some outputs are computed again, none is asked whether it exists. Input
is read where it is, from rows of the block, or from panels with a tile's pixels together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import whole
from tvm_ops.operators._conv_tiles import Tiling
from tvm_ops.operators._conv_tiles_pack import source
from tvm_ops.operators._neon_registers import FLOAT, LANES, VECTOR
from tvm_ops.operators._neon_tile import Tile

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Neon(Tiling):
    """Sizes of a workload under the knobs of ``neon``."""

    in_order: bool = False
    ahead: str = "none"

    @classmethod
    def of(cls, w: ConvWorkload, knobs: dict[str, Any]) -> Self:
        return replace(super().of(w, knobs), in_order=knobs["in_order"], ahead=knobs["ahead"])

    @property
    def tile(self) -> Tile:
        """What one call of the assembly computes."""
        w = self.w
        (kh, kw), (sh, sw), (dh, dw) = w.kernel, w.stride, w.dilation
        pixels = [(r, c) for r in range(self.rows.tile) for c in range(self.cols.tile)]
        tile = Tile(
            pixels=(), taps=(), vectors=self.vectors.tile, blocks=self.ci_blocks, x_step=0,
            outputs=tuple((r * w.out_w + c) * VECTOR for r, c in pixels),
            y_step=w.out_h * w.out_w * VECTOR,
            activation=w.activation,
            residual=w.residual,
            in_order=self.in_order,
            ahead=self.ahead,
        )  # fmt: skip
        if self.x == "interleaved":
            row, column = self.packed_shape[3] * FLOAT, w.ci * FLOAT
            starts = range(0, kw * w.ci, LANES)
            return replace(
                tile,
                pixels=tuple(r * sh * row + c * sw * column for r, c in pixels),
                taps=tuple(start * FLOAT for start in starts),
                factors=tuple(min(LANES, kw * w.ci - start) for start in starts),
                blocks=kh,
                x_step=dh * row,
            )
        width = {"panels": 1, "padded": w.w + 2 * w.pad[1], "direct": w.w}[self.x] * VECTOR
        plane = {
            "panels": self.cols.tile * VECTOR,
            "padded": self.packed_shape[3] * width if self.x == "padded" else 0,
            "direct": w.h * w.w * VECTOR,
        }[self.x]
        if self.x == "panels":
            sh = sw = 1
        return replace(
            tile,
            pixels=tuple(r * sh * width + c * sw * VECTOR for r, c in pixels),
            taps=tuple(i * dh * width + j * dw * VECTOR for i in range(kh) for j in range(kw)),
            x_step=plane,
        )


def compute_neon(b: Neon) -> Any:
    """The PrimFunc."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    w = b.w
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers: dict[str, Any] = {
            "x": T.arg("x", T.buffer(b.x_shape)),
            "weights": T.arg("weights", T.buffer(b.weights_shape)),
            "bias": T.arg("bias", T.buffer((b.channels,))),
        }
        if w.activation == "prelu":
            buffers["slope"] = T.arg("slope", T.buffer((b.channels,)))
        for name in ["residual", "y"] if w.residual else ["y"]:
            buffers[name] = T.arg(name, T.buffer(b.y_shape))
        _tile(b, source(b, buffers["x"]), buffers)
    return builder.get()


def _tile(b: Neon, packed: Any, buffers: dict[str, Any]) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, tile = b.w, b.tile
    kinds = (1, w.n, w.groups, b.vectors.tiles, b.rows.tiles, b.cols.tiles)
    with T.grid(*kinds) as indices, T.sblock("tile"):
        vz, vn, vg, vv, vh, vw = map(T.axis.spatial, kinds, indices)
        vector = vg * b.vectors.size + b.vectors.start(vv)
        row, col = b.rows.start(vh), b.cols.start(vw)
        ci = slice(vg * b.ci_blocks, vg * b.ci_blocks + b.ci_blocks)
        first = vg * b.ci_blocks
        if b.x == "panels":
            x = packed[vn, vw, first, 0, 0]
            read = packed[vn, vw, ci, whole(vz, b.cols.tile), 0:LANES]
        elif b.x == "interleaved":
            block, top = vh // b.rows.block, vh % b.rows.block * b.rows.tile * w.stride[0]
            x = packed[vn, block, top, col * w.stride[1] * w.ci]
            read = packed[vn, block, whole(vz, b.packed_shape[2]), 0 : b.packed_shape[3]]
        elif b.x == "padded":
            block, top = vh // b.rows.block, vh % b.rows.block * b.rows.tile * w.stride[0]
            x = packed[vn, block, first, top, col * w.stride[1], 0]
            rows = whole(vz, b.packed_shape[3])
            read = packed[vn, block, ci, rows, 0 : b.packed_shape[4], 0:LANES]
        else:
            x = packed[vn, first, row * w.stride[0], col * w.stride[1], 0]
            read = packed[vn, ci, 0 : packed.shape[2], 0 : packed.shape[3], 0:LANES]
        y = [vn, vector, row, col, 0]
        outputs = (
            vn, slice(vector, vector + b.vectors.tile), slice(row, row + b.rows.tile),
            slice(col, col + b.cols.tile), slice(0, LANES),
        )  # fmt: skip
        pointers: dict[str, Any] = {
            "x": x,
            "weights": buffers["weights"][vg, vv, 0, 0, 0, 0, 0],
            **{n: buffers[n][vector * LANES] for n in ("bias", "slope") if n in buffers},
            **{n: buffers[n][tuple(y)] for n in ("residual", "y") if n in buffers},
        }
        if "ahead" in tile.arguments:
            following = b.cols.start(tirx.min(vw + 1, b.cols.tiles - 1))
            pointers["ahead"] = packed[vn, first, 0, following, 0]
        shape = b.weights_shape
        T.reads(
            read,
            buffers["weights"][(vg, vv, *(slice(0, s) for s in shape[2:]))],
            *(buffers[n][outputs] for n in ("residual",) if n in buffers),
        )
        T.writes(buffers["y"][outputs])
        T.sblock_attr({"pointwise": int(w.is_pointwise), "pragma_import_llvm": tile.llvm()})
        arguments = [tirx.address_of(pointers[name]) for name in tile.arguments]
        T.evaluate(tirx.call_extern("int32", tile.name, *arguments))
