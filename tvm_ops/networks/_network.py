"""Writes down a network's layers in their order."""

from __future__ import annotations

from typing import Any

from tvm_ops.operators import conv2d, dense, depthwise_conv2d
from tvm_ops.operators._conv import ConvWorkload

IMAGE, CLASSES = 224, 1000


class Network:
    """The layers in their order; knows the shape of what the next one reads."""

    def __init__(self) -> None:
        self.layers: list[tuple[str, Any]] = []
        self.channels, self.size = 3, IMAGE

    def conv(
        self, co: int, kernel: int, activation: str, stride: int = 1, pad: int | None = None
    ) -> None:
        """``pad`` None: what keeps the size at stride 1."""
        shape = (1, self.channels, self.size, self.size, co)
        window = _window(kernel, stride, pad)
        self._add("conv2d", conv2d.Workload(*shape, **window, activation=activation))

    def depthwise(self, kernel: int, activation: str, stride: int = 1) -> None:
        shape = (1, self.channels, self.size, self.size, self.channels)
        window = _window(kernel, stride, None)
        window |= {"groups": self.channels, "activation": activation}
        workload = depthwise_conv2d.Workload(*shape, **window)
        self._add("depthwise_conv2d", workload)

    def _add(self, operator: str, workload: ConvWorkload) -> None:
        self.layers.append((operator, workload))
        self.channels, self.size = workload.co, workload.out_h

    def flatten(self) -> None:
        """Each pixel's channels become channels of one pixel."""
        self.channels, self.size = self.channels * self.size**2, 1

    def dense(self, co: int, activation: str) -> None:
        """After a global average pooling, or ``flatten``."""
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
        """A pooling that halves the size, rounded down: 2x2, or 3x3 of stride 2."""
        self.size //= 2


def _window(kernel: int, stride: int, pad: int | None) -> dict[str, Any]:
    """The attributes of a workload."""
    pad = kernel // 2 if pad is None else pad
    return {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad, pad)}
