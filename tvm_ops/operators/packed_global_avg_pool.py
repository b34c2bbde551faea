"""The mean over an image's pixels of packed codes' values, in float32.

Codes are summed up as integers, exactly; then y = float32(sum of values) / float32(h w), one
division. The sum is below 2^24, so that y is the float32 that is nearest to the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators._bits import (
    POLARITIES,
    WORDS,
    packed_shape,
    values,
)
from tvm_ops.operators._few_bits import FewBits
from tvm_ops.operators._key import check_dtype, parse_fields, require_fields
from tvm_ops.operators._layout import Array
from tvm_ops.operators._packed import check_tensors, pack_tensors, pieces, plane_bytes
from tvm_ops.operators._pool_sums import PoolSums

ERROR_BOUND = 0
_SIZES = ("n", "h", "w", "c")
_EXACT = 1 << 24  # below it each integer is a float32


@dataclass(frozen=True)
class Workload(FewBits):
    """y float32[n, c] of x[n, h, w, plane, word], ``a_bits`` planes. Raises ``InputError``."""

    n: int
    h: int
    w: int
    c: int
    a_bits: int
    polarity: str
    word: str

    def __post_init__(self) -> None:
        self.require_types()
        self.require_sizes(self.n, self.h, self.w, self.c)
        self.require_bits("a_bits", self.a_bits)
        self.require_polarity(self.polarity)
        self.require_word(self.word)
        largest = self.h * self.w * (2**self.a_bits - 1)
        self.require(
            largest < _EXACT,
            f"every channel's sum may reach {largest}; below {_EXACT} it is exact in float32",
        )

    @property
    def macs(self) -> int:
        """Codes that are summed up."""
        return self.n * self.h * self.w * self.c

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        """Three operations for each plane of 16 channels."""
        return 16 / (3 * self.a_bits)

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def output_dtype(self) -> str:
        return "float32"

    @property
    def shape_key(self) -> str:
        sizes = [f"{name}{getattr(self, name)}" for name in _SIZES]
        return "_".join([*sizes, f"a{self.a_bits}", self.polarity])

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, WORDS)
        numbers = {name: name for name in _SIZES} | {"a": "a_bits"}
        words = {"polarity": POLARITIES}
        found = parse_fields(text, "packed_global_avg_pool", numbers, words=words)
        require_fields(text, found, (*_SIZES, "a_bits", "polarity"))
        return cls(**found, word=dtype)

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("x",)

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"x": (self.n, self.h, self.w, self.c)}

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        x = packed_shape((self.n, self.h, self.w, self.c), self.a_bits, self.word)
        return {"x": x, "y": (self.n, self.c)}


WORKLOADS = [
    Workload.parse(key, word)
    for key, word in [
        # ResNet-18's and SqueezeNet's ends.
        ("n1_h7_w7_c512_a1_bipolar", "u64"),
        ("n1_h7_w7_c512_a2_unipolar", "u64"),
        ("n1_h12_w12_c1000_a1_unipolar", "u64"),
        # Sums of a byte, just beyond it, beyond 16 bits; all words; channels that nothing divides.
        ("n2_h3_w5_c37_a1_bipolar", "u8"),
        ("n1_h16_w16_c150_a1_unipolar", "u32"),
        ("n2_h5_w8_c71_a3_bipolar", "u64"),
        ("n1_h110_w90_c13_a3_unipolar", "u8"),
        ("n1_h1_w1_c1_a2_bipolar", "u32"),
    ]
]


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded codes; some channels have the same code everywhere."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2**w.a_bits, w.array_shapes["x"], dtype=np.uint8)
    x[..., 3::7] = 2**w.a_bits - 1
    x[..., 4::7] = 0
    return {"x": x}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """float32[n, c]. Raises as ``pack``."""
    check_tensors(w, arrays, all_of_them=True)
    sums = values(arrays["x"], w.a_bits, w.polarity).sum(axis=(1, 2))
    return np.asarray(sums.astype(np.float32) / np.float32(w.h * w.w))


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """x packed; raises ``InputError`` that names the channel."""
    return pack_tensors(w, arrays)


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return {"x": "n h w plane word", "y": "n c"}


def unpack_output(w: Workload, y: Array) -> Array:
    """float32[n, c]."""
    return y.reshape(w.n, w.c)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of x and y; a block ``piece_FIRST_BYTE`` for whole vectors and smaller ones."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    plane = plane_bytes(w.c, w.word)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(w.kernel_shapes["x"], str(np.dtype(WORDS[w.word]))))
        y = T.arg("y", T.buffer((w.n, w.c), "float32"))
        cut = [(first, size) for first, size in pieces(plane) if 8 * first < w.c]
        whole = [first for first, size in cut if 8 * (first + size) <= w.c and size == cut[0][1]]
        if whole:
            _piece(w, knobs, (0, cut[0][1], len(whole)), x, y)
        for first, size in cut[len(whole) :]:
            _piece(w, knobs, (first, size, 1), x, y)
    return builder.get()


def _piece(w: Workload, knobs: dict[str, Any], piece: tuple[int, int, int], x: Any, y: Any) -> None:
    """``count`` neighbouring pieces of ``size`` bytes."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    first, size, count = piece
    pixels, bipolar, channels = w.h * w.w, w.polarity == "bipolar", min(8 * size, w.c - 8 * first)
    function = PoolSums(
        pixels, w.a_bits, plane_bytes(w.c, w.word), size, channels, 2 if bipolar else 1,
        -pixels * (2**w.a_bits - 1) if bipolar else 0, knobs["unroll"],
    ).function()  # fmt: skip
    with T.grid(w.n, count) as indices, T.sblock(f"piece_{first}"):
        vn, vp = map(T.axis.spatial, (w.n, count), indices)
        T.reads(x[(vn, *(slice(0, s) for s in x.shape[1:]))])
        T.writes(y[vn, 0 : w.c])
        work = w.n * count * size * pixels * w.a_bits
        T.sblock_attr({"pragma_import_llvm": function.llvm(), "work": work})
        pointers = [tirx.address_of(x[vn, 0, 0, 0, 0]), tirx.address_of(y[vn, 0])]
        T.evaluate(tirx.call_extern("int32", function.name, *pointers, first + vp * size))
