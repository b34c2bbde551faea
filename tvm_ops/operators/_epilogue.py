"""Activations: in numpy for the references, in TIR for the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
