"""AlexNet, VGGNet and SqueezeNet, which few-bit networks are compared by."""

from __future__ import annotations

from tvm_ops.networks._network import CLASSES, Network


def alexnet() -> Network:
    """Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014."""
    net = Network()
    net.conv(64, 11, "relu", stride=4, pad=2)
    net.pool()
    net.conv(192, 5, "relu")
    net.pool()
    for co in (384, 256, 256):
        net.conv(co, 3, "relu")
    net.pool()
    _classifier(net)
    return net


# Simonyan and Zisserman, "Very Deep Convolutional Networks", 2014, table 1, configuration A.
_VGG11_STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def vgg11() -> Network:
    net = Network()
    for stage in _VGG11_STAGES:
        for co in stage:
            net.conv(co, 3, "relu")
        net.pool()
    _classifier(net)
    return net


def _classifier(net: Network) -> None:
    net.flatten()
    for _ in range(2):
        net.dense(4096, "relu")
    net.dense(CLASSES, "none")


# Iandola et al., "SqueezeNet", 2016, table 1: the channels of a fire module's 1x1 layer that
# squeezes and of each of the two, 1x1 and 3x3, that expand; None is a pooling.
_SQUEEZENET_FIRES = (
    (16, 64), (16, 64), (32, 128), None,
    (32, 128), (48, 192), (48, 192), (64, 256), None, (64, 256),
)  # fmt: skip


def squeezenet() -> Network:
    net = Network()
    net.conv(96, 7, "relu", stride=2, pad=2)
    net.pool()
    for fire in _SQUEEZENET_FIRES:
        if fire is None:
            net.pool()
            continue
        squeezed, expanded = fire
        net.conv(squeezed, 1, "relu")
        for kernel in (1, 3):
            net.channels = squeezed
            net.conv(expanded, kernel, "relu")
        net.channels = 2 * expanded
    net.conv(CLASSES, 1, "relu")
    return net
