"""The kernel of ``binary_input_conv2d``: blocks ``pack_input``, ``tile`` and ``last``.

The image is copied once as int8 with its padding. The output is cut into tiles of ``cols`` pixels
of a row times ``vectors`` of eight channels; the last tile of a row is moved back to end with it,
and what is left of the channels, with the zeros that fill the word, is the block ``last``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tvm_ops.operators._bits import word_bits, words
from tvm_ops.operators._input_tile import INT16_TAPS, InputTile

_COPY = 16  # bytes of a vector


@dataclass(frozen=True)
class InputConv:
    """Sizes of a workload under the knobs."""

    w: Any
    sketch: str
    cols: int
    vectors: int
    isa: str

    @classmethod
    def of(cls, w: Any, knobs: dict[str, Any]) -> InputConv:
        cols, vectors = knobs["tile"]
        return cls(w, knobs["sketch"], cols, vectors, knobs["isa"])

    @property
    def dot(self) -> bool:
        """Whether products of four taps are made at once."""
        return self.sketch == "dot"

    @property
    def tiles(self) -> tuple[int, int]:
        """Of channels and of a row's pixels."""
        return -(-self.w.co // (8 * self.vectors)), -(-self.w.out_w // self.cols)

    @property
    def taps(self) -> int:
        """Of a kernel row."""
        return int(self.w.kernel[1] * self.w.ci)

    @property
    def sums(self) -> str:
        """Type of the sums that the glue compares."""
        return "int32" if self.dot or self.w.k > INT16_TAPS else "int16"

    @property
    def plane(self) -> int:
        """Bytes of a plane of a pixel, or of a pixel's sums."""
        w = self.w
        if w.glue == "acc":
            return int(w.co * (2 if w.output_dtype == "int16" else 4))
        return words(w.co, w.word) * word_bits(w.word) // 8

    @property
    def y_step(self) -> int:
        """Bytes from one tile of channels to the next in a pixel of y."""
        w = self.w
        return self.vectors * (8 * self.plane // w.co if w.glue == "acc" else 1)

    def tile(self, last: bool) -> InputTile:
        w, (tiles, _) = self.w, self.tiles
        done = tiles - 1
        return InputTile(
            dot=self.dot,
            isa=self.isa,
            rows=w.kernel[0],
            taps=self.taps,
            row=self.copy_shape[2],
            pixel=w.stride[1] * w.ci,
            pixels=self.cols,
            vectors=self.vectors,
            channels=w.co - done * 8 * self.vectors if last else 8 * self.vectors,
            sums=self.sums,
            bits=w.out_bits,
            plane=self.plane,
            bytes=self.plane - done * self.vectors if last else self.vectors,
            acc=w.output_dtype if w.glue == "acc" else "",
            by_assembly=self.sketch == "assembly",
        )

    @cached_property
    def copy_shape(self) -> tuple[int, int, int]:
        """int8 [n, row, byte]; whole vectors, what dot products read past the last tap included."""
        w = self.w
        length = (w.w + 2 * w.pad[1]) * w.ci + (3 if self.dot else 0)
        return w.n, w.h + 2 * w.pad[0], -(-length // _COPY) * _COPY

    @property
    def parameters(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of what the kernel takes beside x; one row for each tile of channels."""
        w, tiles, channels = self.w, self.tiles[0], 8 * self.vectors
        weights = ((tiles, w.kernel[0], self.tile(False).row_weights), "int8")
        if w.glue == "acc":
            return {"weights": weights, "offsets": ((tiles, channels), w.output_dtype)}
        return {
            "weights": weights,
            "bounds": ((tiles, 2**w.out_bits - 1, channels), self.sums),
            "flips": ((tiles, w.out_bits, self.vectors), "uint8"),
        }


def compute_input_conv(c: InputConv) -> Any:
    """The PrimFunc of x, the parameters and y."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    w = c.w
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer((w.n, w.h, w.w * w.ci), w.image_dtype))
        buffers = {
            name: T.arg(name, T.buffer(shape, dtype))
            for name, (shape, dtype) in c.parameters.items()
        }
        shape = (w.n, w.out_h, w.out_w, *w.kernel_shapes["y"][3:])
        buffers["y"] = T.arg("y", T.buffer(shape, w.output_dtype))
        buffers["x"] = T.sblock_alloc_buffer(c.copy_shape, "int8")
        _pack_input(c, x, buffers["x"])
        whole = c.tiles[0] - 1
        if whole:
            _tiles(c, "tile", whole, 0, buffers)
        _tiles(c, "last", 1, whole, buffers)
    return builder.get()


def _pack_input(c: InputConv, x: Any, copy: Any) -> None:
    """One row: pads, pixels, pads. uint8 become x - 128, and so pads -128."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, (n, rows, length) = c.w, c.copy_shape
    pad = T.int8(-128 if w.image == "u8" else 0)
    before, used = w.pad[1] * w.ci, w.w * w.ci
    with T.grid(n, rows) as indices, T.sblock("pack_input"):
        vn, vr = map(T.axis.spatial, (n, rows), indices)
        row = tirx.min(tirx.max(vr - w.pad[0], 0), w.h - 1)
        T.reads(x[vn, row, 0:used])
        T.writes(copy[vn, vr, 0:length])

        def fill(first: int, count: int) -> None:
            _each(count, lambda i: T.buffer_store(copy, pad, [vn, vr, first + i]))

        def move(i: Any) -> None:
            value = x[vn, row, i]
            if w.image == "u8":
                value = tirx.reinterpret("int8", value ^ T.uint8(128))
            T.buffer_store(copy, value, [vn, vr, before + i])

        with T.If(tirx.all(vr >= w.pad[0], vr < w.pad[0] + w.h)):
            with T.Then():
                fill(0, before)
                _each(used, move)
                fill(before + used, length - before - used)
            with T.Else():
                fill(0, length)


def _each(count: int, store: Any) -> None:
    """``store(i)`` for i up to ``count``, in vectors and one by one."""
    from tvm.script.ir_builder import tirx as T

    whole = count // _COPY
    if whole:
        with T.serial(0, whole) as block, T.vectorized(0, _COPY) as lane:
            store(block * _COPY + lane)
    if count % _COPY:
        with T.serial(0, count % _COPY) as i:
            store(whole * _COPY + i)


def _tiles(c: InputConv, name: str, count: int, first: int, buffers: dict[str, Any]) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w = c.w
    function = c.tile(last=name == "last").function()
    sizes = (w.n, w.out_h, count, c.tiles[1])
    with T.grid(*sizes) as indices, T.sblock(name):
        vn, vh, vt, vw = map(T.axis.spatial, sizes, indices)
        col = tirx.min(vw * c.cols, w.out_w - c.cols)
        tile, y = first + vt, buffers["y"]
        row = vh * w.stride[0]
        T.reads(buffers["x"][vn, row : row + w.kernel[0], 0 : c.copy_shape[2]])
        whole = tuple(slice(0, s) for s in y.shape[3:])
        T.writes(y[(vn, vh, slice(col, col + c.cols), *whole)])
        macs = min(w.macs, 2**30)
        T.sblock_attr({"pragma_import_llvm": function.llvm(), "macs": macs})
        pixel = (vn, vh, col, *(0 for _ in y.shape[3:]))
        pointers = {
            "x": tirx.address_of(buffers["x"][vn, row, col * w.stride[1] * w.ci]),
            "y": tirx.address_of(y[pixel]),
        }
        for p in c.parameters:
            shape = buffers[p].shape
            pointers[p] = tirx.address_of(buffers[p][(tile, *(0 for _ in shape[1:]))])
        arguments = [pointers[n] for n in function.arguments]
        T.evaluate(tirx.call_extern("int32", function.name, *arguments, tile * c.y_step))
