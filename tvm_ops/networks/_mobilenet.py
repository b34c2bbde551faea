"""MobileNet v1, v2 and v3-large."""

from __future__ import annotations

from tvm_ops.networks._network import CLASSES, Network

# Howard et al., "MobileNets", 2017, table 1: the depthwise layer's stride, and the channels after.
_V1_BLOCKS = (
    (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512),
    *[(1, 512)] * 5, (2, 1024), (1, 1024),
)  # fmt: skip


def mobilenet_v1() -> Network:
    """With ReLU6, as its authors' release has."""
    net = Network()
    net.conv(32, 3, "relu6", stride=2)
    for stride, co in _V1_BLOCKS:
        net.depthwise(3, "relu6", stride)
        net.conv(co, 1, "relu6")
    net.dense(CLASSES, "none")
    return net


# Sandler et al., "MobileNetV2", 2018, table 2: expansion, channels, blocks, stride of the first.
_V2_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v2() -> Network:
    net = Network()
    net.conv(32, 3, "relu6", stride=2)
    for expansion, co, blocks, stride in _V2_STAGES:
        for index in range(blocks):
            if expansion > 1:
                net.conv(expansion * net.channels, 1, "relu6")
            net.depthwise(3, "relu6", stride if index == 0 else 1)
            net.conv(co, 1, "none")
    net.conv(1280, 1, "relu6")
    net.dense(CLASSES, "none")
    return net


# Howard et al., "Searching for MobileNetV3", 2019, table 1: kernel, expanded channels, channels,
# squeeze-excite, activation, stride.
_V3_LARGE_BLOCKS = (
    (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), *[(5, 120, 40, True, "relu", 1)] * 2,
    (3, 240, 80, False, "hswish", 2), (3, 200, 80, False, "hswish", 1),
    *[(3, 184, 80, False, "hswish", 1)] * 2,
    (3, 480, 112, True, "hswish", 1), (3, 672, 112, True, "hswish", 1),
    (5, 672, 160, True, "hswish", 2), *[(5, 960, 160, True, "hswish", 1)] * 2,
)  # fmt: skip


def mobilenet_v3_large() -> Network:
    net = Network()
    net.conv(16, 3, "hswish", stride=2)
    for kernel, expanded, co, excites, activation, stride in _V3_LARGE_BLOCKS:
        if expanded != net.channels:
            net.conv(expanded, 1, activation)
        net.depthwise(kernel, activation, stride)
        if excites:
            net.squeeze_excite(_divisible(expanded / 4))
        net.conv(co, 1, "none")
    net.conv(960, 1, "hswish")
    net.dense(1280, "hswish")
    net.dense(CLASSES, "none")
    return net


def _divisible(channels: float) -> int:
    """The nearest multiple of 8, but not below nine tenths: the authors' rule."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
