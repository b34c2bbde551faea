"""What is particular to a dense layer: the workload, its key, the numpy reference, test data."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators._conv import MAX_ELEMENTS, MAX_SIZE, Float64
from tvm_ops.operators._epilogue import ACTIVATIONS, activate
from tvm_ops.operators._key import check_dtype, parse_fields, require_fields
from tvm_ops.operators._layout import Array


@dataclass(frozen=True)
class DenseWorkload:
    """y[n, co] = ``activation``(x[n, ci] · weights[co, ci] + bias[co]), float32.

    ``activation`` is none, relu, relu6, hswish or prelu with slope[co]; relu in a key that names
    none. With ``residual`` an array[n, co] is added before the activation. Raises ``InputError``
    for sizes that are no layer's.
    """

    n: int
    ci: int
    co: int
    activation: str = "relu"
    residual: bool = False
    dtype: ClassVar[str] = "f32"
    output_dtype: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        sizes = (self.n, self.ci, self.co)
        self._require(min(sizes) >= 1, "sizes must be at least 1")
        self._require(max(sizes) <= MAX_SIZE, f"no size may be above {MAX_SIZE}")
        self._require(
            self.activation in ACTIVATIONS,
            f"activation '{self.activation}' is none of {', '.join(ACTIVATIONS)}",
        )
        for shape in (self.input_shape, self.weights_shape, self.output_shape):
            self._require(prod(shape) <= MAX_ELEMENTS, f"a tensor of shape {shape} is too large")

    def _require(self, fits: bool, why: str) -> None:
        if not fits:
            raise InputError(f"workload {self.shape_key}: {why}")

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.n * self.ci * self.co

    @property
    def input_shape(self) -> tuple[int, int]:
        return self.n, self.ci

    @property
    def weights_shape(self) -> tuple[int, int]:
        return self.co, self.ci

    @property
    def output_shape(self) -> tuple[int, int]:
        return self.n, self.co

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the kernel takes, in this order; then y."""
        slope = ("slope",) if self.activation == "prelu" else ()
        return "x", "weights", "bias", *slope, *(("residual",) if self.residual else ())

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of ``arguments`` that are a trained network's."""
        return tuple(n for n in self.arguments if n in ("weights", "bias", "slope"))

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of ``arguments`` as the reference takes them."""
        shapes: dict[str, tuple[int, ...]] = {"x": self.input_shape, "weights": self.weights_shape}
        shapes |= {"bias": (self.co,), "slope": (self.co,), "residual": self.output_shape}
        return {name: shapes[name] for name in self.arguments}

    @property
    def shape_key(self) -> str:
        """``n1_ci2048_co1000``; then what is not the default: ``_none`` activation, ``_res``."""
        rest = [self.activation] if self.activation != "relu" else []
        rest += ["res"] if self.residual else []
        return "_".join([f"n{self.n}", f"ci{self.ci}", f"co{self.co}", *rest])

    @classmethod
    def parse(cls, text: str, dtype: str = "f32") -> DenseWorkload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, (cls.dtype,))
        sizes = ("n", "ci", "co")
        words = {"activation": ACTIVATIONS, "residual": ("res",)}
        values = parse_fields(text, "a dense layer", {n: n for n in sizes}, words=words)
        require_fields(text, values, sizes)
        return cls(**values | {"residual": "residual" in values})


def dense_reference(w: DenseWorkload, arrays: dict[str, Array]) -> Float64:
    """y[n, co] in float64 from x[n, ci], weights[co, ci] and [co] arrays; numpy only."""
    x, weights, bias = (arrays[name].astype(np.float64) for name in ("x", "weights", "bias"))
    y = x @ weights.T + bias
    if w.residual:
        y += arrays["residual"]
    return activate(w.activation, y, arrays.get("slope"))


def dense_data(w: DenseWorkload, seed: int = 0) -> dict[str, Array]:
    """Seeded float32 arrays for ``w.arguments``.

    The weights are scaled so that outputs are of size 1; slopes are those of a trained prelu.
    """
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {
        "x": rng.standard_normal(w.input_shape, np.float32),
        "weights": rng.standard_normal(w.weights_shape, np.float32) / np.float32(np.sqrt(w.ci)),
        "bias": rng.standard_normal(w.co, np.float32),
    }
    if w.activation == "prelu":
        arrays["slope"] = rng.uniform(0, 0.5, w.co).astype(np.float32)
    if w.residual:
        arrays["residual"] = rng.standard_normal(w.output_shape, np.float32)
    return arrays
