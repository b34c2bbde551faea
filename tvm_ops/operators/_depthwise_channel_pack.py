"""Depthwise convolution as AutoTVM's template for ARM does it: ``tile_c`` channels side by side.

packed[n, c / tile_c, row, column, c % tile_c], padded, and a product of the same layout, which a
second pass brings back to NCHW. The data flow is that of TVM's former template
``depthwise_conv2d_nchw.arm_cpu``. Blocks ``pack_input``, ``conv``, ``epilogue``; one output a
channel.
"""

from __future__ import annotations

from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import zero_outside
from tvm_ops.operators._epilogue import Epilogue


def compute_channel_pack(w: ConvWorkload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of ``w.arguments`` as ``pack`` makes them, then y[n, co, oh, ow]."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    c = knobs["tile_c"]
    sizes = zip((w.out_h, w.out_w), w.kernel, w.stride, w.dilation, strict=True)
    plane = [(size - 1) * s + (k - 1) * d + 1 for size, k, s, d in sizes]
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.input_shape))
        weights = T.arg("weights", T.buffer((w.co // c, *w.kernel, c)))
        after = Epilogue.arguments(w, (w.co, 1), w.output_shape)
        y = T.arg("y", T.buffer(w.output_shape))
        packed = T.sblock_alloc_buffer((w.n, w.co // c, *plane, c))
        product = T.sblock_alloc_buffer((w.n, w.co // c, w.out_h, w.out_w, c))
        _pack_input(w, x, packed)
        _conv(w, packed, weights, product)
        _epilogue(w, c, product, after, y)
    return builder.get()


def _pack_input(w: ConvWorkload, x: Any, packed: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    loops = tuple(map(int, packed.shape))
    with T.grid(*loops) as indices, T.sblock("pack_input"):
        at = list(map(T.axis.spatial, loops, indices))
        vn, vb, vh, vw, vl = at
        row, col = vh - w.pad[0], vw - w.pad[1]
        value = x[vn, vb * loops[-1] + vl, row, col]
        T.reads(value)
        T.writes(packed[tuple(at)])
        T.buffer_store(packed, zero_outside(w, value, row, col), at)


def _conv(w: ConvWorkload, packed: Any, weights: Any, product: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    spatial = tuple(map(int, product.shape))
    with T.grid(*spatial, *w.kernel) as indices, T.sblock("conv"):
        at = list(map(T.axis.spatial, spatial, indices[:5]))
        vi, vj = map(T.axis.reduce, w.kernel, indices[5:])
        vn, vb, vh, vw, vl = at
        row = vh * w.stride[0] + vi * w.dilation[0]
        a = packed[vn, vb, row, vw * w.stride[1] + vj * w.dilation[1], vl]
        b = weights[vb, vi, vj, vl]
        T.reads(a, b)
        T.writes(product[tuple(at)])
        with T.init():
            T.buffer_store(product, T.float32(0), at)
        T.buffer_store(product, product[tuple(at)] + a * b, at)


def _epilogue(w: ConvWorkload, c: int, product: Any, after: Epilogue, y: Any) -> None:
    from tvm.script.ir_builder import tirx as T

    loops = w.output_shape
    with T.grid(*loops) as indices, T.sblock("epilogue"):
        at = list(map(T.axis.spatial, loops, indices))
        vn, vo, vh, vw = at
        channel = vo, 0
        total = product[vn, vo // c, vh, vw, vo % c]
        T.reads(total, *after.reads(channel, at))
        T.writes(y[tuple(at)])
        T.buffer_store(y, after.value(total, channel, at), at)
