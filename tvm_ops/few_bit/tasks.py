"""Which task is a layer of a few-bit network, and what takes its place without an optimisation.

The first convolution and the last layer, the classifier, stay float32, as they do in every
published network of this kind; all others are few-bit tasks, whose glue makes as many bits as they
read. In front of them the first layer's output is packed once, by ``bitpack``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tvm_ops.networks import Layer, layers
from tvm_ops.operators import bitpack, bitserial_conv2d, bitserial_dense, fused_glue
from tvm_ops.operators._bitserial import GROUP
from tvm_ops.targets import Target
from tvm_ops.task import Knobs, Task
from tvm_ops.template import default_knobs

WORD = "u64"


@dataclass(frozen=True)
class Precision:
    """Bits of activations and what their codes mean; weights have one bit."""

    a_bits: int
    polarity: str

    @property
    def name(self) -> str:
        """``1 bit unipolar``."""
        return f"{self.a_bits} bit{'s' if self.a_bits > 1 else ''} {self.polarity}"


ONE_BIT = Precision(1, "unipolar")
PRECISIONS = (
    ONE_BIT,
    Precision(2, "unipolar"),
    Precision(3, "unipolar"),
    Precision(1, "bipolar"),
    Precision(2, "bipolar"),
)


@dataclass(frozen=True)
class Kernel:
    """A task with knobs, None for the best record's or the default's."""

    task: Task
    knobs: Knobs | None = None


def float_layers(network: str) -> tuple[Layer, Layer]:
    """The first convolution and the classifier. Raises ``InputError`` for an unknown network."""
    all_layers = layers(network)
    return all_layers[0], all_layers[-1]


def binarized(network: str) -> list[Layer]:
    """All others, in their order. Raises ``InputError`` for an unknown network."""
    return layers(network)[1:-1]


def few_bit_task(layer: Layer, precision: Precision, target: Target) -> Task:
    """The convolution or dense layer with thresholds.

    Channels that are no multiple of 32 (SqueezeNet's 16 and 48) are rounded up: the words of x are
    the same, its codes there are 0, and what they add to a sum is a constant of the thresholds.
    """
    w = layer.workload
    ci = -(-w.ci // GROUP) * GROUP
    bits: dict[str, Any] = {
        "a_bits": precision.a_bits, "w_bits": 1, "polarity": precision.polarity, "glue": "thr",
        "out_bits": precision.a_bits, "word": WORD,
    }  # fmt: skip
    if layer.operator == "dense":
        return Task("bitserial_dense", bitserial_dense.Workload(w.n, ci, w.co, **bits), target)
    window: dict[str, Any] = {
        "kernel": w.kernel,
        "stride": w.stride,
        "pad": w.pad,
        "groups": w.groups,
    }
    workload = bitserial_conv2d.Workload(w.n, ci, w.h, w.w, w.co, **window, **bits)
    return Task("bitserial_conv2d", workload, target)


def packing_task(network: str, precision: Precision, target: Target) -> Task:
    """Quantizes and packs what the first binarized layer reads: float32, after the pooling."""
    w = binarized(network)[0].workload
    packed = bitpack.Workload(w.n, w.h, w.w, w.ci, precision.a_bits, "tensor", "f32", WORD)
    return Task("bitpack", packed, target)


ABLATION = (
    "all",
    "without packed output",
    "without fused glue",
    "without register tiling",
    "without vectorization",
    "without fast popcount",
)
"""Each also without what those before are without."""
_SCALAR = ("-vectorize-loops:bool=false", "-vectorize-slp:bool=false")


def ablated(task: Task, step: int) -> Iterator[Kernel]:
    """The kernels of one layer at a step of ``ABLATION``, one after the other.

    Without packed output a ``bitpack`` of the codes as bytes comes behind; without fused glue the
    layer writes its sums, and ``fused_glue`` makes codes of them. Then plain loops take the place
    of the register tile, scalar ones that of vectors, shifts and adds that of the instruction. No
    step has tuned knobs, which not all have.
    """
    shape, target, bits = _output(task), task.target, task.workload.out_bits
    fused = step < ABLATION.index("without fused glue")
    workload = task.workload if fused else replace(task.workload, glue="acc", out_bits=0)
    yield _layer_kernel(replace(task, workload=workload), step)
    if not fused:
        sums = "s16" if workload.output_dtype == "int16" else "s32"
        glue = fused_glue.Workload(*shape, "thr", bits, sums, WORD)
        yield _untuned(Task("fused_glue", glue, target))
    if step > 0:
        packed = bitpack.Workload(*shape, bits, "tensor", "s8", WORD)
        yield _untuned(Task("bitpack", packed, target))


def _untuned(task: Task) -> Kernel:
    return Kernel(task, default_knobs(task))


def _layer_kernel(task: Task, step: int) -> Kernel:
    if step < ABLATION.index("without register tiling"):
        return _untuned(task)
    scalar = step >= ABLATION.index("without vectorization")
    popcount = "cnt" if step < ABLATION.index("without fast popcount") else "swar"
    if scalar:  # LLVM makes vectors of scalar loops by itself, the same as ours
        options = (*task.target.llvm_options, *_SCALAR)
        task = replace(task, target=replace(task.target, llvm_options=options))
    return Kernel(task, {"sketch": "plain", "vectorize": not scalar, "popcount": popcount})


def _output(task: Task) -> tuple[int, int, int, int]:
    """[n, h, w, co]; a dense layer's has one pixel."""
    w: Any = task.workload
    return (w.n, 1, 1, w.co) if task.operator == "bitserial_dense" else w.output_shape


def knobs_of(kernel: Kernel) -> Knobs:
    """Those given, or the template's default."""
    return default_knobs(kernel.task) if kernel.knobs is None else kernel.knobs
