"""Max pooling of packed codes, without unpacking them; pads are code 0, the least.

The largest code is that of the largest value, of bipolar ones too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators._bits import WORDS, packed_shape, unpack_codes
from tvm_ops.operators._few_bits import Windowed
from tvm_ops.operators._key import Pair, check_dtype, pair, parse_fields, require_fields
from tvm_ops.operators._layout import Array
from tvm_ops.operators._packed import check_tensors, pack_tensors, plane_bytes
from tvm_ops.operators._pool_tile import PoolTile

ERROR_BOUND = 0
_SIZES = ("n", "h", "w", "c")
_PAIRS = {"k": "kernel", "s": "stride", "p": "pad"}
_MAX_TAPS = 81


@dataclass(frozen=True)
class Workload(Windowed):
    """y[n, oh, ow, plane, word] of x[n, h, w, plane, word], ``a_bits`` planes of c channels.

    Raises ``InputError``.
    """

    n: int
    h: int
    w: int
    c: int
    kernel: Pair
    stride: Pair
    pad: Pair
    a_bits: int
    word: str

    def __post_init__(self) -> None:
        self.require_types()
        self.require_sizes(self.n, self.h, self.w, self.c)
        self.require_bits("a_bits", self.a_bits)
        self.require_word(self.word)
        self.require_window()
        taps = self.kernel[0] * self.kernel[1]
        self.require(taps <= _MAX_TAPS, f"a window of {taps} pixels is above {_MAX_TAPS}")

    @property
    def macs(self) -> int:
        """Codes that are compared: those of all windows."""
        taps = self.kernel[0] * self.kernel[1]
        return self.n * self.out_h * self.out_w * self.c * taps

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        """An ``or`` of one plane, five operations of two, eight of three."""
        return 128 / (1, 5, 8)[self.a_bits - 1]

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def output_dtype(self) -> str:
        return str(np.dtype(WORDS[self.word]))

    @property
    def shape_key(self) -> str:
        sizes = [f"{name}{getattr(self, name)}" for name in _SIZES]
        pairs = [f"{short}{pair(getattr(self, name))}" for short, name in _PAIRS.items()]
        return "_".join([*sizes, *pairs, f"a{self.a_bits}"])

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, WORDS)
        numbers = {name: name for name in _SIZES} | {"a": "a_bits"}
        values = parse_fields(text, "packed_max_pool2d", numbers, _PAIRS)
        require_fields(text, values, (*_SIZES, *_PAIRS.values(), "a_bits"))
        return cls(**values, word=dtype)

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("x",)

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"x": (self.n, self.h, self.w, self.c)}

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"x": self.array_shapes["x"], "y": (self.n, self.out_h, self.out_w, self.c)}
        return {name: packed_shape(s, self.a_bits, self.word) for name, s in shapes.items()}


WORKLOADS = [
    Workload.parse(key, word)
    for key, word in [
        # AlexNet, VGGNet, ResNet-18 (behind its first layer), SqueezeNet.
        ("n1_h55_w55_c64_k3_s2_p0_a1", "u64"),
        ("n1_h112_w112_c128_k2_s2_p0_a1", "u64"),
        ("n1_h112_w112_c64_k3_s2_p1_a1", "u64"),
        ("n1_h28_w28_c256_k3_s2_p0_a2", "u64"),
        # Overlaps, pads on all sides, odd bytes, windows of one row, of one pixel, of all.
        ("n2_h9_w8_c37_k3_s1_p1_a3", "u8"),
        ("n1_h7_w9_c150_k2_s2_p0_a2", "u32"),
        ("n1_h5_w6_c70_k5_s2_p4_a2", "u64"),
        ("n1_h6_w11_c33_k1x3_s1x2_p0x1_a1", "u8"),
        ("n1_h4_w5_c65_k1_s2_p0_a3", "u32"),
        ("n1_h7_w7_c130_k7_s1_p0_a1", "u64"),
    ]
]


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded codes, more small ones than large."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**w.a_bits, (2, *w.array_shapes["x"]), dtype=np.uint8)
    return {"x": codes.min(axis=0)}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, oh, ow, c]. Raises as ``pack``."""
    check_tensors(w, arrays, all_of_them=True)
    (kh, kw), (sh, sw), (ph, pw) = w.kernel, w.stride, w.pad
    padded = np.pad(arrays["x"], ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    y = np.zeros((w.n, w.out_h, w.out_w, w.c), np.uint8)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + (w.out_h - 1) * sh + 1, sh)
            y = np.maximum(y, padded[:, rows, j : j + (w.out_w - 1) * sw + 1 : sw])
    return y


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """x packed; raises ``InputError`` that names the channel."""
    return pack_tensors(w, arrays)


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return {"x": "n h w plane word", "y": "n h w plane word"}


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes uint8[n, oh, ow, c]."""
    return unpack_codes(y.reshape(w.kernel_shapes["y"]), w.c)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of x and y; blocks ``inside`` and ``edge_COLUMN``.

    A row of a window that is a pad is replaced by the nearest one of x, which is of the window too
    (pads are fewer than rows): the largest code stays. Columns of output whose windows have pads
    are blocks of their own, each with its columns of input.
    """
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    shapes, dtype = w.kernel_shapes, w.output_dtype
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        x = T.arg("x", T.buffer(shapes["x"], dtype))
        y = T.arg("y", T.buffer(shapes["y"], dtype))
        first, last = _inside(w)
        if first < last:
            _row_block(w, "inside", (first, last, min(knobs["pixels"], last - first)), x, y)
        for column in [*range(first), *range(max(first, last), w.out_w)]:
            _row_block(w, f"edge_{column}", (column, column + 1, 1), x, y)
    return builder.get()


