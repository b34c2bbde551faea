"""The layers of five image networks at 224x224, batch 1, as they are deployed.

Batch normalisation is folded into the weights and the bias before it, so that a layer is a
convolution, a depthwise convolution or a dense layer with a bias and the activation that follows
it at once: none where an addition, another linear layer or a gate comes next. Poolings, additions
and the multiplication by a squeeze-excite gate are no layers here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.operators import conv2d, dense, depthwise_conv2d
from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.task import task_key

IMAGE, CLASSES = 224, 1000
KINDS = ("3x3 stride 1", "1x1", "3x3 and 7x7 stride 2", "depthwise", "dense")


@dataclass(frozen=True)
class Layer:
    """``count`` layers of one shape in ``networks``, together where they are several."""

    operator: str
    """conv2d, depthwise_conv2d or dense"""
    workload: Any
    count: int
    networks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of its task, on any target."""
        return task_key(self.operator, self.workload)


class _Network:
    """The layers in their order; knows the shape of what the next one reads."""

    def __init__(self) -> None:
        self.layers: list[tuple[str, Any]] = []
        self.channels, self.size = 3, IMAGE

    def conv(self, co: int, kernel: int, activation: str, stride: int = 1) -> None:
        shape = (1, self.channels, self.size, self.size, co)
        window = _window(kernel, stride)
        self._add("conv2d", conv2d.Workload(*shape, **window, activation=activation))

    def depthwise(self, kernel: int, activation: str, stride: int = 1) -> None:
        shape = (1, self.channels, self.size, self.size, self.channels)
        window = _window(kernel, stride)
        window |= {"groups": self.channels, "activation": activation}
        workload = depthwise_conv2d.Workload(*shape, **window)
        self._add("depthwise_conv2d", workload)

    def _add(self, operator: str, workload: ConvWorkload) -> None:
        self.layers.append((operator, workload))
        self.channels, self.size = workload.co, workload.out_h

    def dense(self, co: int, activation: str) -> None:
        """After a global average pooling."""
        self.layers.append(("dense", dense.Workload(1, self.channels, co, activation)))
        self.channels = co

    def squeeze_excite(self, squeezed: int) -> None:
        """Two dense layers aside of the path (Hu et al. 2017); the gate, a hard sigmoid, is none.

        It multiplies the channels that the two have read.
        """
        gated = self.channels
        self.dense(squeezed, "relu")
        self.dense(gated, "none")

    def pool(self) -> None:
        """A pooling that halves the size."""
        self.size //= 2


def _window(kernel: int, stride: int) -> dict[str, Any]:
    """Kernel, stride and the padding that keeps the size at stride 1."""
    pad = kernel // 2
    return {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad, pad)}


# He et al., "Deep Residual Learning for Image Recognition", 2015, table 1: blocks of conv2_x to
# conv5_x; their 3x3 layers have 64, 128, 256 and 512 channels.
_RESNET18_BLOCKS = (2, 2, 2, 2)
_RESNET50_BLOCKS = (3, 4, 6, 3)


def _resnet(blocks: Sequence[int], block: Callable[[_Network, int, int], None]) -> _Network:
    net = _Network()
    net.conv(64, 7, "relu", stride=2)
    net.pool()
    for stage, repeats in enumerate(blocks):
        for index in range(repeats):
            block(net, 64 << stage, 2 if stage > 0 and index == 0 else 1)
    net.dense(CLASSES, "none")
    return net


def _basic(net: _Network, width: int, stride: int) -> None:
    _shortcut(net, width, stride)
    net.conv(width, 3, "relu", stride)
    net.conv(width, 3, "none")


def _bottleneck(net: _Network, width: int, stride: int) -> None:
    """Version 1.5 strides in the 3x3 layer, as torchvision does; the paper in the 1x1 before."""
    _shortcut(net, 4 * width, stride)
    net.conv(width, 1, "relu")
    net.conv(width, 3, "relu", stride)
    net.conv(4 * width, 1, "none")


def _shortcut(net: _Network, co: int, stride: int) -> None:
    """A projection (option B) where the block changes the shape, aside of its path."""
    if (net.channels, 1) != (co, stride):
        before = net.channels, net.size
        net.conv(co, 1, "none", stride)
        net.channels, net.size = before


# Howard et al., "MobileNets", 2017, table 1: the depthwise layer's stride, and the channels after.
_V1_BLOCKS = (
    (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512),
    *[(1, 512)] * 5, (2, 1024), (1, 1024),
)  # fmt: skip


def _mobilenet_v1() -> _Network:
    """With ReLU6, as its authors' release has."""
    net = _Network()
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


def _mobilenet_v2() -> _Network:
    net = _Network()
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


def _mobilenet_v3_large() -> _Network:
    net = _Network()
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


NETWORKS: dict[str, Callable[[], _Network]] = {
    "resnet18": lambda: _resnet(_RESNET18_BLOCKS, _basic),
    "resnet50": lambda: _resnet(_RESNET50_BLOCKS, _bottleneck),
    "mobilenet_v1": _mobilenet_v1,
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3_large": _mobilenet_v3_large,
}


def layers(network: str) -> list[Layer]:
    """The different layers of a network in the order of their first use, and how many there are.

    Raises ``InputError`` naming the known networks.
    """
    if network not in NETWORKS:
        raise InputError(f"unknown network '{network}'; known: {', '.join(NETWORKS)}")
    counts = Counter(NETWORKS[network]().layers)
    return [Layer(operator, w, count, (network,)) for (operator, w), count in counts.items()]


def all_layers() -> list[Layer]:
    """The different layers of all networks, each with the networks that have it."""
    found: dict[str, Layer] = {}
    for name in NETWORKS:
        for layer in layers(name):
            old = found.get(layer.key, Layer(layer.operator, layer.workload, 0))
            count, networks = old.count + layer.count, (*old.networks, name)
            found[layer.key] = Layer(layer.operator, layer.workload, count, networks)
    return list(found.values())


def kind(layer: Layer) -> str:
    """One of ``KINDS``; a 1x1 convolution of stride 2, a shortcut, is a 1x1."""
    if layer.operator != "conv2d":
        return "depthwise" if layer.operator == "depthwise_conv2d" else "dense"
    if layer.workload.kernel == (1, 1):
        return "1x1"
    return "3x3 stride 1" if layer.workload.stride == (1, 1) else "3x3 and 7x7 stride 2"
