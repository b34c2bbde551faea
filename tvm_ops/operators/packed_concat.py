"""Packed tensors one after another along channels, any numbers of them.

A plane of a pixel is one long integer, least significant bit first; a tensor's is shifted by the
channels before it. Bits past a tensor's last channel are zero, so nothing is masked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators._bits import WORDS, packed_shape, unpack_codes
from tvm_ops.operators._concat_tile import ConcatTile
from tvm_ops.operators._few_bits import FewBits
from tvm_ops.operators._key import check_dtype, parse_fields, require_fields
from tvm_ops.operators._layout import Array
from tvm_ops.operators._packed import check_tensors, pack_tensors, plane_bytes

ERROR_BOUND = 0
_CHANNELS = re.compile(r"c\d{1,5}(?:x\d{1,5})+")
_MAX_TENSORS = 14  # arguments of a kernel are at most 16
_MAX_CHANNELS = 8192  # of y: code is written out for all of a pixel's words


@dataclass(frozen=True)
class Workload(FewBits):
    """y[n, h, w, plane, word] of x0, x1, ... with ``channels`` (c0, c1, ...); ``a_bits`` planes.

    Raises ``InputError``.
    """

    n: int
    h: int
    w: int
    channels: tuple[int, ...]
    a_bits: int
    word: str

    def __post_init__(self) -> None:
        self.require_types()
        count = len(self.channels)
        self.require(2 <= count <= _MAX_TENSORS, f"{count} tensors: 2 to {_MAX_TENSORS} are joined")
        self.require(min(self.channels) >= 1, "every tensor has channels")
        self.require(self.c <= _MAX_CHANNELS, f"{self.c} channels are above {_MAX_CHANNELS}")
        self.require_sizes(self.n, self.h, self.w, self.c)
        self.require_bits("a_bits", self.a_bits)
        self.require_word(self.word)

    @property
    def c(self) -> int:
        """Channels of y."""
        return sum(self.channels)

    @property
    def macs(self) -> int:
        """Codes that are moved."""
        return self.n * self.h * self.w * self.c

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        """A vector of each plane is moved at once."""
        return 128 / self.a_bits

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def output_dtype(self) -> str:
        return str(np.dtype(WORDS[self.word]))

    @property
    def shape_key(self) -> str:
        channels = "x".join(map(str, self.channels))
        return f"n{self.n}_h{self.h}_w{self.w}_c{channels}_a{self.a_bits}"

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, WORDS)
        tokens = text.split("_")
        lists = [token for token in tokens if _CHANNELS.fullmatch(token)]
        if len(lists) != 1:
            raise InputError(f"workload '{text}': one list of channels is needed, as c64x64")
        others = "_".join(token for token in tokens if token not in lists)
        fields = {name: name for name in ("n", "h", "w")} | {"a": "a_bits"}
        values = parse_fields(others, "packed_concat", fields)
        require_fields(text, values, fields.values())
        channels = tuple(int(c) for c in lists[0][1:].split("x"))
        return cls(**values, channels=channels, word=dtype)

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(f"x{i}" for i in range(len(self.channels)))

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        pixels = (self.n, self.h, self.w)
        return {n: (*pixels, c) for n, c in zip(self.arguments, self.channels, strict=True)}

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = self.array_shapes | {"y": (self.n, self.h, self.w, self.c)}
        return {name: packed_shape(s, self.a_bits, self.word) for name, s in shapes.items()}


WORKLOADS = [
    Workload.parse(key, word)
    for key, word in [
        # SqueezeNet's first and last fire modules; a dense block.
        ("n1_h54_w54_c64x64_a1", "u64"),
        ("n1_h12_w12_c256x256_a2", "u64"),
        ("n1_h28_w28_c64x32x32x32_a1", "u32"),
        # Channels that no word, byte or vector divides, one among them, across several words.
        ("n1_h28_w28_c60x68_a1", "u64"),
        ("n2_h3_w5_c37x30_a1", "u8"),
        ("n1_h3_w3_c5x1x90x67_a3", "u64"),
        ("n1_h5_w3_c33x130x6_a2", "u32"),
        ("n1_h1_w3_c3x4_a2", "u64"),
        ("n1_h2_w1_c16x8x23_a1", "u8"),
    ]
]


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """Seeded codes."""
    rng = np.random.default_rng(seed)
    shapes = w.array_shapes.items()
    return {name: rng.integers(0, 2**w.a_bits, s, dtype=np.uint8) for name, s in shapes}


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, h, w, c]. Raises as ``pack``."""
    check_tensors(w, arrays, all_of_them=True)
    return np.concatenate([arrays[name] for name in w.arguments], axis=-1)


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """Those that are given, packed; raises ``InputError`` that names the channel."""
    return pack_tensors(w, arrays)


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return dict.fromkeys((*w.arguments, "y"), "n h w plane word")


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes uint8[n, h, w, c]."""
    return unpack_codes(y.reshape(w.kernel_shapes["y"]), w.c)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of the tensors and y; block ``concat``."""
    from tvm import tirx
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    total, pixels = w.n * w.h * w.w, knobs["pixels"]
    own = tuple(plane_bytes(c, w.word) for c in w.channels)
    plane = plane_bytes(w.c, w.word)
    function = ConcatTile(pixels, w.a_bits, w.channels, own, plane).function()
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = [
            T.arg(name, T.buffer((total, *w.kernel_shapes[name][3:]), w.output_dtype))
            for name in (*w.arguments, "y")
        ]
        tiles = -(-total // pixels)
        with T.grid(tiles) as tile, T.sblock("concat"):
            vt = T.axis.spatial(tiles, tile)
            pixel = tirx.min(vt * pixels, total - pixels)
            parts = [b[pixel : pixel + pixels, 0 : b.shape[1], 0 : b.shape[2]] for b in buffers]
            T.reads(*parts[:-1])
            T.writes(parts[-1])
            work = total * w.a_bits * plane
            T.sblock_attr({"pragma_import_llvm": function.llvm(), "work": work})
            pointers = [tirx.address_of(b[pixel, 0, 0]) for b in buffers]
            T.evaluate(tirx.call_extern("int32", function.name, *pointers))
    return builder.get()
