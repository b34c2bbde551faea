"""Quantizes x[n, h, w, c] to codes of 1 to 3 bits by thresholds, and packs their bits in planes.

The code of an x is how many of its thresholds it reaches: #{j: x >= t_j}. A NaN reaches none: its
code is 0. Planes, words and the order of bits are those of ``_bits``; y is [n, h, w, plane, word],
and the bits past the last channel are zero.

Pixels are cut into blocks; in each, groups of channels go one after the other over its pixels, with
the thresholds of a group in registers (``_bitpack_tile``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators._bitpack_tile import SIZES, Tile
from tvm_ops.operators._bits import WORDS, packed_shape, unpack_codes, word_bits
from tvm_ops.operators._few_bits import FewBits, check_given, split_dtype
from tvm_ops.operators._key import parse_fields, require_fields
from tvm_ops.operators._layout import Array

ERROR_BOUND = 0
TYPES = {"f32": "float32", "s8": "int8", "s16": "int16", "s32": "int32"}
"""Types of x and of the thresholds, as they stand in a key."""

_PER = ("channel", "tensor")


@dataclass(frozen=True)
class Workload(FewBits):
    """y[n, h, w, plane, word] of x[n, h, w, c] and thresholds[c or 1, 2^a_bits - 1], ascending.

    ``per`` is "channel" or "tensor". Raises ``InputError`` for sizes that are no layer's.
    """

    n: int
    h: int
    w: int
    c: int
    a_bits: int = 1
    per: str = "channel"
    x: str = "f32"
    word: str = "u64"

    def __post_init__(self) -> None:
        self.require_types()
        self.require_sizes(self.n, self.h, self.w, self.c)
        self.require_bits("a_bits", self.a_bits)
        self.require(self.per in _PER, f"thresholds are per {' or '.join(_PER)}")
        self.require(self.x in TYPES, f"x is one of {', '.join(TYPES)}")
        self.require_word(self.word)

    @property
    def levels(self) -> int:
        """Thresholds of a channel."""
        return int(2**self.a_bits - 1)

    @property
    def macs(self) -> int:
        """Comparisons: one for each bit of a code."""
        return self.n * self.h * self.w * self.c * self.a_bits

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        """A vector of 128 bits is compared at once."""
        return 16 / SIZES[self.x]

    @property
    def arguments(self) -> tuple[str, ...]:
        return "x", "thresholds"

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        rows = self.c if self.per == "channel" else 1
        return {"x": (self.n, self.h, self.w, self.c), "thresholds": (rows, self.levels)}

    @property
    def array_dtypes(self) -> dict[str, str]:
        return dict.fromkeys(self.arguments, TYPES[self.x])

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of y as the kernel writes it."""
        return packed_shape(self.array_shapes["x"], self.a_bits, self.word)

    @property
    def output_dtype(self) -> str:
        return np.dtype(WORDS[self.word]).name

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"x": self.array_shapes["x"], "y": self.output_shape}

    @property
    def shape_key(self) -> str:
        """``n1_h28_w28_c128_a1_channel``."""
        sizes = [f"n{self.n}", f"h{self.h}", f"w{self.w}", f"c{self.c}", f"a{self.a_bits}"]
        return "_".join([*sizes, self.per])

    @property
    def dtype(self) -> str:
        """``f32u64``: the type of x, the word."""
        return self.x + self.word

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        x, word = split_dtype(text, dtype, TYPES)
        numbers = {"n": "n", "h": "h", "w": "w", "c": "c", "a": "a_bits"}
        values = parse_fields(text, "bitpack", numbers, words={"per": _PER})
        require_fields(text, values, (*numbers.values(), "per"))
        return cls(**values, x=x, word=word)


WORKLOADS = [
    # What a binary network's float layers leave (ResNet-18's stages), and its integer sums.
    Workload(1, 56, 56, 64),
    Workload(1, 28, 28, 128),
    Workload(1, 28, 28, 128, x="s16"),
    Workload(1, 28, 28, 128, 2, x="s16"),
    Workload(1, 14, 14, 256, 2),
    Workload(1, 7, 7, 512, per="tensor"),
    Workload(1, 7, 7, 512, 3, x="s8"),
    # Each type, word, number of bits; channels that no vector, byte or word divides.
    Workload(2, 5, 3, 50, 3, x="s32"),
    Workload(1, 6, 7, 130, 2, x="s8", word="u32"),
    Workload(1, 3, 5, 13, 1, "tensor", "s16", "u8"),
    Workload(3, 4, 4, 23, 3, "tensor", "f32", "u8"),
    Workload(1, 1, 1, 1, 2, "channel", "s8", "u8"),
    Workload(1, 9, 2, 5, 1, "channel", "f32", "u32"),
    Workload(1, 2, 3, 250, 2, "tensor", "s32", "u32"),
]


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    thresholds = "level c" if w.per == "channel" else "level"
    return {"x": "n h w c", "thresholds": thresholds, "y": "n h w plane word"}


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded arrays: x of any bits or about 1, with some that equal thresholds.

    Floats have NaNs, infinities, both zeros, and numbers below the least normal one.
    """
    rng, kind = np.random.default_rng(seed), np.dtype(TYPES[w.x])
    shape, bounds = w.array_shapes["x"], w.array_shapes["thresholds"]
    if kind.kind == "f":
        x = rng.standard_normal(shape).astype(kind)
        thresholds = rng.standard_normal(bounds).astype(kind)
        odd = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40], kind)
        x = np.where(rng.random(shape) < 0.05, rng.choice(odd, shape), x)
        thresholds = np.where(rng.random(bounds) < 0.2, rng.choice(odd[4:], bounds), thresholds)
    else:
        ends = np.iinfo(kind)
        x, thresholds = (rng.integers(ends.min, ends.max, s, kind, True) for s in (shape, bounds))
    thresholds.sort(axis=1)
    equal = thresholds[:, rng.integers(0, w.levels)]
    return {"x": np.where(rng.random(shape) < 0.1, equal, x), "thresholds": thresholds}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes, uint8[n, h, w, c]; numpy only. Raises as ``pack``."""
    _check(w, arrays, all_of_them=True)
    codes = np.zeros(arrays["x"].shape, np.uint8)
    for level in range(w.levels):
        codes += arrays["x"] >= arrays["thresholds"][:, level]
    return codes


