"""ResNet-18 and ResNet-50."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm_ops.networks._network import CLASSES, Network

# He et al., "Deep Residual Learning for Image Recognition", 2015, table 1: blocks of conv2_x to
# conv5_x; their 3x3 layers have 64, 128, 256 and 512 channels.
RESNET18_BLOCKS = (2, 2, 2, 2)
RESNET50_BLOCKS = (3, 4, 6, 3)


def resnet(blocks: Sequence[int], block: Callable[[Network, int, int], None]) -> Network:
    net = Network()
    net.conv(64, 7, "relu", stride=2)
    net.pool()
    for stage, repeats in enumerate(blocks):
        for index in range(repeats):
            block(net, 64 << stage, 2 if stage > 0 and index == 0 else 1)
    net.dense(CLASSES, "none")
    return net


def basic(net: Network, width: int, stride: int) -> None:
    _shortcut(net, width, stride)
    net.conv(width, 3, "relu", stride)
    net.conv(width, 3, "none")


def bottleneck(net: Network, width: int, stride: int) -> None:
    """Version 1.5 strides in the 3x3 layer, as torchvision does; the paper in the 1x1 before."""
    _shortcut(net, 4 * width, stride)
    net.conv(width, 1, "relu")
    net.conv(width, 3, "relu", stride)
    net.conv(4 * width, 1, "none")


def _shortcut(net: Network, co: int, stride: int) -> None:
    """A projection (option B) where the block changes the shape, aside of its path."""
    if (net.channels, 1) != (co, stride):
        before = net.channels, net.size
        net.conv(co, 1, "none", stride)
        net.channels, net.size = before
