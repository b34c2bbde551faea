"""3x3 stride-1 convolution by Winograd's minimal filtering F(m x m, 3x3), float32, NCHW.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015), section 4.1: each m x m
tile of the output is inverse(sum over ci of weights' * transform(input tile)), so that the sum is
one matrix product for each of the (m + 2)^2 elements. Four blocks: ``pack_input`` (padding and
layout), ``transform``, ``gemm``, ``inverse`` and ``epilogue`` (bias, residual, activation), which
are one block where channels lie in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators import _conv
from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._epilogue import Epilogue
from tvm_ops.operators._layout import Array, image_layouts
from tvm_ops.operators._winograd import transform_weights
from tvm_ops.operators._winograd_batch_gemm import batch_gemm_geometry, compute_batch_gemm
from tvm_ops.operators._winograd_blocks import Geometry, Packed, Phased, gemm, geometry, inverse
from tvm_ops.operators._winograd_epilogue import store_rows, store_vectors
from tvm_ops.operators._winograd_neon import gemm_tiles

ERROR_BOUND = 1e-4  # of the largest output; F(6,3) can exceed it, and is then not chosen


@dataclass(frozen=True)
class Workload(ConvWorkload):
    """A ``ConvWorkload`` of kernel 3, stride 1, dilation 1, one group; any padding."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            self.kernel == (3, 3) and self.stride == self.dilation == (1, 1) and self.groups == 1,
            "winograd_conv2d does 3x3, stride 1, dilation 1, one group; use conv2d",
        )


WORKLOADS = [
    # The four 3x3 stride-1 layers of ResNet-18 (He et al. 2015, table 1).
    Workload(1, 64, 56, 56, 64),
    Workload(1, 128, 28, 28, 128),
    Workload(1, 256, 14, 14, 256),
    Workload(1, 512, 7, 7, 512),
    # Shapes that no tile divides.
    Workload(1, 13, 23, 23, 13, activation="hswish"),
    Workload(2, 5, 9, 17, 6, pad=(0, 2), activation="relu6"),
    Workload(1, 13, 1, 1, 20, activation="none"),
    Workload(3, 3, 3, 3, 1, pad=(0, 0)),
    # Channels in blocks of four.
    Workload(1, 64, 28, 28, 64, block=(4, 4)),
    Workload(1, 13, 23, 23, 13, activation="hswish", block=(4, 4)),
    Workload(2, 5, 9, 17, 6, pad=(0, 2), activation="relu6", block=(4, 4)),
    # What may follow the sum: a residual, slopes, both.
    Workload(1, 10, 13, 15, 22, residual=True),
    Workload(1, 5, 10, 14, 7, activation="none", residual=True),
    Workload(2, 6, 11, 9, 9, activation="prelu"),
    Workload(1, 16, 12, 12, 24, activation="prelu", residual=True),
    Workload(1, 9, 14, 11, 20, activation="prelu", residual=True, block=(4, 4)),
]

reference = _conv.conv_reference
data = _conv.conv_data
unpack_output = _conv.unpack_output


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    packed = {"weights": "element co/tile_co ci tile_co", "bias": "co", "slope": "co"}
    return image_layouts(w) | packed


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Those of the arrays that are given, as the kernel takes them.

    weights[element, co / tile_co, ci, tile_co], transformed in float64; bias[co] and slope[co].
    Zeros where padded. Raises ``InputError`` for other shapes.
    """
    packed, g = _conv.pack_shared(w, arrays), _geometry(w, knobs)
    if "weights" in arrays:
        u = transform_weights(g.m, arrays["weights"]).astype(np.float32)
        u = np.pad(u, ((0, 0), (0, g.co - w.co), (0, g.ci - w.ci)))
        u = u.reshape(g.elements, g.co // g.tile_co, g.tile_co, g.ci).transpose(0, 1, 3, 2)
        packed["weights"] = np.ascontiguousarray(u)
    for name in [name for name in ("bias", "slope") if name in arrays]:
        packed[name] = np.pad(arrays[name], (0, g.co - w.co)).astype(np.float32)
    return packed


def _geometry(w: Workload, knobs: dict[str, Any]) -> Geometry:
    return (batch_gemm_geometry if knobs["sketch"] == "batch_gemm" else geometry)(w, knobs)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of ``w.arguments`` as ``pack`` makes them, then y[n, co, oh, ow]."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    g = _geometry(w, knobs)
    if knobs["sketch"] == "batch_gemm":
        return compute_batch_gemm(w, g)
    layout = (Phased if knobs["sketch"] == "phased" else Packed)(w, g, knobs)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.kernel_input_shape))
        u = T.arg("weights", T.buffer((g.elements, g.co // g.tile_co, g.ci, g.tile_co)))
        after = Epilogue.arguments(w, (g.co,), w.kernel_output_shape)
        y = T.arg("y", T.buffer(w.kernel_output_shape))
        packed = T.sblock_alloc_buffer(layout.packed_shape)
        v = T.sblock_alloc_buffer(layout.v_shape())
        product = T.sblock_alloc_buffer(g.product_shape(w.n))
        layout.pack_input(x, packed)
        layout.transform(packed, v)
        if knobs["sketch"] == "neon":
            gemm_tiles(w, g, (v, u, product), knobs)
        else:
            gemm(w, g, layout, v, u, product)
        if w.block[1] > 1:
            store_vectors(w, g, product, after, y)
        else:
            sums = T.sblock_alloc_buffer((w.n, g.tiles, *g.m, g.co))
            inverse(w, g, product, sums)
            store_rows(w, g, sums, after, y)
    return builder.get()
