"""The residual add of few-bit tensors: v = sum of two values, to packed codes or int8 sums.

Both tensors have the same bits and polarity. With thresholds the code is #{j: v >= t_j}, or of a
negative sign #{j: v <= t_j}, as of any sum (``_glue``); nothing is unpacked on the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators import _glue
from tvm_ops.operators._add_tile import AddTile
from tvm_ops.operators._bits import (
    POLARITIES,
    WORDS,
    pack_codes,
    packed_shape,
    unpack_codes,
    values,
)
from tvm_ops.operators._few_bits import GLUE_PARAMETERS, FewBits, glue_shapes, take_glue
from tvm_ops.operators._key import check_dtype, parse_fields, require_fields
from tvm_ops.operators._layout import Array
from tvm_ops.operators._packed import VECTOR, check_tensors, pieces, plane_bytes

ERROR_BOUND = 0
_SIZES = ("n", "h", "w", "c")
_GLUES = ("thr", "acc")


@dataclass(frozen=True)
class Workload(FewBits):
    """y of x[n, h, w, plane, word] + residual, of that shape: ``a_bits`` planes of c channels.

    ``glue`` is thr, which makes ``out_bits`` planes, or acc: int8[n, h, w, c]. Raises
    ``InputError``.
    """

    n: int
    h: int
    w: int
    c: int
    a_bits: int
    polarity: str
    glue: str
    out_bits: int
    word: str

    def __post_init__(self) -> None:
        self.require_types()
        self.require_sizes(self.n, self.h, self.w, self.c)
        self.require_bits("a_bits", self.a_bits)
        self.require_polarity(self.polarity)
        self.require_word(self.word)
        self.require(self.glue in _GLUES, f"glue is {' or '.join(_GLUES)}")
        self.require_out_bits(self.glue, self.out_bits)

    @property
    def macs(self) -> int:
        """Sums."""
        return self.n * self.h * self.w * self.c

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        """Of 128 channels: half an adder, full ones of 5 operations, comparisons of 3 a plane."""
        adders = 2 + 5 * (self.a_bits - 1)
        return 128 / (adders + (2**self.out_bits - 1) * (1 + 3 * self.a_bits))

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def output_dtype(self) -> str:
        return "int8" if self.glue == "acc" else str(np.dtype(WORDS[self.word]))

    @property
    def shape_key(self) -> str:
        glue = self.glue if self.glue == "acc" else f"{self.glue}{self.out_bits}"
        sizes = [f"{name}{getattr(self, name)}" for name in _SIZES]
        return "_".join([*sizes, f"a{self.a_bits}", self.polarity, glue])

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, WORDS)
        numbers = {name: name for name in (*_SIZES, "thr")} | {"a": "a_bits"}
        words = {"polarity": POLARITIES, "acc": ("acc",)}
        found = parse_fields(text, "packed_add", numbers, words=words)
        require_fields(text, found, (*_SIZES, "a_bits", "polarity"))
        return cls(**take_glue(text, found, _GLUES), word=dtype)

    @property
    def arguments(self) -> tuple[str, ...]:
        return "x", "residual", *GLUE_PARAMETERS[self.glue]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.n, self.h, self.w, self.c

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        glue = glue_shapes(self.glue, self.out_bits, self.c)
        return {"x": self.shape, "residual": self.shape, **glue}

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        x = packed_shape(self.shape, self.a_bits, self.word)
        y = packed_shape(self.shape, self.out_bits, self.word)
        return {"x": x, "residual": x, "y": self.shape if self.glue == "acc" else y}


WORKLOADS = [
    Workload.parse(key, word)
    for key, word in [
        # ResNet-18's residuals.
        ("n1_h56_w56_c64_a1_bipolar_thr1", "u64"),
        ("n1_h28_w28_c128_a1_bipolar_thr1", "u64"),
        ("n1_h28_w28_c128_a2_unipolar_thr2", "u64"),
        ("n1_h14_w14_c256_a3_unipolar_thr3", "u64"),
        ("n1_h28_w28_c128_a1_bipolar_acc", "u64"),
        # All bits, polarities and words; channels that no byte or vector divides; one pixel.
        ("n2_h3_w5_c37_a1_unipolar_thr3", "u8"),
        ("n1_h5_w3_c150_a3_bipolar_thr1", "u32"),
        ("n1_h3_w3_c195_a2_bipolar_thr2", "u64"),
        ("n1_h3_w5_c43_a3_bipolar_acc", "u8"),
        ("n1_h3_w3_c150_a2_unipolar_acc", "u64"),
        ("n1_h1_w1_c1_a1_bipolar_thr2", "u32"),
    ]
]


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded codes and thresholds; the latter are some that no or every sum meets, too."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {
        name: rng.integers(0, 2**w.a_bits, w.shape, dtype=np.uint8) for name in ("x", "residual")
    }
    if w.glue == "acc":
        return arrays
    most = 2 * 2**w.a_bits
    levels = rng.integers(-most, most, (w.c, 2**w.out_bits - 1), dtype=np.int32)
    signs = rng.choice(np.array([-1, 1], np.int8), w.c)
    return arrays | {"thresholds": np.sort(levels), "signs": signs}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, h, w, c], or sums int8. Raises as ``pack``."""
    check_tensors(w, arrays, all_of_them=True)
    v = sum(values(arrays[name], w.a_bits, w.polarity) for name in ("x", "residual"))
    if w.glue == "acc":
        return np.asarray(v, np.int8)  # at most 2 (2^3 - 1) = 14
    return _glue.threshold_codes(np.asarray(v), arrays["thresholds"], arrays["signs"], w.out_bits)


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """What the kernel takes of those that are given.

    thresholds and signs become bounds[level, plane, byte] on the sum of codes, and flips[byte], the
    channels of negative sign. Raises ``InputError`` that names the channel.
    """
    check_tensors(w, arrays)
    packed: dict[str, Array] = {}
    for name in [name for name in ("x", "residual") if name in arrays]:
        packed[name] = pack_codes(arrays[name], w.a_bits, w.word)
    if "thresholds" in arrays:
        thresholds, signs = arrays["thresholds"], arrays["signs"]
        bounds = code_bounds(w, thresholds, signs)
        # Channels that only fill the word have no bit of either tensor: bounds of 1 are not met.
        unused = 8 * plane_bytes(w.c, w.word) - w.c
        padded = np.pad(bounds, ((0, 0), (0, unused)), constant_values=1)
        negative = np.pad((signs < 0).astype(np.uint8), (0, unused))
        times = neighbours(w)
        packed["bounds"] = np.tile(pack_codes(padded, w.a_bits + 1, "u8"), times)
        packed["flips"] = np.tile(pack_codes(negative, 1, "u8")[0], times)
    return packed


