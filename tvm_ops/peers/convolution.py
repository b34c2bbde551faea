"""A convolution as the peers' network writers see it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
OPERATORS = ("conv2d", "winograd_conv2d")
"""The operators that are a ``Convolution``: for a library they are the same task."""


@dataclass(frozen=True)
class Convolution:
    """x[n, ci, h, w] with weights[co, ci / groups, kh, kw], bias[co], symmetric ``pad``.

    The fields have the names and meanings of the operators' workloads.
    """

    n: int
    ci: int
    h: int
    w: int
    co: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    activation: str

    @classmethod
    def of(cls, workload: Any) -> Convolution:
        return cls(**{field.name: getattr(workload, field.name) for field in fields(cls)})

    def trivial(self) -> Convolution:
        """The smallest operator of the same batch: running it takes what any run takes."""
        one = (1, 1)
        small = replace(self, ci=1, h=1, w=1, co=1, groups=1, kernel=one, stride=one, dilation=one)
        return replace(small, pad=(0, 0), activation="none")

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.n, self.ci, self.h, self.w

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.n, self.co, self._out(self.h, 0), self._out(self.w, 1)

    def _out(self, size: int, axis: int) -> int:
        reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
        return (size + 2 * self.pad[axis] - reach) // self.stride[axis] + 1

    @property
    def depthwise(self) -> bool:
        """Each input channel is a group of its own (with one or more output channels)."""
        return self.groups == self.ci > 1

    def zeros(self) -> dict[str, Array]:
        """x, weights, bias of zeros."""
        shapes: dict[str, tuple[int, ...]] = {
            "x": self.input_shape,
            "weights": (self.co, self.ci // self.groups, *self.kernel),
            "bias": (self.co,),
        }
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