def _inside(w: Workload) -> tuple[int, int]:
    """The columns of output whose windows have no pads: from the first, below the last."""
    stride, pad = w.stride[1], w.pad[1]
    first = min(-(-pad // stride), w.out_w)
    last = (w.w + pad - w.kernel[1]) // stride + 1
    return first, max(first, min(last, w.out_w))


def _columns(w: Workload, column: int) -> list[int]:
    """Columns of x in a window of that column of output."""
    start = column * w.stride[1] - w.pad[1]
    return [c for c in range(start, start + w.kernel[1]) if 0 <= c < w.w]


def _row_block(w: Workload, name: str, columns: tuple[int, int, int], x: Any, y: Any) -> None:
    """Columns of output from the first on, below the last, so many at a time."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    first, last, pixels = columns
    start = _columns(w, first)[0]
    own = tuple(tuple(c - start for c in _columns(w, first + p)) for p in range(pixels))
    plane = plane_bytes(w.c, w.word)
    function = PoolTile(w.kernel[0], own, w.a_bits, plane).function()
    sizes = (w.n, w.out_h, -(-(last - first) // pixels))
    with T.grid(*sizes) as indices, T.sblock(name):
        vn, vh, vt = map(T.axis.spatial, sizes, indices)
        done = tirx.min(vt * pixels, last - first - pixels)
        rows = [
            tirx.max(tirx.min(vh * w.stride[0] + (i - w.pad[0]), w.h - 1), 0)
            for i in range(w.kernel[0])
        ]
        T.reads(x[vn, 0 : w.h, 0 : w.w, 0 : w.a_bits, 0 : x.shape[4]])
        T.writes(y[vn, vh, first + done : first + done + pixels, 0 : w.a_bits, 0 : x.shape[4]])
        work = sizes[0] * sizes[1] * sizes[2] * pixels * w.a_bits * plane
        T.sblock_attr({"pragma_import_llvm": function.llvm(), "work": work})
        pointers = [x[vn, row, start + done * w.stride[1], 0, 0] for row in rows]
        pointers.append(y[vn, vh, first + done, 0, 0])
        arguments = [tirx.address_of(p) for p in pointers]
        T.evaluate(tirx.call_extern("int32", function.name, *arguments))
