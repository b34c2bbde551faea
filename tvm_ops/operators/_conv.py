"""What the convolutions share: the workload, its key, layouts, the numpy reference, test data."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tvm_ops.errors import InputError
from tvm_ops.operators._epilogue import ACTIVATIONS, activate
from tvm_ops.operators._key import Pair, check_dtype, pair, parse_fields, require_fields
from tvm_ops.operators._layout import Array, blocked_shape, check_arrays, from_blocks, to_blocks

Float64 = NDArray[np.float64]

_PAIRS = {"k": "kernel", "s": "stride", "p": "pad", "d": "dilation", "c": "block"}
BLOCKS = (1, 4, 8, 16)
MAX_SIZE = 1 << 16
MAX_ELEMENTS = 1 << 28  # of one tensor, 1 GiB: kernels index with 32 bits, padding included


@dataclass(frozen=True)
class ConvWorkload:
    """A 2-d convolution of x[n, ci, h, w] with weights[co, ci / groups, kh, kw], plus bias[co].

    ``pad`` is symmetric, (rows, columns). The result is y[n, co, oh, ow] after ``activation``
    (none, relu, relu6, hswish, prelu with slope[co]), which is relu in a key that names none. With
    ``residual`` an array of y's shape is added before the activation.

    ``block`` is the layout, as numbers of channels that lie together in x and in y (and residual):
    1 is NCHW; c above 1 is NCHWc, array[n, channel / c, row, column, c], with zeros in the last
    channels where c does not divide them.
    """

    n: int
    ci: int
    h: int
    w: int
    co: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    pad: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    activation: str = "relu"
    residual: bool = False
    block: Pair = (1, 1)
    dtype: ClassVar[str] = "f32"
    output_dtype: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        sizes = (self.n, self.ci, self.h, self.w, self.co, *self.kernel, *self.pad)
        self._require(max(sizes) <= MAX_SIZE, f"no size may be above {MAX_SIZE}")
        self._require(
            min(self.n, self.ci, self.h, self.w, self.co) >= 1, "sizes must be at least 1"
        )
        self._require(
            min(*self.kernel, *self.stride, *self.dilation, self.groups) >= 1,
            "kernel, stride, dilation and groups must be at least 1",
        )
        self._require(min(self.pad) >= 0, "padding must not be negative")
        self._require(
            all(c in BLOCKS for c in self.block),
            f"channels lie together in blocks of {', '.join(map(str, BLOCKS))}, not {self.block}",
        )
        self._require(
            self.ci % self.groups == 0 and self.co % self.groups == 0,
            f"groups {self.groups} must divide ci {self.ci} and co {self.co}",
        )
        self._require(
            self.activation in ACTIVATIONS,
            f"activation '{self.activation}' is none of {', '.join(ACTIVATIONS)}",
        )
        for size, k, p, d in zip(
            (self.h, self.w), self.kernel, self.pad, self.dilation, strict=True
        ):
            self._require(
                (k - 1) * d + 1 <= size + 2 * p,
                f"kernel {k} (dilation {d}) is larger than the padded input {size + 2 * p}",
            )

        for shape in (self.input_shape, self.weights_shape, self.output_shape):
            self._require(prod(shape) <= MAX_ELEMENTS, f"a tensor of shape {shape} is too large")

    def _require(self, fits: bool, why: str) -> None:
        if not fits:
            raise InputError(f"workload {self.shape_key}: {why}")

    @property
    def out_h(self) -> int:
        return self._out(self.h, 0)

    @property
    def out_w(self) -> int:
        return self._out(self.w, 1)

    def _out(self, size: int, axis: int) -> int:
        reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
        return (size + 2 * self.pad[axis] - reach) // self.stride[axis] + 1

    @property
    def is_pointwise(self) -> bool:
        """Whether each pixel of the output is made of one of the input, without padding."""
        return self.kernel == (1, 1) and self.pad == (0, 0)

    @property
    def macs(self) -> int:
        """Multiply-adds of the plain algorithm, whatever the kernel does instead."""
        taps = self.kernel[0] * self.kernel[1] * self.ci // self.groups
        return self.n * self.co * self.out_h * self.out_w * taps

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.n, self.ci, self.h, self.w

    @property
    def weights_shape(self) -> tuple[int, int, int, int]:
        return self.co, self.ci // self.groups, *self.kernel

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.n, self.co, self.out_h, self.out_w

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
        """NCHW, OIHW and [co] shapes of ``arguments``."""
        shapes: dict[str, tuple[int, ...]] = {
            "x": self.input_shape,
            "weights": self.weights_shape,
            "bias": (self.co,),
            "slope": (self.co,),
            "residual": self.output_shape,
        }
        return {name: shapes[name] for name in self.arguments}

    @property
    def kernel_input_shape(self) -> tuple[int, ...]:
        """x as the kernel takes it."""
        return blocked_shape(self.input_shape, self.block[0])

    @property
    def kernel_output_shape(self) -> tuple[int, ...]:
        """y, and residual, in the kernel."""
        return blocked_shape(self.output_shape, self.block[1])

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of x, residual and y: those that do not depend on knobs."""
        y = self.kernel_output_shape
        return {"x": self.kernel_input_shape, "residual": y, "y": y}

    @property
    def shape_key(self) -> str:
        """``n1_ci64_h56_w56_co64_k3_s1_p1``, then what is not the default.

        ``_d2`` dilation, ``_g4`` groups, ``_none`` activation, ``_res`` residual, ``_c4`` block (or
        ``_c1x4``: x, y).
        """
        sizes = [f"n{self.n}", f"ci{self.ci}", f"h{self.h}", f"w{self.w}", f"co{self.co}"]
        pairs = [f"k{pair(self.kernel)}", f"s{pair(self.stride)}", f"p{pair(self.pad)}"]
        rest = [f"d{pair(self.dilation)}"] if self.dilation != (1, 1) else []
        rest += [f"g{self.groups}"] if self.groups != 1 else []
        rest += [self.activation] if self.activation != "relu" else []
        rest += ["res"] if self.residual else []
        rest += [f"c{pair(self.block)}"] if self.block != (1, 1) else []
        return "_".join(sizes + pairs + rest)

    @classmethod
    def parse(cls, text: str, dtype: str = "f32") -> ConvWorkload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, (cls.dtype,))
        sizes = ("n", "ci", "h", "w", "co")
        words = {"activation": ACTIVATIONS, "residual": ("res",)}
        numbers = {name: name for name in sizes} | {"g": "groups"}
        values = parse_fields(text, "a convolution", numbers, _PAIRS, words)
        require_fields(text, values, (*sizes, "kernel", "stride", "pad"))
        return cls(**values | {"residual": "residual" in values})


