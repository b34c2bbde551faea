"""Two few-bit networks for scikit-learn's digits: their arithmetic in numpy, their layers as tasks.

image 8x8 -> float 3x3 convolution, batch norm, codes -> two binary 3x3 convolutions -> binary dense
layer, batch norm -> logits of ten classes.

``ONE_BIT``: activations -1 and +1, padded with -1; batch norms, which fold to thresholds.
``TWO_BIT``: activations 0, 0.5, 1, 1.5 as codes 0 .. 3, padded with 0; normalised by shifts.

Numbers are chosen so that every sum is exact in float32 whatever its order, and the whole network
is the same bits in PyTorch, in numpy and in the kernels: pixels are 0 .. 16, the first layer's
weights multiples of 2^-8 up to 4, all other sums are of integers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.fold import BatchNorm, power_of_two, step_codes

Array = NDArray[Any]
Arrays = dict[str, Array]

SIZE, CLASSES = 8, 10
BRIGHTEST = 16  # of a pixel
FIRST_STEP = 2.0**-8  # of the first layer's weights
FIRST_LARGEST = 4.0
EPS = 1e-5
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Conv:
    """A binary 3x3 convolution with pads of 1; ``pool``: then the maximum of 2x2 codes."""

    co: int
    stride: int = 1
    pool: bool = False


@dataclass(frozen=True)
class Plan:
    """A network: ``first`` channels of the float convolution, then ``convs``, then dense."""

    name: str
    bits: int
    first: int
    convs: tuple[Conv, ...]
    step: float = 1.0
    """What one unit of a code is worth where codes are unipolar."""

    @property
    def polarity(self) -> str:
        return "bipolar" if self.bits == 1 else "unipolar"

    @property
    def edges(self) -> list[float]:
        """A code is how many of them z reaches: its sign, or z / step rounded half up."""
        top = 2**self.bits - 1
        return [0.0] if self.bits == 1 else [self.step * (code - 0.5) for code in range(1, top + 1)]

    @property
    def pad_value(self) -> int:
        """Code 0."""
        return -1 if self.bits == 1 else 0

    @property
    def features(self) -> int:
        """What the dense layer reads."""
        size = SIZE
        for conv in self.convs:
            size //= conv.stride * (2 if conv.pool else 1)
        return size * size * self.convs[-1].co

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the binary layers: [co, kh, kw, ci] and [co, ci]."""
        inputs = [self.first, *(conv.co for conv in self.convs)]
        shapes: dict[str, tuple[int, ...]] = {
            f"conv{number}": (conv.co, 3, 3, inputs[number - 1])
            for number, conv in enumerate(self.convs, 1)
        }
        return shapes | {"dense": (CLASSES, self.features)}


ONE_BIT = Plan("one_bit", 1, 32, (Conv(64, pool=True), Conv(64)))
TWO_BIT = Plan("two_bit", 2, 32, (Conv(32, stride=2), Conv(32)), step=0.5)
PLANS = (ONE_BIT, TWO_BIT)


def save(plan: Plan, parameters: Arrays) -> None:
    """Weights of binary layers as bits (1 is +1, the least significant first), others as given."""
    stored = {
        name: np.packbits(array > 0, bitorder="little") if name in binary_names(plan) else array
        for name, array in parameters.items()
    }
    np.savez_compressed(FOLDER / f"{plan.name}.npz", **stored)


def load(plan: Plan) -> Arrays:
    """A network's parameters: ``LAYER.NAME``, binary weights as int8 -1 and +1, others float32."""
    with np.load(FOLDER / f"{plan.name}.npz") as stored:
        parameters = dict(stored)
    for layer, shape in plan.weight_shapes.items():
        bits = np.unpackbits(
            parameters[f"{layer}.weights"], count=int(np.prod(shape)), bitorder="little"
        )
        parameters[f"{layer}.weights"] = (2 * bits.astype(np.int8) - 1).reshape(shape)
    return parameters


