"""Few-bit convolution in ordinary loops: blocks ``pack_input``, ``sums``, ``finish``.

No register tile: sums T of one pixel and as many output channels as a word of y has, then their
bits. It takes what tiles do not: groups of any number of output channels, kernels of any width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tvm_ops.operators import _bits
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._bitserial_blocks import arguments
from tvm_ops.operators._bitserial_borders import edges, is_corrected
from tvm_ops.operators._bitserial_chunk import CHANNELS
from tvm_ops.operators._bitserial_pack import factor, sum_bits
from tvm_ops.operators._bitserial_words import padded_word
from tvm_ops.operators._layout import Array

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Plain:
    """Sizes of a workload under the knob ``popcount``: "cnt", the core's own, or "swar"."""

    w: FewBitWorkload
    popcount: str

    row_parts = blocks = 1
    order = tuple(range(CHANNELS))
    bias = starts = 0

    @classmethod
    def of(cls, w: FewBitWorkload, knobs: dict[str, Any]) -> Self:
        return cls(w, knobs["popcount"])

    @property
    def words(self) -> int:
        return self.w.group_words

    @property
    def sum_bits(self) -> int:
        return sum_bits(self.w)

    @property
    def tiles(self) -> int:
        return -(-self.w.co // CHANNELS)

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """[1, tile, plane, 1, step, channel]; the channels are those of all groups."""
        kh, kw = self.w.kernel
        return 1, self.tiles, self.w.w_bits, 1, kh * kw * self.words, CHANNELS

    def arranged(self, weights: Array) -> Array:
        """As they are."""
        return weights

    @property
    def together(self) -> int:
        """Tiles of channels that make a word of y; of sums, one."""
        return 1 if self.w.glue == "acc" else _bits.word_bits(self.w.word) // CHANNELS

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """[n, group, plane, row, column, word]."""
        w = self.w
        rows, cols = w.h + 2 * w.pad[0], w.w + 2 * w.pad[1]
        return w.n, w.groups, w.a_bits, rows, cols, self.words

    @property
    def sums_shape(self) -> tuple[int, ...]:
        """[n, row, column, word, tile in word, channel]."""
        w = self.w
        return w.n, w.out_h, w.out_w, -(-self.tiles // self.together), self.together, CHANNELS


def compute_plain(p: Plain) -> Any:
    """The PrimFunc."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = arguments(p.w, p)
        packed = T.sblock_alloc_buffer(p.packed_shape, "uint64")
        sums = T.sblock_alloc_buffer(p.sums_shape, f"uint{p.sum_bits}")
        _pack_input(p, buffers["x"], packed)
        _sums(p, packed, buffers["weights"], sums)
        _finish(p, sums, buffers)
    return builder.get()


def _pack_input(p: Plain, x: Any, packed: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    w = p.w
    with T.grid(*p.packed_shape) as indices, T.sblock("pack_input"):
        vn, vg, vp, vr, vc, vk = map(T.axis.spatial, p.packed_shape, indices)
        T.reads(x[vn, 0 : w.h, 0 : w.w, vp, 0 : x.shape[4]])
        T.writes(packed[vn, vg, vp, vr, vc, vk])
        value = padded_word(w, x, [vn, vr, vc], vp, vg, vk, p.words)
        T.buffer_store(packed, value, [vn, vg, vp, vr, vc, vk])


def _sums(p: Plain, packed: Any, weights: Any, sums: Any) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, (kh, kw), kind = p.w, p.w.kernel, str(sums.dtype)
    reduced = (w.a_bits, w.w_bits, kh, kw, p.words)
    with T.grid(*p.sums_shape, *reduced) as indices, T.sblock("sums"):
        vn, vr, vc, vw, vt, vl = map(T.axis.spatial, p.sums_shape, indices[:6])
        va, vb, vi, vj, vk = map(T.axis.reduce, reduced, indices[6:])
        tile = tirx.min(vw * p.together + vt, p.tiles - 1)
        channel = tirx.min(tile * CHANNELS + vl, w.co - 1)
        group = channel // (w.co // w.groups) if w.groups > 1 else 0
        row, col = vr * w.stride[0] + vi, vc * w.stride[1] + vj
        a = packed[vn, group, va, row, col, vk]
        b = weights[0, tile, vb, 0, (vi * kw + vj) * p.words + vk, vl]
        at = [vn, vr, vc, vw, vt, vl]
        T.reads(packed[vn, 0 : w.groups, va, row, col, vk], b)
        T.writes(sums[tuple(at)])
        with T.init():
            T.buffer_store(sums, tirx.const(0, kind), at)
        count = tirx.Cast(kind, _popcount(a ^ b, p.popcount))
        T.buffer_store(sums, sums[tuple(at)] + (count << tirx.Cast(kind, va + vb)), at)


def _popcount(value: Any, how: str) -> Any:
    """Of 64 bits; "swar" adds neighbouring fields of 1, 2, 4, ... bits."""
    from tvm import tirx

    if how == "cnt":
        return tirx.popcount(value)

    def const(number: int) -> Any:
        return tirx.const(number, "uint64")

    value = value - (value >> const(1) & const(0x5555555555555555))
    twos = const(0x3333333333333333)
    value = (value & twos) + (value >> const(2) & twos)
    value = value + (value >> const(4)) & const(0x0F0F0F0F0F0F0F0F)
    for shift in (8, 16, 32):
        value = value + (value >> const(shift))
    return value & const(0x7F)


def _finish(p: Plain, sums: Any, buffers: dict[str, Any]) -> None:
    """One word of each plane of a pixel, or the sums of one tile."""
    from tvm.script.ir_builder import tirx as T

    w, y, sizes = p.w, buffers["y"], p.sums_shape[:4]
    with T.grid(*sizes) as indices, T.sblock("finish"):
        vn, vr, vc, vw = map(T.axis.spatial, sizes, indices)
        T.reads(sums[vn, vr, vc, vw, 0 : p.together, 0:CHANNELS])
        T.writes(y[(vn, vr, vc, *(slice(0, s) for s in y.shape[3:]))])
        if w.glue == "acc":
            with T.serial(0, CHANNELS) as lane, T.If(vw * CHANNELS + lane < w.co), T.Then():
                value = _corrected(p, sums[vn, vr, vc, vw, 0, lane], buffers, vr, vc, vw, lane)
                wide = value.astype(w.output_dtype) * factor(w)
                wide = buffers["offsets"][0, vw, lane] - wide
                T.buffer_store(y, wide, [vn, vr, vc, vw * CHANNELS + lane])
            return
        for plane in range(w.out_bits):
            T.buffer_store(y, T.Cast(w.output_dtype, 0), [vn, vr, vc, plane, vw])
        with T.grid(p.together, CHANNELS) as (tile, lane):
            number = vw * p.together + tile
            with T.If(number < p.tiles), T.Then():
                value = sums[vn, vr, vc, vw, tile, lane]
                value = _corrected(p, value, buffers, vr, vc, number, lane)
                _store_bits(p, value, buffers, [vn, vr, vc], vw, tile, lane)


def _corrected(
    p: Plain, value: Any, buffers: dict[str, Any], row: Any, col: Any, tile: Any, lane: Any
) -> Any:
    if not is_corrected(p.w):
        return value
    rows, cols = edges(p.w)
    return value - buffers["corrections"][rows.of(row) * cols.classes + cols.of(col), 0, tile, lane]


def _store_bits(
    p: Plain, value: Any, buffers: dict[str, Any], at: list[Any], word: Any, tile: Any, lane: Any
) -> None:
    """Bits of the code, how many bounds are above: levels fall, so every 2^plane-th one counts."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    w, y, number = p.w, buffers["y"], word * p.together + tile
    flip = buffers["flips"][0, number] >> tirx.Cast("uint8", lane) & tirx.const(1, "uint8")
    for plane in range(w.out_bits):
        bit = tirx.Cast(w.output_dtype, flip)
        for level in range(2**plane - 1, 2**w.out_bits - 1, 2**plane):
            below = value < buffers["bounds"][0, number, level, lane]
            bit = bit ^ tirx.Cast(w.output_dtype, below)
        shifted = bit << tirx.Cast(w.output_dtype, tile * CHANNELS + lane)
        T.buffer_store(y, y[(*at, plane, word)] | shifted, [*at, plane, word])
