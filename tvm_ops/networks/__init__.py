"""The layers of image networks at 224x224, batch 1, as they are deployed.

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
from tvm_ops.networks._classic import alexnet, squeezenet, vgg11
from tvm_ops.networks._mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3_large
from tvm_ops.networks._network import Network
from tvm_ops.networks._resnet import (
    RESNET18_BLOCKS,
    RESNET50_BLOCKS,
    basic,
    bottleneck,
    resnet,
)
from tvm_ops.task import task_key

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


NETWORKS: dict[str, Callable[[], Network]] = {
    "resnet18": lambda: resnet(RESNET18_BLOCKS, basic),
    "resnet50": lambda: resnet(RESNET50_BLOCKS, bottleneck),
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_large": mobilenet_v3_large,
    "alexnet": alexnet,
    "vgg11": vgg11,
    "squeezenet": squeezenet,
}
FLOAT = ("resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large")
"""Those whose float32 layers are tuned and compared with the peers' (docs/performance.md)."""
FEW_BIT = ("alexnet", "vgg11", "resnet18", "squeezenet")
"""Those whose few-bit versions are compared with float32 (docs/performance.md)."""


def layers(network: str) -> list[Layer]:
    """The different layers of a network in the order of their first use, and how many there are.

    Raises ``InputError`` naming the known networks.
    """
    if network not in NETWORKS:
        raise InputError(f"unknown network '{network}'; known: {', '.join(NETWORKS)}")
    counts = Counter(NETWORKS[network]().layers)
    return [Layer(operator, w, count, (network,)) for (operator, w), count in counts.items()]


def all_layers(networks: Sequence[str] = FLOAT) -> list[Layer]:
    """The different layers of the networks, each with those that have it."""
    found: dict[str, Layer] = {}
    for name in networks:
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
