"""A dense layer as the peers' network writers see it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tvm_ops.peers.convolution import Array, Convolution


@dataclass(frozen=True)
class Dense:
    """x[n, ci] with weights[co, ci] and bias[co]; the fields are those of the workload."""

    n: int
    ci: int
    co: int
    activation: str

    @classmethod
    def of(cls, workload: Any) -> Dense:
        return cls(**{field.name: getattr(workload, field.name) for field in fields(cls)})

    def trivial(self) -> Dense:
        """The smallest operator of the same batch: running it takes what any run takes."""
        return Dense(self.n, 1, 1, "none")

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.n, self.ci

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.n, self.co

    def zeros(self) -> dict[str, Array]:
        shapes = {"x": self.input_shape, "weights": (self.co, self.ci), "bias": (self.co,)}
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}

    def as_convolution(self) -> Convolution:
        """The same product as a 1x1 convolution of one pixel, weights [co, ci, 1, 1]."""
        one = (1, 1)
        size = (self.n, self.ci, 1, 1, self.co)
        return Convolution(*size, one, one, (0, 0), one, 1, self.activation)
