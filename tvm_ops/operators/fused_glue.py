"""What stands between two few-bit convolutions: integer sums in, packed codes out, no floats.

Both forms of ``_glue``, per channel. *Threshold*: compares with bounds of the sums' own type.
*Shift*: clip((x - mu + 2^(s-1)) >> s, 0, 2^N - 1), in int32 steps that saturate and never wrap: x -
mu is cut to int32, the rounding shift has all the bits it needs, and its result is cut to codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators import _glue
from tvm_ops.operators._bits import WORDS, packed_shape, unpack_codes
from tvm_ops.operators._bounds import flip_bytes, fold_thresholds, pad_bounds
from tvm_ops.operators._few_bits import (
    GLUE_PARAMETERS,
    GLUES,
    FewBits,
    check_given,
    glue_data,
    glue_shapes,
    split_dtype,
    take_glue,
)
from tvm_ops.operators._fused_glue import Chunks
from tvm_ops.operators._key import parse_fields, require_fields
from tvm_ops.operators._layout import Array

ERROR_BOUND = 0
SUMS = {"s16": "int16", "s32": "int32"}


@dataclass(frozen=True)
class Workload(FewBits):
    """Codes y[n, h, w, c] of ``out_bits`` bits, packed, of sums x[n, h, w, c].

    ``glue`` is thr or shift, ``sums`` s16 or s32, ``word`` u8, u32 or u64. Raises ``InputError``.
    """

    n: int
    h: int
    w: int
    c: int
    glue: str
    out_bits: int
    sums: str
    word: str

    def __post_init__(self) -> None:
        self.require_types()
        self.require_sizes(self.n, self.h, self.w, self.c)
        self.require(self.glue in GLUES, f"glue is one of {', '.join(GLUES)}")
        self.require(self.sums in SUMS, f"sums are {' or '.join(SUMS)}")
        self.require_bits("out_bits", self.out_bits)
        self.require_word(self.word)

    @property
    def dtype(self) -> str:
        return self.sums + self.word

    @property
    def shape_key(self) -> str:
        return f"n{self.n}_h{self.h}_w{self.w}_c{self.c}_{self.glue}{self.out_bits}"

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        sums, word = split_dtype(text, dtype, SUMS)
        values = parse_fields(text, "fused_glue", {f: f for f in ("n", "h", "w", "c", *GLUES)})
        require_fields(text, values, ("n", "h", "w", "c"))
        return cls(**take_glue(text, values, GLUES), sums=sums, word=word)

    @property
    def sums_dtype(self) -> str:
        """Of x."""
        return SUMS[self.sums]

    @property
    def output_dtype(self) -> str:
        return str(np.dtype(WORDS[self.word]))

    @property
    def macs(self) -> int:
        """Sums; nothing is multiplied."""
        return self.n * self.h * self.w * self.c

    @property
    def arguments(self) -> tuple[str, ...]:
        return "x", *GLUE_PARAMETERS[self.glue]

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"x": self.shape, **glue_shapes(self.glue, self.out_bits, self.c)}

    @property
    def array_dtypes(self) -> dict[str, str]:
        return {"x": self.sums_dtype}

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.n, self.h, self.w, self.c

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"x": self.shape, "y": packed_shape(self.shape, self.out_bits, self.word)}


WORKLOADS = [
    # Behind the binary convolutions of ResNet-18 (sums of 9 x 64 to 9 x 512 products).
    *(
        Workload(1, h, h, c, "thr", 1, "s16", "u64")
        for h, c in [(56, 64), (28, 128), (14, 256), (7, 512)]
    ),
    Workload(1, 28, 28, 128, "thr", 2, "s16", "u64"),
    Workload(1, 28, 28, 128, "shift", 2, "s16", "u64"),
    Workload(1, 28, 28, 128, "shift", 2, "s32", "u64"),
    Workload(1, 28, 28, 128, "thr", 1, "s32", "u64"),
    # Every form, word and number of bits; channels that no byte, vector or word divides.
    Workload(2, 3, 5, 37, "thr", 1, "s16", "u8"),
    Workload(1, 5, 3, 150, "thr", 2, "s16", "u32"),
    Workload(1, 3, 3, 71, "thr", 3, "s32", "u64"),
    Workload(2, 2, 3, 13, "shift", 1, "s32", "u32"),
    Workload(1, 4, 4, 99, "shift", 3, "s16", "u8"),
    Workload(1, 3, 2, 257, "shift", 2, "s32", "u64"),
    Workload(1, 1, 1, 1, "thr", 1, "s32", "u8"),
]


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded sums and parameters; among the sums are the ends of their type and zeros."""
    rng = np.random.default_rng(seed)
    info = np.iinfo(w.sums_dtype)
    largest = 1000 if w.sums == "s16" else 100_000
    x = rng.integers(-largest, largest, w.shape, endpoint=True).astype(w.sums_dtype)
    ends = rng.random(w.shape)
    x[ends < 0.01], x[ends > 0.99] = info.min, info.max
    return {"x": x, **glue_data(rng, w.glue, w.out_bits, w.c, largest)}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, h, w, c]. Raises as ``pack``, but any sums and shifts are exact."""
    check_given(w, arrays, all_of_them=True)
    return _glue.glue_codes(w.glue, arrays["x"], arrays, w.out_bits)


def check_range(w: Workload, mu: Array, shift: Array) -> None:
    """Raises ``InputError``, naming the first channel, where the shift form's steps are not exact.

    Let D = x - mu, r(D) = (D + 2^(s-1)) >> s. The kernel has r(min(max(D, -2^31), 2^31 - 1)), whose
    shift has as many bits as it needs. Where D < -2^31 both r are below 0: code 0. Where D > 2^31 -
    1, both are at least r(2^31 - 1) = 2^(31-s) (2^31 - 1 for s = 0): the top code 2^N - 1, as long
    as 2^(31-s) >= 2^N - 1. So every x is exact for s <= 31 - N, and for s = 31 with N = 1; for
    larger s those channels are whose D does not pass 2^31 - 1 for the largest x of its type.
    """
    top, largest = 2**w.out_bits - 1, int(np.iinfo(w.sums_dtype).max)
    saturated = np.left_shift(1, 31 - shift.astype(np.int64))
    wrong = (saturated < top) & (largest - mu.astype(np.int64) > 2**31 - 1)
    if wrong.any():
        channel = int(np.argwhere(wrong)[0][0])
        raise InputError(
            f"mu: channel {channel} has {mu[channel]} with shift {shift[channel]}: x - mu may pass "
            f"2^31 - 1, which is exact for shifts up to {31 - w.out_bits} only"
        )


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """What the kernel takes of those that are given; channels padded to chunks.

    thresholds and signs become bounds[level, c], of x's type, and flips[plane, c / 8] bytes; mu and
    shift are int32[c]. Raises ``InputError`` that names the channel.
    """
    check_given(w, arrays)
    chunks = Chunks.of(w, knobs)
    packed = {"x": np.ascontiguousarray(arrays["x"])} if "x" in arrays else {}
    if "thresholds" in arrays:
        thresholds, signs = arrays["thresholds"], arrays["signs"]
        bounds, flips = fold_thresholds(thresholds, signs, w.out_bits, w.sums_dtype)
        bounds, flips = pad_bounds(bounds, flips, chunks.padded)
        packed |= {"bounds": bounds, "flips": flip_bytes(flips, w.out_bits)}
    if "mu" in arrays:
        mu, shift = arrays["mu"], arrays["shift"]
        check_range(w, mu, shift)
        unused = (0, chunks.padded - w.c)
        # No sum is above 2^31 - 1: code 0.
        packed["mu"] = np.pad(mu.astype(np.int32), unused, constant_values=2**31 - 1)
        packed["shift"] = np.pad(shift.astype(np.int32), unused)
    return packed


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return {
        "x": "n h w c", "bounds": "level c", "flips": "plane c/8", "mu": "c", "shift": "c",
        "y": "n h w plane word",
    }  # fmt: skip


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes uint8[n, h, w, c]."""
    return unpack_codes(y.reshape(w.kernel_shapes["y"]), w.c)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of x, the parameters as ``pack`` makes them, and y; blocks ``chunk``, ``rest``.

    Each is there if there are such channels.
    """
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    c = Chunks.of(w, knobs)
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = {"x": T.arg("x", T.buffer((c.total, c.channels), c.sums))}
        for name, (shape, dtype) in c.parameters.items():
            buffers[name] = T.arg(name, T.buffer(shape, dtype))
        packed = packed_shape((c.total, c.channels), c.bits, c.word)
        buffers["y"] = T.arg("y", T.buffer(packed, w.output_dtype))
        if c.whole:
            _block(c, "chunk", c.whole, buffers)
        if c.rest:
            _block(c, "rest", 1, buffers)
    return builder.get()


def _block(c: Chunks, name: str, count: int, buffers: dict[str, Any]) -> None:
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    function = c.function(rest=name == "rest")
    with T.grid(count, c.tiles) as indices, T.sblock(name):
        chunk, tile = map(T.axis.spatial, (count, c.tiles), indices)
        pixel = tirx.min(tile * c.pixels, c.total - c.pixels)
        rows = slice(pixel, pixel + c.pixels)
        T.reads(buffers["x"][rows, 0 : c.channels])
        T.writes(buffers["y"][rows, 0 : c.bits, 0 : buffers["y"].shape[-1]])
        T.sblock_attr({"pragma_import_llvm": function.llvm()})
        first = {"x": (pixel, 0), "y": (pixel, 0, 0)}
        pointers = [
            tirx.address_of(buffers[n][first.get(n, (0,) * len(buffers[n].shape))])
            for n in function.arguments
        ]
        T.evaluate(
            tirx.call_extern("int32", function.name, *pointers, *([chunk] * (name == "chunk")))
        )
