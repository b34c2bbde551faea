"""The networks as tasks of tvm_ops: each layer's key, and its parameters folded to integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from examples.binary_digits.network import (
    BRIGHTEST,
    CLASSES,
    EPS,
    FIRST_STEP,
    SIZE,
    Array,
    Arrays,
    Plan,
    of_layer,
)
from tvm_ops.fold import BatchNorm, fold_batch_norm, fold_shift_norm, step_codes
from tvm_ops.operators._accumulator import largest_sum


@dataclass(frozen=True)
class Layer:
    """``result`` is a name of ``network.forward``'s outputs, or says what lies between them."""

    result: str
    key: str
    parameters: Arrays

    @property
    def operator(self) -> str:
        return self.key.split("-")[0]

    def x(self, before: Array) -> Array:
        """What it reads, made of what the layer before gave; the first one reads the images."""
        if self.operator == "conv2d":
            return before[:, None].astype(np.float32)
        if self.operator == "bitpack":
            return np.ascontiguousarray(before.transpose(0, 2, 3, 1))  # from NCHW
        return before.reshape(len(before), -1) if self.operator == "bitserial_dense" else before


def layers(plan: Plan, parameters: Arrays, n: int, word: str) -> Iterator[Layer]:
    """All layers for ``n`` images at a time; the last one's result are the sums of the logits."""
    yield from _first(plan, parameters, n, word)
    size, ci = SIZE, plan.first
    for number, conv in enumerate(plan.convs, 1):
        shape = f"n{n}_ci{ci}_h{size}_w{size}_co{conv.co}_k3_s{conv.stride}_p1"
        form = f"a{plan.bits}_w1_{plan.polarity}_{'thr' if plan.bits == 1 else 'shift'}{plan.bits}"
        weights = {"weights": parameters[f"conv{number}.weights"]}
        glue = _thresholds(plan, parameters, number, ci) if plan.bits == 1 else None
        glue = glue or _shifts(plan, parameters, number)
        yield Layer(f"conv{number}", f"bitserial_conv2d-{shape}_{form}-{word}", weights | glue)
        size, ci = size // conv.stride, conv.co
        if conv.pool:
            shape = f"n{n}_h{size}_w{size}_c{ci}_k2_s2_p0_a{plan.bits}"
            yield Layer(f"pool{number}", f"packed_max_pool2d-{shape}-{word}", {})
            size //= 2
    shape = f"n{n}_ci{plan.features}_co{CLASSES}_a{plan.bits}_w1_{plan.polarity}_acc"
    dense = {"weights": parameters["dense.weights"]}
    yield Layer("sums", f"bitserial_dense-{shape}-{word}", dense)


def _first(plan: Plan, parameters: Arrays, n: int, word: str) -> Iterator[Layer]:
    """Float convolution, and its batch norm as the thresholds of ``bitpack``.

    A channel with a falling scale becomes one that rises: weights, mean and scale change their
    signs, and no rounding differs. Sums are multiples of ``FIRST_STEP``, so thresholds are folded
    as integers of that unit.
    """
    norm, weights = of_layer(parameters, "first"), parameters["first.weights"]
    signs = np.sign(norm["gamma"])
    weights = weights * signs[:, None, None, None]
    rising = norm | {"gamma": norm["gamma"] * signs, "mean": norm["mean"] * signs}
    largest = int(np.abs(weights).sum(axis=(1, 2, 3)).max() * BRIGHTEST / FIRST_STEP)
    batch_norm = BatchNorm(**rising, eps=EPS, scale=np.float32(FIRST_STEP))
    folded = fold_batch_norm(batch_norm, lambda z: step_codes(z, plan.edges), largest, plan.bits)
    shape = f"n{n}_ci1_h{SIZE}_w{SIZE}_co{plan.first}_k3_s1_p1_none"
    given = {"weights": weights, "bias": np.zeros(plan.first, np.float32)}
    yield Layer("first sums", f"conv2d-{shape}-f32", given)
    edges = (folded.thresholds * FIRST_STEP).astype(np.float32)
    shape = f"n{n}_h{SIZE}_w{SIZE}_c{plan.first}_a{plan.bits}_channel"
    yield Layer("first", f"bitpack-{shape}-f32{word}", {"thresholds": edges})


def _thresholds(plan: Plan, parameters: Arrays, number: int, ci: int) -> Arrays:
    norm = BatchNorm(**of_layer(parameters, f"conv{number}"), eps=EPS)
    largest = largest_sum(9 * ci, plan.bits, 1)
    folded = fold_batch_norm(norm, lambda z: step_codes(z, plan.edges), largest, plan.bits)
    return folded._asdict()


def _shifts(plan: Plan, parameters: Arrays, number: int) -> Arrays:
    norm = of_layer(parameters, f"conv{number}")
    return fold_shift_norm(**norm, bits=plan.bits, eps=EPS, step=plan.step)._asdict()