def neighbours(w: Workload) -> int:
    """Pixels whose planes lie side by side and fill a vector together, if there is one plane."""
    plane, total = plane_bytes(w.c, w.word), w.n * w.h * w.w
    if (w.a_bits, w.out_bits) != (1, 1) or VECTOR % plane:
        return 1
    return math.gcd(VECTOR // plane, total)


def code_bounds(w: Workload, thresholds: Array, signs: Array) -> Array:
    """uint8[level, c]: v >= t, or v <= t of a negative sign, is S >= bound, or not so.

    S, the sum of codes, is v, or of bipolar values (v + 2 top) / 2, from 0 to 2 top; top is 2^a -
    1. A bound of 0 every sum meets, one of 2 top + 1 none; both have a + 1 bits, as all between.
    """
    top = 2**w.a_bits - 1
    exact = thresholds.astype(np.int64).T + (signs < 0)
    if w.polarity == "bipolar":
        exact = -((-(exact + 2 * top)) // 2)
    return np.clip(exact, 0, 2 * top + 1).astype(np.uint8)


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    packed = "n h w plane word"
    return {
        "x": packed, "residual": packed, "bounds": "level plane byte", "flips": "byte",
        "y": "n h w c" if w.glue == "acc" else packed,
    }  # fmt: skip


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes uint8[n, h, w, c], or sums int8."""
    y = y.reshape(w.kernel_shapes["y"])
    return y if w.glue == "acc" else unpack_codes(y, w.c)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of what ``pack`` makes, and y; a block ``piece_FIRST_BYTE`` for each size.

    ``neighbours`` are one pixel to it, of so many times the bytes.
    """
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    times, shapes, packed = neighbours(w), w.kernel_shapes, str(np.dtype(WORDS[w.word]))
    total, plane = w.n * w.h * w.w // times, plane_bytes(w.c, w.word) * times

    def shape(name: str) -> tuple[int, ...]:
        return total, *shapes[name][3:-1], shapes[name][-1] * times

    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = {name: T.arg(name, T.buffer(shape(name), packed)) for name in ("x", "residual")}
        if w.out_bits:
            bounds = (2**w.out_bits - 1, w.a_bits + 1, plane)
            buffers["bounds"] = T.arg("bounds", T.buffer(bounds, "uint8"))
            buffers["flips"] = T.arg("flips", T.buffer((plane,), "uint8"))
        buffers["y"] = T.arg("y", T.buffer(shape("y"), w.output_dtype))
        cut = pieces(plane)
        for size in dict.fromkeys(size for _, size in cut):
            firsts = [first for first, s in cut if s == size]
            # A piece with fewer channels than bits is made apart: int8 sums have no others.
            whole = [f for f in firsts if w.glue == "thr" or 8 * (f + size) <= w.c]
            if whole:
                _piece(w, knobs, (whole[0], size, len(whole)), buffers)
            for first in firsts[len(whole) :]:
                if 8 * first < w.c:  # the others are zeros that fill the word
                    _piece(w, knobs, (first, size, 1), buffers)
    return builder.get()


def _piece(
    w: Workload, knobs: dict[str, Any], piece: tuple[int, int, int], buffers: dict[str, Any]
) -> None:
    """``count`` neighbouring pieces of ``size`` bytes, for all pixels."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    first, size, count = piece
    x, y, pixels = buffers["x"], buffers["y"], knobs["pixels"]
    total, times = int(x.shape[0]), neighbours(w)
    plane = plane_bytes(w.c, w.word) * times
    bipolar = w.polarity == "bipolar"
    tile = AddTile(
        pixels, w.a_bits, w.out_bits, plane, size, min(8 * size, w.c - 8 * first), w.c,
        2 if bipolar else 1, -2 * (2**w.a_bits - 1) if bipolar else 0,
    )  # fmt: skip
    function = tile.function()
    sizes = (count, -(-total // pixels))
    with T.grid(*sizes) as indices, T.sblock(f"piece_{first}"):
        vp, vt = map(T.axis.spatial, sizes, indices)
        pixel = tirx.min(vt * pixels, total - pixels)
        rows = slice(pixel, pixel + pixels)
        T.reads(*(buffers[n][(rows, *_all(x))] for n in ("x", "residual")))
        T.writes(y[(rows, *_all(y))])
        work = count * size * total * (w.out_bits or 8)
        T.sblock_attr({"pragma_import_llvm": function.llvm(), "work": work})
        pointers = [
            buffers[n][(0 if n in ("bounds", "flips") else pixel, *(0 for _ in _all(buffers[n])))]
            for n in function.arguments
        ]
        arguments = [tirx.address_of(p) for p in pointers]
        T.evaluate(tirx.call_extern("int32", function.name, *arguments, first + vp * size))


def _all(buffer: Any) -> list[slice]:
    """All but the first axis."""
    return [slice(0, s) for s in buffer.shape[1:]]
