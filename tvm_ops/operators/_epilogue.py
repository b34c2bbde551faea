"""Activations: in numpy for the references, in TIR for the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIVATIONS = ("none", "relu", "relu6", "hswish")


def activate(name: str, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """none, relu, relu6, and hswish = y relu6(y + 3) / 6 (MobileNetV3, section 5.2)."""
    if name == "relu":
        return np.maximum(y, 0)
    if name == "relu6":
        return np.clip(y, 0, 6)
    if name == "hswish":
        return y * np.clip(y + 3, 0, 6) / 6
    return y


def activate_tir(name: str, y: Any) -> Any:
    """The same on a TIR expression of float32."""
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
    return y
