"""Dense layer of few-bit codes, with its glue: packed planes in, packed planes out.

y[n, co] of codes x[n, ci] and weights [co, ci] is a 1x1 convolution of an image of one row with n
pixels; it has the convolution's kernels, see ``bitserial_conv2d``. With n = 1 a tile's weights pass
once: each word of x meets 8 channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.operators import _bitserial_pack, _bitserial_reference, bitserial_conv2d
from tvm_ops.operators._bits import WORDS, packed_shape, unpack_codes
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._few_bits import (
    GLUE_PARAMETERS,
    FewBits,
    check_given,
    glue_shapes,
    take_glue,
)
from tvm_ops.operators._key import check_dtype, parse_fields, require_fields
from tvm_ops.operators._layout import Array

ERROR_BOUND = 0
POLARITIES = ("bipolar", "unipolar")


@dataclass(frozen=True)
class Workload(FewBits):
    """y[n, co] of x[n, ci], ci a multiple of 32; fields as ``FewBitWorkload``'s."""

    n: int
    ci: int
    co: int
    a_bits: int = 1
    w_bits: int = 1
    polarity: str = "bipolar"
    glue: str = "thr"
    out_bits: int = 1
    word: str = "u64"

    def __post_init__(self) -> None:
        self.require_types()
        self.require(self.polarity in POLARITIES, f"polarity is one of {', '.join(POLARITIES)}")
        try:
            self.conv  # noqa: B018
        except InputError as error:
            why = str(error).partition(": ")[2]
            raise InputError(f"workload {self.shape_key}: {why}") from None

    @cached_property
    def conv(self) -> FewBitWorkload:
        """The same as a convolution."""
        return bitserial_conv2d.Workload(
            1, self.ci, 1, self.n, self.co, (1, 1), (1, 1), (0, 0), 1,
            self.a_bits, self.w_bits, self.polarity, self.glue, self.out_bits, self.word,
        )  # fmt: skip

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def macs(self) -> int:
        """Multiply-adds of the network, whatever the number of bits."""
        return self.conv.macs

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        return self.conv.macs_per_operation

    @property
    def macs_per_operation_by_core(self) -> dict[str, float]:
        return self.conv.macs_per_operation_by_core

    @property
    def output_dtype(self) -> str:
        return self.conv.output_dtype

    @property
    def arguments(self) -> tuple[str, ...]:
        return "x", "weights", *GLUE_PARAMETERS[self.glue]

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"x": (self.n, self.ci), "weights": (self.co, self.ci)}
        return shapes | glue_shapes(self.glue, self.out_bits, self.co)

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        """x [n, plane, word]; y the same, or sums [n, co]."""
        y = packed_shape((self.n, self.co), self.out_bits, self.word)
        x = packed_shape((self.n, self.ci), self.a_bits, self.word)
        return {"x": x, "y": (self.n, self.co) if self.glue == "acc" else y}

    @property
    def shape_key(self) -> str:
        """``n1_ci1024_co256_a1_w1_bipolar_thr1``."""
        glue = "acc" if self.glue == "acc" else f"{self.glue}{self.out_bits}"
        bits = f"a{self.a_bits}_w{self.w_bits}_{self.polarity}_{glue}"
        return f"n{self.n}_ci{self.ci}_co{self.co}_{bits}"

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, WORDS)
        numbers = {"n": "n", "ci": "ci", "co": "co", "a": "a_bits", "w": "w_bits"}
        glues = {"thr": "thr", "shift": "shift"}
        words = {"polarity": POLARITIES, "acc": ("acc",)}
        values = parse_fields(text, "bitserial_dense", numbers | glues, words=words)
        require_fields(text, values, (*numbers.values(), "polarity"))
        return cls(**take_glue(text, values, GLUE_PARAMETERS), word=dtype)


WORKLOADS = [
    # Part of AlexNet's and VGGNet's, whose 4096 to 4096 take seconds to pack.
    Workload(1, 4096, 512),
    # Batches, ragged sizes, every glue, word and polarity.
    Workload(1, 1024, 256),
    Workload(64, 1024, 256),
    Workload(7, 96, 50, a_bits=2, glue="shift", out_bits=2, word="u32"),
    Workload(1, 32, 3, word="u8"),
    Workload(33, 160, 37, 3, 2, "unipolar", out_bits=3, word="u8"),
    Workload(2, 4096, 10, a_bits=3, w_bits=2, glue="acc", out_bits=0),
    Workload(5, 64, 21, polarity="unipolar", glue="acc", out_bits=0, word="u32"),
]


def _as_conv(w: Workload, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays in the convolution's shapes."""
    shapes = w.conv.array_shapes
    return {name: array.reshape(shapes[name]) for name, array in arrays.items()}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, co], or sums y in ``output_dtype``; numpy only. Raises as ``pack``."""
    check_given(w, arrays, all_of_them=True)
    return _bitserial_reference.reference(w.conv, _as_conv(w, arrays)).reshape(w.n, w.co)


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded arrays for ``w.arguments``."""
    found = _bitserial_reference.data(w.conv, seed)
    return {name: array.reshape(w.array_shapes[name]) for name, array in found.items()}


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return {"x": "n plane word", "y": "n co" if w.glue == "acc" else "n plane word"}


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """What the kernel takes, of those of the arrays that are given; see ``_bitserial_pack``."""
    check_given(w, arrays)
    packed = _bitserial_pack.pack(w.conv, bitserial_conv2d.plan(w.conv, knobs), _as_conv(w, arrays))
    if "x" in packed:
        packed["x"] = packed["x"].reshape(w.kernel_shapes["x"])
    return packed


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes uint8[n, co] or sums of what the kernel wrote."""
    y = y.reshape(w.kernel_shapes["y"])
    return y if w.glue == "acc" else unpack_codes(y, w.co)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The convolution's PrimFunc."""
    return bitserial_conv2d.compute(w.conv, knobs)