def binary_names(plan: Plan) -> set[str]:
    """The parameters that are stored as bits."""
    return {f"{layer}.weights" for layer in plan.weight_shapes}


def load_test_set() -> tuple[Array, Array]:
    """Images uint8[n, 8, 8] of 0 .. 16 and labels uint8[n]: what the networks have not seen."""
    with np.load(FOLDER / "test_set.npz") as stored:
        return stored["images"], stored["labels"]


def of_layer(parameters: Arrays, layer: str) -> Arrays:
    """A layer's parameters without its weights."""
    split = {name: name.split(".") for name in parameters}
    return {
        own: parameters[name]
        for name, (owner, own) in split.items()
        if owner == layer and own != "weights"
    }


def digest(array: Array) -> str:
    """SHA-256 of the elements, little-endian and in C's order."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(plain.tobytes()).hexdigest()


def window_sums(x: Array, weights: Array, stride: int, pad_value: int) -> Array:
    """Float32[n, oh, ow, co] of x [n, h, w, ci] and weights [co, 3, 3, ci]; pads of 1."""
    padded = np.pad(
        x.astype(np.float32),
        [(0, 0), (1, 1), (1, 1), (0, 0)],
        constant_values=pad_value,
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    taken = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # n oh ow kh kw ci
    columns = taken.reshape(*taken.shape[:3], -1)
    return columns @ weights.reshape(len(weights), -1).astype(np.float32).T


def values(plan: Plan, codes: Array) -> Array:
    """What the kernels sum: -1 and +1, or the codes."""
    return 2 * codes.astype(np.int8) - 1 if plan.bits == 1 else codes


def pooled(codes: Array) -> Array:
    """The largest of 2x2."""
    n, h, w, c = codes.shape
    return codes.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def shift_norm(plan: Plan, sums: Array, weight_scale: Array, mean: Array, var: Array) -> Array:
    """What ``training.ShiftNorm`` computes, in float32."""
    unit = np.float32(plan.step) * np.exp2(power_of_two(weight_scale)).astype(np.float32)
    limit = np.float32(plan.step * 2**plan.bits) - unit
    whole = np.clip(np.round(mean / unit) * unit, -limit, limit)
    rate = np.float32(1) / np.sqrt(var + np.float32(EPS))
    return np.asarray((sums * unit - whole) * np.exp2(power_of_two(rate)).astype(np.float32))


def forward(plan: Plan, parameters: Arrays, images: Array) -> Arrays:
    """Codes uint8 [n, h, w, c] after ``first`` and each ``convN`` (before pooling), and logits.

    The trained network's own arithmetic: float32, in its order.
    """
    first = parameters["first.weights"].transpose(0, 2, 3, 1)
    norm = BatchNorm(**of_layer(parameters, "first"), eps=EPS)
    z = norm(window_sums(images[..., None], first, 1, 0))
    codes = step_codes(z, plan.edges)
    outputs = {"first": codes}
    for number, conv in enumerate(plan.convs, 1):
        layer = f"conv{number}"
        weights, norm = parameters[f"{layer}.weights"], of_layer(parameters, layer)
        sums = window_sums(values(plan, codes), weights, conv.stride, plan.pad_value)
        z = BatchNorm(**norm, eps=EPS)(sums) if plan.bits == 1 else shift_norm(plan, sums, **norm)
        codes = outputs[layer] = step_codes(z, plan.edges)
        codes = pooled(codes) if conv.pool else codes
    flat = values(plan, codes).reshape(len(codes), -1).astype(np.float32)
    outputs["logits"] = logits(parameters, flat @ parameters["dense.weights"].T.astype(np.float32))
    return outputs


def logits(parameters: Arrays, sums: Array) -> Array:
    """Float32[n, 10] of the dense layer's integer sums."""
    return BatchNorm(**of_layer(parameters, "dense"), eps=EPS)(sums)
