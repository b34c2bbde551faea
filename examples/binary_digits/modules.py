"""The two networks of ``network.py`` as PyTorch modules.

Weights and activations are quantized in the forward pass; backward, a straight-through estimator
takes the quantizer for the identity within its range (Hubara et al., "Binarized Neural Networks",
NeurIPS 2016, section 1.3). Batch normalisation uses a batch's statistics while training; afterwards
each operation is a tensor operation of its own, so that each is rounded to float32 by itself, in
the order that ``tvm_ops.fold`` states.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.binary_digits.network import (
    CLASSES,
    EPS,
    FIRST_LARGEST,
    FIRST_STEP,
    Arrays,
    Plan,
)

MOMENTUM = 0.1


def through(value: Tensor, smooth: Tensor) -> Tensor:
    """``value``, with the gradient of ``smooth``."""
    return smooth + (value - smooth).detach()


def binary(w: Tensor) -> Tensor:
    """-1 or +1; the gradient stops where |w| > 1."""
    return through(torch.where(w >= 0, 1.0, -1.0), w.clamp(-1, 1))


def exponent(x: Tensor) -> Tensor:
    """round(log2 x), as ``tvm_ops.fold.power_of_two``: without a logarithm."""
    mantissa, power = torch.frexp(x)
    return power - (mantissa.double() ** 2 < 0.5).to(power.dtype)


def root(x: Tensor) -> Tensor:
    """The nearest float32: PyTorch's own root of a float32 may be the one beside it."""
    return torch.sqrt(x.double()).float()


class BatchNorm(nn.Module):
    """Per channel of NCHW or NC; scales begin with either sign, as a test of what folds them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.randint(0, 2, (channels,)) * 2.0 - 1)
        self.beta = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, y: Tensor) -> Tensor:
        if self.training:
            statistics = self.mean, self.var, self.gamma, self.beta
            return functional.batch_norm(y, *statistics, True, MOMENTUM, EPS)
        multiplier = self.gamma / root(self.var + EPS)
        per = [-1 if axis == 1 else 1 for axis in range(y.dim())]
        return (y - self.mean.view(per)) * multiplier.view(per) + self.beta.view(per)


class ShiftNorm(nn.Module):
    """(Y step 2^-wb - mean) 2^r, mean a multiple of step 2^-wb: see ``fold_shift_norm``."""

    def __init__(self, channels: int, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, y: Tensor, weight_scale: Tensor) -> Tensor:
        """``y`` is of weights -1 and +1 and of codes; ``weight_scale`` [co] is mean|w|."""
        per = (1, -1, 1, 1)
        unit = self.plan.step * torch.exp2(exponent(weight_scale).float())
        scaled = y * through(unit, self.plan.step * weight_scale).view(per)
        mean, var = self.mean, self.var
        if self.training:
            mean, var = scaled.mean((0, 2, 3)), scaled.var((0, 2, 3))
            self.mean.lerp_(mean.detach(), MOMENTUM)
            self.var.lerp_(var.detach(), MOMENTUM)
        limit = self.plan.step * 2**self.plan.bits - unit
        whole = torch.minimum(torch.maximum(torch.round(mean / unit) * unit, -limit), limit)
        rate = 1 / root(var + EPS)
        power = through(torch.exp2(exponent(rate).float()), rate)
        return (scaled - through(whole, mean).view(per)) * power.view(per)


class Network(nn.Module):
    """``Plan`` as modules; ``forward`` gives what each layer gave, by name."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.first = nn.Parameter(torch.randn(plan.first, 1, 3, 3) / 3)
        self.first_norm = BatchNorm(plan.first)
        self.weights = nn.ParameterList()
        self.norms = nn.ModuleList()
        ci = plan.first
        for conv in plan.convs:
            spread = 1 / math.sqrt(9 * ci)
            self.weights.append((torch.rand(conv.co, ci, 3, 3) * 2 - 1) * spread)
            self.norms.append(BatchNorm(conv.co) if plan.bits == 1 else ShiftNorm(conv.co, plan))
            ci = conv.co
        self.dense = nn.Parameter((torch.rand(CLASSES, plan.features) * 2 - 1) * 0.1)
        self.dense_norm = BatchNorm(CLASSES)

    def codes(self, z: Tensor) -> Tensor:
        """Codes as floats, with the quantizer's straight-through gradient."""
        edges, top = self.plan.edges, 2**self.plan.bits - 1
        value = sum((z >= edge).float() for edge in edges)
        smooth = (z + 1) / 2 if self.plan.bits == 1 else z / self.plan.step
        slack = 0.0 if self.plan.bits == 1 else 0.5
        return through(value, smooth.clamp(-slack, top + slack))

    def values(self, codes: Tensor) -> Tensor:
        """What the kernels' sums are of: -1 and +1, or the codes."""
        return 2 * codes - 1 if self.plan.bits == 1 else codes

    def first_weights(self) -> Tensor:
        """Multiples of FIRST_STEP."""
        return (
            torch.round(self.first.clamp(-FIRST_LARGEST, FIRST_LARGEST) / FIRST_STEP) * FIRST_STEP
        )

    def first_codes(self, images: Tensor) -> Tensor:
        quantized = self.first_weights()
        y = functional.conv2d(images[:, None], through(quantized, self.first), padding=1)
        return self.codes(self.first_norm(y))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.first_codes(images)
        outputs = {"first": codes}
        for number, (conv, w, norm) in enumerate(
            zip(self.plan.convs, self.weights, self.norms, strict=True), 1
        ):
            pad = functional.pad(self.values(codes), (1, 1, 1, 1), value=self.plan.pad_value)
            y = functional.conv2d(pad, binary(w), stride=conv.stride)
            z = norm(y) if self.plan.bits == 1 else norm(y, w.abs().mean((1, 2, 3)))
            codes = self.codes(z)
            outputs[f"conv{number}"] = codes
            if conv.pool:
                codes = functional.max_pool2d(codes, 2)
        flat = self.values(codes).permute(0, 2, 3, 1).flatten(1)  # NHWC, as the kernels have it
        outputs["logits"] = self.dense_norm(flat @ binary(self.dense).T)
        return outputs


def parameters(network: Network) -> Arrays:
    """As ``network.load`` gives them."""
    found: dict[str, Tensor] = {"first.weights": network.first_weights()}
    found |= named("first", network.first_norm)
    for number, (w, norm) in enumerate(zip(network.weights, network.norms, strict=True), 1):
        found[f"conv{number}.weights"] = binary(w).permute(0, 2, 3, 1).to(torch.int8)
        if network.plan.bits > 1:
            found[f"conv{number}.weight_scale"] = w.abs().mean((1, 2, 3))
        found |= named(f"conv{number}", norm)
    found["dense.weights"] = binary(network.dense).to(torch.int8)
    found |= named("dense", network.dense_norm)
    return {name: array.detach().contiguous().numpy() for name, array in found.items()}


def named(layer: str, norm: nn.Module) -> dict[str, Tensor]:
    """A normalisation's parameters and statistics."""
    return {f"{layer}.{name}": tensor for name, tensor in norm.state_dict().items()}


def as_kernels_have_it(outputs: dict[str, Tensor]) -> Arrays:
    """Codes uint8[n, h, w, c], and logits."""
    codes = {
        name: output.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy()
        for name, output in outputs.items()
        if name != "logits"
    }
    return codes | {"logits": outputs["logits"].numpy()}
