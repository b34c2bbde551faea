"""What follows an operator's sum: bias, residual, activation; in numpy and in TIR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
ACTIVATIONS = ("none", "relu", "relu6", "hswish", "prelu")


def activate(
    name: str, y: NDArray[np.float64], slope: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """none, relu, relu6, hswish = y relu6(y + 3) / 6 (MobileNetV3, section 5.2), or prelu.

    prelu is y where positive, else slope y (He et al., "Delving Deep into Rectifiers", section
    2.1); ``slope``, which broadcasts to y, is for it alone.
    """
    if name == "relu":
        return np.maximum(y, 0)
    if name == "relu6":
        return np.clip(y, 0, 6)
    if name == "hswish":
        return y * np.clip(y + 3, 0, 6) / 6
    if name == "prelu":
        assert slope is not None
        return np.where(y > 0, y, slope * y)
    return y


def activate_tir(name: str, y: Any, slope: Any = None) -> Any:
    """The same on TIR expressions of float32."""
    from tvm import tirx

    def const(value: float) -> Any:
        return tirx.const(value, "float32")

    if name == "relu":
        return tirx.max(y, const(0))
    if name == "relu6":
        return tirx.min(tirx.max(y, const(0)), const(6))
    if name == "hswish":
        gate = tirx.min(tirx.max(y + const(3), const(0)), const(6))
        return y * gate * const(1 / 6)
    if name == "prelu":  # max and min are one instruction each, a comparison and a choice are two
        return tirx.max(y, const(0)) + slope * tirx.min(y, const(0))
    return y


@dataclass(frozen=True)
class Epilogue:
    """Bias, residual and activation of a kernel in the making, in this order.

    ``bias`` and ``slope`` are buffers over the output's channels, ``residual`` is one of y's shape;
    None where the workload has none.
    """

    activation: str
    bias: Any
    slope: Any = None
    residual: Any = None

    @classmethod
    def arguments(cls, w: Any, channels: Shape, outputs: Shape) -> Epilogue:
        """Declares those of ``w.arguments`` that follow the weights: after them, before y.

        ``channels`` is the shape of bias and slope, ``outputs`` that of residual.
        """
        from tvm.script.ir_builder import tirx as T

        shapes = {"bias": channels, "slope": channels, "residual": outputs}
        names = [name for name in w.arguments if name in shapes]
        return cls(w.activation, **{name: T.arg(name, T.buffer(shapes[name])) for name in names})

    def reads(self, channel: Any, at: Any) -> list[Any]:
        """The regions that a block has to declare; the indices may have slices."""
        regions = [buffer[channel] for buffer in (self.bias, self.slope) if buffer is not None]
        return regions + ([] if self.residual is None else [self.residual[tuple(at)]])

    def value(self, total: Any, channel: Any, at: Any) -> Any:
        """What y gets at the index ``at``, which is of that channel, for the sum ``total``."""
        return self.of_channel(channel)(total, at)

    def of_channel(
        self, channel: Any, bind: Callable[[Any], Any] = lambda value: value
    ) -> Callable[[Any, Any], Any]:
        """``value(total, at)`` for several outputs of a channel.

        ``bind`` names what is read once for all of them, such as T.bind.
        """
        bias = bind(self.bias[channel])
        slope = None if self.slope is None else bind(self.slope[channel])

        def value(total: Any, at: Any) -> Any:
            shifted = total + bias
            if self.residual is not None:
                shifted = shifted + self.residual[tuple(at)]
            return activate_tir(self.activation, shifted, slope)

        return value
