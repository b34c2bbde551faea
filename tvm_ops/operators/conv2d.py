"""2-d convolution, float32, NCHW: any kernel, stride, padding, dilation, groups and batch.

With one group either one matrix product of gathered pixels (im2col; Chellapilla et al., "High
Performance Convolutional Neural Networks for Document Processing", 2006), block by block so that
the gathered part stays in a cache, with vectors along ``pixels`` or along output ``channels``;
or ``direct``, which reads the padded input in place. More groups: ``grouped``, the direct way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators import _conv
from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_blocked import Blocked, compute_blocked
from tvm_ops.operators._conv_direct import Direct, compute_direct
from tvm_ops.operators._conv_gemm import Gemm, compute_gemm
from tvm_ops.operators._conv_neon import Neon, compute_neon
from tvm_ops.operators._conv_spatial_pack import SpatialPack, compute_spatial_pack
from tvm_ops.operators._conv_tiles import pack_blocks
from tvm_ops.operators._layout import Array, image_layouts

ERROR_BOUND = 1e-5  # of the largest output; sums of up to 1024 products were within 1e-6


@dataclass(frozen=True)
class Workload(ConvWorkload):
    """Every ``ConvWorkload``."""


WORKLOADS = [
    # ResNet-18 (He et al. 2015, table 1): first layer, a stage's first, its shortcut, a plain one.
    Workload(1, 3, 224, 224, 64, (7, 7), (2, 2), (3, 3)),
    Workload(1, 64, 56, 56, 128, (3, 3), (2, 2), (1, 1)),
    Workload(1, 64, 56, 56, 128, (1, 1), (2, 2), (0, 0), activation="none"),
    Workload(1, 64, 56, 56, 64),
    # MobileNet v1 (Howard et al. 2017, table 1).
    Workload(1, 3, 224, 224, 32, (3, 3), (2, 2), (1, 1)),
    Workload(1, 64, 56, 56, 128, (1, 1), (1, 1), (0, 0)),
    Workload(1, 128, 28, 28, 256, (1, 1), (1, 1), (0, 0)),
    Workload(1, 512, 14, 14, 512, (1, 1), (1, 1), (0, 0)),
    Workload(1, 1024, 7, 7, 1024, (1, 1), (1, 1), (0, 0)),
    # Shapes that no tile divides.
    Workload(1, 13, 23, 23, 13, activation="hswish"),
    Workload(2, 5, 9, 17, 6, (3, 5), (2, 3), (0, 2), activation="relu6"),
    Workload(1, 13, 1, 1, 20, (1, 1), (1, 1), (0, 0), activation="none"),
    Workload(1, 13, 1, 1, 20),
    Workload(1, 7, 15, 15, 10, (3, 3), (1, 1), (2, 2), (2, 2), activation="none"),
    Workload(1, 4, 16, 13, 9, (3, 2), (3, 4), (2, 1), (2, 3)),
    Workload(1, 3, 5, 30, 4, (1, 1), (2, 3), (1, 1), activation="hswish"),
    # Channels in blocks of four: ResNet-50's and MobileNets', then shapes that no tile divides.
    Workload(1, 64, 56, 56, 256, (1, 1), (1, 1), (0, 0), activation="none", block=(4, 4)),
    Workload(1, 128, 28, 28, 128, stride=(2, 2), block=(4, 4)),
    Workload(1, 13, 9, 11, 22, activation="hswish", block=(4, 4)),
    Workload(
        2, 13, 9, 11, 22, (3, 2), (2, 2), (1, 0), activation="prelu", residual=True, block=(4, 4)
    ),
    Workload(1, 48, 10, 9, 32, groups=4, activation="relu6", residual=True, block=(4, 4)),
    Workload(1, 30, 1, 1, 70, (1, 1), (1, 1), (0, 0), block=(4, 4)),
    Workload(1, 18, 7, 7, 6, (5, 5), (1, 1), (4, 4), (2, 2), block=(4, 4)),
    Workload(1, 8, 14, 14, 8, (3, 5), (1, 1), (2, 4), (2, 2), block=(4, 4)),
    Workload(1, 20, 7, 9, 40, (1, 1), (2, 2), (0, 0), block=(4, 4)),
    Workload(1, 3, 30, 31, 14, (3, 3), (2, 2), (1, 1), block=(1, 4)),
    Workload(2, 5, 13, 10, 9, (2, 3), (1, 1), (0, 2), (2, 1), residual=True, block=(1, 4)),
    Workload(1, 20, 13, 9, 40, activation="hswish", block=(16, 16)),
    # Groups: two, depthwise, depthwise with a multiplier.
    Workload(1, 10, 14, 14, 26, groups=2),
    Workload(1, 32, 28, 28, 32, groups=32, activation="relu6"),
    Workload(2, 6, 11, 9, 12, (5, 3), (2, 1), (2, 1), groups=6),
    # What may follow the sum: a residual, slopes, both.
    Workload(1, 9, 14, 15, 22, residual=True),
    Workload(1, 30, 7, 9, 14, (1, 1), (1, 1), (0, 0), activation="none", residual=True),
    Workload(2, 7, 11, 13, 10, (3, 3), (2, 2), (1, 1), activation="prelu"),
    Workload(1, 6, 12, 13, 6, groups=6, activation="prelu", residual=True),
]

reference = _conv.conv_reference
data = _conv.conv_data
unpack_output = _conv.unpack_output
layouts = image_layouts


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of ``w.arguments`` as ``pack`` makes them, then y."""
    plan = _plan(w, knobs)
    if isinstance(plan, Blocked):
        return compute_blocked(plan)
    if isinstance(plan, Neon):
        return compute_neon(plan)
    if isinstance(plan, SpatialPack):
        return compute_spatial_pack(plan)
    return compute_direct(plan) if isinstance(plan, Direct) else compute_gemm(plan)


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Those of the arrays that are given, as the kernel takes them: in the order of use.

    ``pixels``, ``channels``: weights[co / tile_co, (ci, kh, kw), tile_co]; ``direct``, ``grouped``,
    ``spatial_pack``: weights[group, co / tile_co, ci, kh, kw, tile_co], ci and co of one group;
    ``blocked``,
    ``neon``: weights[group, co tile, ci / c, kh, kw, c, co in tile]. Bias and slope are
    [group, co of the group], flat. Zeros where padded. Raises ``InputError`` for other shapes.
    """
    packed, plan = _conv.pack_shared(w, arrays), _plan(w, knobs)
    if isinstance(plan, Blocked | Neon):
        return pack_blocks(plan, packed, arrays)
    per_group = w.co // w.groups
    if "weights" in arrays:
        packed["weights"] = _pack_weights(w, plan.weights_shape, arrays["weights"])
    for name in [name for name in ("bias", "slope") if name in arrays]:
        grouped = arrays[name].reshape(w.groups, per_group)
        padded = np.pad(grouped, ((0, 0), (0, plan.co - per_group)))
        packed[name] = padded.reshape(-1).astype(np.float32)
    return packed


def _pack_weights(w: Workload, shape: tuple[int, ...], weights: Array) -> Array:
    tile_co, taps = shape[-1], int(np.prod(w.weights_shape[1:]))
    grouped = weights.reshape(w.groups, w.co // w.groups, taps)
    rows = int(np.prod(shape)) // (w.groups * taps)
    padded = np.pad(grouped, ((0, 0), (0, rows - w.co // w.groups), (0, 0)))
    tiles = padded.reshape(w.groups, rows // tile_co, tile_co, taps).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(tiles, dtype=np.float32).reshape(shape)


def _plan(w: Workload, knobs: dict[str, Any]) -> Direct | Gemm | Blocked | Neon | SpatialPack:
    if knobs["sketch"] == "spatial_pack":
        return SpatialPack.of(w, knobs)
    if knobs["sketch"] in ("direct", "grouped"):
        return Direct.of(w, knobs)
    if knobs["sketch"] == "blocked":
        return Blocked.of(w, knobs)
    return Neon.of(w, knobs) if knobs["sketch"] == "neon" else Gemm.of(w, knobs)