def _check(w: Workload, arrays: dict[str, Array], *, all_of_them: bool = False) -> None:
    check_given(w, arrays, all_of_them=all_of_them)
    if "thresholds" in arrays:
        thresholds = arrays["thresholds"]
        rises = (thresholds[:, 1:] >= thresholds[:, :-1]).all(1) & ~np.isnan(thresholds).any(1)
        if not rises.all():
            channel = int(np.argmin(rises))
            numbers = ", ".join(map(str, thresholds[channel]))
            raise InputError(f"thresholds: channel {channel} has {numbers}: not ascending numbers")


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """x as it is, thresholds[level, c] or [level]; those that are given.

    Raises ``InputError`` for other shapes and types, and naming the channel for thresholds that are
    not ascending or no numbers.
    """
    _check(w, arrays)
    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    if "thresholds" in arrays:
        thresholds = arrays["thresholds"]
        # Of the zeros the one below: where floats are compared as integers both have to reach it.
        below = np.where(thresholds == 0, -thresholds.dtype.type(0), thresholds)
        rows = below.T if w.per == "channel" else below[0]
        packed["thresholds"] = np.ascontiguousarray(rows)
    return packed


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes, uint8[n, h, w, c]."""
    return unpack_codes(y.reshape(w.output_shape), w.c)


def tiles(w: Workload, knobs: dict[str, Any]) -> tuple[Tile, int, Tile | None]:
    """What a whole group of channels takes, how many there are, and what the rest takes."""
    group = min(knobs["group"], w.c)
    groups = w.c // group
    plane = w.output_shape[-1] * word_bits(w.word) // 8
    per_channel = w.per == "channel"
    whole = Tile(
        w.x, group, group, w.a_bits, per_channel, knobs["isa"],
        knobs["block"], knobs["at_once"], knobs["ahead"],
        x_step=w.c * SIZES[w.x], y_step=w.a_bits * plane, plane=plane,
        level=(w.c if per_channel else 1) * SIZES[w.x], zeros=0,
    )  # fmt: skip
    zeros = plane - -(-w.c // 8)
    if groups == 1 and w.c == group:
        return replace(whole, zeros=zeros), 1, None
    rest = w.c - groups * group
    return whole, groups, replace(whole, channels=rest, zeros=zeros) if rest or zeros else None


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of x, thresholds and y, as ``layouts`` names their axes. Block ``quantize``."""
    from tvm import tirx
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    whole, groups, rest = tiles(w, knobs)
    pixels, words = w.n * w.h * w.w, prod(w.output_shape[-2:])
    blocks = -(-pixels // whole.pixels)
    rows = (w.levels, w.c) if w.per == "channel" else (w.levels,)
    every = [slice(0, size) for size in rows]
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer((pixels, w.c), TYPES[w.x]))
        thresholds = T.arg("thresholds", T.buffer(rows, TYPES[w.x]))
        y = T.arg("y", T.buffer((pixels, words), w.output_dtype))
        with T.grid(blocks) as block, T.sblock("quantize"):
            vb = T.axis.spatial(blocks, block)
            first = tirx.min(vb * whole.pixels, pixels - whole.pixels)
            T.reads(x[first : first + whole.pixels, 0 : w.c], thresholds[tuple(every)])
            T.writes(y[first : first + whole.pixels, 0:words])
            T.sblock_attr({"bytes": pixels * w.c * SIZES[w.x]})
            given = [tirx.address_of(buffer[at]) for buffer, at in (
                (x, (first, 0)), (thresholds, (0,) * len(rows)), (y, (first, 0))
            )]  # fmt: skip

            def call(tile: Tile, group: Any) -> None:
                with T.attr(y.data, "pragma_import_llvm", tile.function.llvm()):
                    T.evaluate(tirx.call_extern("int32", tile.function.name, *given, group))

            with T.serial(0, groups) as group:
                call(whole, group)
            if rest:
                call(rest, groups)
    return builder.get()
