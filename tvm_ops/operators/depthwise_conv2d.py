"""Depthwise 2-d convolution, float32: each input channel is a group, with ``multiplier`` outputs.

Channel o of the output is channel o / multiplier of the input convolved with a kernel of its own
(Howard et al., "MobileNets", 2017, section 3.1). ``blocks``: channels in blocks, vectors along
them, x read where it lies, without a padded copy. ``planes``: NCHW, vectors along columns of a
padded copy, one channel at a time. ``loops``: either layout, for kernels of very many taps.
``channel_pack``: NCHW, as AutoTVM's template does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators import _conv, _depthwise_blocks
from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._depthwise_channel_pack import compute_channel_pack
from tvm_ops.operators._layout import Array, image_layouts

ERROR_BOUND = 1e-5  # of the largest output


@dataclass(frozen=True)
class Workload(ConvWorkload):
    """A ``ConvWorkload`` with as many groups as input channels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            self.groups == self.ci,
            f"a depthwise convolution has as many groups as input channels (g{self.ci})",
        )


def _layer(c: int, size: int, kernel: int, stride: int, activation: str, block: int) -> Workload:
    pad = kernel // 2
    return Workload(
        1, c, size, size, c, (kernel, kernel), (stride, stride), (pad, pad), groups=c,
        activation=activation, block=(block, block),
    )  # fmt: skip


WORKLOADS = [
    # MobileNet v1 (Howard et al. 2017, table 1).
    _layer(32, 112, 3, 1, "relu6", 4),
    _layer(64, 112, 3, 2, "relu6", 4),
    _layer(512, 14, 3, 1, "relu6", 4),
    _layer(1024, 7, 3, 1, "relu6", 4),
    _layer(128, 56, 3, 1, "relu6", 1),
    _layer(256, 28, 3, 2, "relu6", 1),
    # MobileNet v3-large (Howard et al. 2019, table 1).
    _layer(72, 56, 5, 2, "relu", 4),
    _layer(120, 28, 5, 1, "relu", 4),
    _layer(960, 7, 5, 1, "hswish", 4),
    _layer(672, 14, 5, 2, "hswish", 1),
    # Shapes that no tile divides, in every layout.
    Workload(1, 13, 23, 23, 13, groups=13, activation="hswish"),
    Workload(2, 6, 11, 9, 6, (5, 3), (2, 1), (2, 1), groups=6, activation="prelu", residual=True),
    Workload(1, 13, 23, 17, 13, groups=13, activation="prelu", residual=True, block=(4, 4)),
    Workload(2, 21, 9, 10, 21, (7, 7), (1, 1), (3, 3), groups=21, block=(8, 8)),
    Workload(1, 18, 7, 12, 18, (3, 5), (2, 3), (0, 2), groups=18, block=(16, 16), residual=True),
    Workload(1, 7, 15, 15, 7, (3, 3), (1, 1), (2, 2), (2, 2), groups=7, activation="none",
             block=(4, 4)),
    # One pixel; paddings that whole outputs lie in; two outputs a channel; very large kernels.
    Workload(1, 13, 1, 1, 13, groups=13, block=(4, 4), activation="none"),
    Workload(1, 13, 1, 1, 13, groups=13),
    Workload(1, 5, 6, 5, 5, (3, 2), (2, 1), (4, 3), groups=5, block=(4, 4), residual=True),
    Workload(1, 6, 10, 9, 12, groups=6, block=(4, 4), activation="relu6"),
    Workload(2, 6, 10, 9, 18, groups=6, activation="prelu"),
    Workload(1, 6, 21, 19, 6, (19, 17), (1, 2), (9, 8), groups=6, block=(4, 4)),
    Workload(1, 3, 70, 66, 6, (65, 64), (1, 1), (2, 3), groups=3, activation="prelu"),
]  # fmt: skip

reference = _conv.conv_reference
data = _conv.conv_data
unpack_output = _conv.unpack_output
layouts = image_layouts


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of ``w.arguments`` as ``pack`` makes them, then y."""
    if knobs["sketch"] == "channel_pack":
        return compute_channel_pack(w, knobs)
    return _depthwise_blocks.compute(w, knobs)


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Those of the arrays that are given, as the kernel takes them.

    With c = ``w.block[1]``: weights[co / c, kh, kw, c], bias and slope[co / c, c], zeros where
    padded; x and residual in the workload's layout. The weights of ``channel_pack`` have c =
    ``tile_c``. Raises ``InputError`` for other shapes.
    """
    packed = _conv.pack_shared(w, arrays)
    for name in [name for name in ("weights", "bias", "slope") if name in arrays]:
        c = knobs.get("tile_c", w.block[1]) if name == "weights" else w.block[1]
        taps = arrays[name].reshape(w.co, -1)
        padded = np.pad(taps, ((0, -w.co % c), (0, 0))).astype(np.float32)
        blocks = padded.reshape(-1, c, taps.shape[1]).transpose(0, 2, 1)
        shape = (len(blocks), *(w.kernel if name == "weights" else ()), c)
        packed[name] = np.ascontiguousarray(blocks).reshape(shape)
    return packed