def unpack_output(w: ConvWorkload, y: Array) -> Array:
    """y[n, co, oh, ow] of what the kernel wrote."""
    return from_blocks(y.reshape(w.kernel_output_shape), w.co)


def pack_shared(w: ConvWorkload, arrays: dict[str, Array]) -> dict[str, Array]:
    """Those of x and residual that are given, in the kernel's layouts; ``check_arrays`` of all."""
    check_arrays(w, arrays)
    blocks = {"x": w.block[0], "residual": w.block[1]}
    given = {name: c for name, c in blocks.items() if name in arrays}
    return {name: to_blocks(arrays[name], c).astype(np.float32) for name, c in given.items()}


def conv_reference(w: ConvWorkload, arrays: dict[str, Array]) -> Float64:
    """y[n, co, oh, ow] in float64 from NCHW, OIHW and [co] arrays; numpy only."""
    x, weights, bias = (arrays[name] for name in ("x", "weights", "bias"))
    (kh, kw), (sh, sw), (dh, dw) = w.kernel, w.stride, w.dilation
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (w.pad[0],) * 2, (w.pad[1],) * 2))
    grouped = weights.astype(np.float64).reshape(
        w.groups, w.co // w.groups, w.ci // w.groups, kh, kw
    )
    split = padded.reshape(w.n, w.groups, w.ci // w.groups, *padded.shape[2:])
    y = np.zeros((w.n, w.groups, w.co // w.groups, w.out_h, w.out_w))
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + (w.out_h - 1) * sh + 1, sh)
            cols = slice(j * dw, j * dw + (w.out_w - 1) * sw + 1, sw)
            taps = split[..., rows, cols]
            y += np.einsum("ngchw,goc->ngohw", taps, grouped[..., i, j], optimize=True)
    y = y.reshape(w.output_shape) + bias.astype(np.float64)[None, :, None, None]
    if w.residual:
        y += arrays["residual"]
    slope = arrays["slope"][None, :, None, None] if w.activation == "prelu" else None
    return activate(w.activation, y, slope)


def conv_data(w: ConvWorkload, seed: int = 0) -> dict[str, Array]:
    """Seeded float32 arrays for ``w.arguments``, in NCHW, OIHW and [co].

    The weights are scaled so that outputs are of size 1; slopes are those of a trained prelu.
    """
    rng = np.random.default_rng(seed)
    fan_in = w.ci // w.groups * w.kernel[0] * w.kernel[1]
    arrays: dict[str, Array] = {
        "x": rng.standard_normal(w.input_shape, np.float32),
        "weights": rng.standard_normal(w.weights_shape, np.float32) / np.float32(np.sqrt(fan_in)),
        "bias": rng.standard_normal(w.co, np.float32),
    }
    if w.activation == "prelu":
        arrays["slope"] = rng.uniform(0, 0.5, w.co).astype(np.float32)
    if w.residual:
        arrays["residual"] = rng.standard_normal(w.output_shape, np.float32)
    return arrays
