"""The first layer of a few-bit network: an image of bytes by weights of +-1, glue, packed codes.

No multiplications (``_input_tile``), no sums in memory. y = sum over kernel and channels of w x,
pads are 0; sums are compared with bounds while they are in registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators import _glue
from tvm_ops.operators._accumulator import sum_dtype
from tvm_ops.operators._bits import WORDS, bipolar_codes, packed_shape, unpack_codes
from tvm_ops.operators._few_bits import (
    GLUE_PARAMETERS,
    Windowed,
    check_given,
    glue_data,
    glue_shapes,
    take_glue,
)
from tvm_ops.operators._input_conv import InputConv, compute_input_conv
from tvm_ops.operators._input_pack import pack_glue, pack_weights
from tvm_ops.operators._key import Pair, check_dtype, pair, parse_fields, require_fields
from tvm_ops.operators._layout import Array

ERROR_BOUND = 0
IMAGES = {"u8": ("uint8", 255), "s8": ("int8", 128)}
"""Type of x, and its largest magnitude."""
_SIZES = ("n", "ci", "h", "w", "co")
_PAIRS = {"k": "kernel", "s": "stride", "p": "pad"}
_MAX_CI = 16


@dataclass(frozen=True)
class Workload(Windowed):
    """x[n, h, w, ci] bytes by weights[co, kh, kw, ci] of +-1, zero padding.

    ``image`` is u8 or s8; ``glue`` thr or shift with ``out_bits``, or acc for the sums themselves,
    int16 where ``_accumulator`` proves it, else int32. Raises ``InputError``.
    """

    n: int
    ci: int
    h: int
    w: int
    co: int
    kernel: Pair
    stride: Pair
    pad: Pair
    image: str
    glue: str
    out_bits: int
    word: str

    def __post_init__(self) -> None:
        self.require_types()
        self.require(self.image in IMAGES, f"the image is {' or '.join(IMAGES)}")
        self.require(self.glue in GLUE_PARAMETERS, f"glue is one of {', '.join(GLUE_PARAMETERS)}")
        self.require_word(self.word)
        self.require(self.ci <= _MAX_CI, f"ci {self.ci} is above {_MAX_CI}: no first layer")
        self.require_sizes(self.n, self.ci, self.h, self.w)
        self.require_window()
        self.require_sizes(self.n, self.out_h, self.out_w, self.co)
        self.require_sizes(self.co, *self.kernel, self.ci)
        self.require_out_bits(self.glue, self.out_bits)
        try:
            sum_dtype(self.k * IMAGES[self.image][1])
        except InputError as error:
            self.require(False, f"every channel's {error}")

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def shape_key(self) -> str:
        sizes = [f"{name}{getattr(self, name)}" for name in _SIZES]
        pairs = [f"{short}{pair(getattr(self, name))}" for short, name in _PAIRS.items()]
        glue = self.glue if self.glue == "acc" else f"{self.glue}{self.out_bits}"
        return "_".join([*sizes, *pairs, self.image, glue])

    @classmethod
    def parse(cls, text: str, dtype: str) -> Workload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, WORDS)
        numbers = {name: name for name in (*_SIZES, "thr", "shift")}
        words = {"image": tuple(IMAGES), "acc": ("acc",)}
        values = parse_fields(text, "binary_input_conv2d", numbers, _PAIRS, words)
        require_fields(text, values, (*_SIZES, *_PAIRS.values(), "image"))
        return cls(**take_glue(text, values, GLUE_PARAMETERS), word=dtype)

    @property
    def k(self) -> int:
        """Products of a sum."""
        return self.kernel[0] * self.kernel[1] * self.ci

    @property
    def macs(self) -> int:
        """Multiply-adds of bytes."""
        return self.n * self.out_h * self.out_w * self.co * self.k

    @property
    def image_dtype(self) -> str:
        return IMAGES[self.image][0]

    @property
    def sums_dtype(self) -> str:
        """Of y without glue."""
        return sum_dtype(self.k * IMAGES[self.image][1])

    @property
    def output_dtype(self) -> str:
        return self.sums_dtype if self.glue == "acc" else str(np.dtype(WORDS[self.word]))

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """Of codes or sums."""
        return self.n, self.out_h, self.out_w, self.co

    @property
    def arguments(self) -> tuple[str, ...]:
        return "x", "weights", *GLUE_PARAMETERS[self.glue]

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "x": (self.n, self.h, self.w, self.ci),
            "weights": (self.co, *self.kernel, self.ci),
            **glue_shapes(self.glue, self.out_bits, self.co),
        }

    @property
    def array_dtypes(self) -> dict[str, str]:
        return {"x": self.image_dtype}

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        y: tuple[int, ...] = self.output_shape
        if self.glue != "acc":
            y = packed_shape(y, self.out_bits, self.word)
        return {"x": self.array_shapes["x"], "y": y}


WORKLOADS = [
    # ResNet-18's, AlexNet's and VGGNet's first layers.
    Workload.parse("n1_ci3_h224_w224_co64_k7_s2_p3_u8_thr1", "u64"),
    Workload.parse("n1_ci3_h224_w224_co64_k11_s4_p2_u8_thr1", "u64"),
    Workload.parse("n1_ci3_h224_w224_co64_k3_s1_p1_u8_thr1", "u64"),
    # Parts of them, for a trial or an emulator.
    Workload.parse("n1_ci3_h64_w64_co64_k7_s2_p3_u8_thr1", "u64"),
    Workload.parse("n1_ci1_h28_w28_co32_k3_s1_p1_u8_thr2", "u32"),
    # Sums of each type, one tap, odd numbers of taps, channels that nothing divides, unequal sides.
    Workload.parse("n1_ci3_h15_w13_co37_k3_s2_p1_s8_thr3", "u8"),
    Workload.parse("n2_ci3_h12_w11_co30_k11_s4_p2_u8_thr2", "u64"),
    Workload.parse("n1_ci5_h9_w9_co21_k5_s1_p2_s8_shift2", "u32"),
    Workload.parse("n1_ci3_h9_w7_co23_k3_s1_p0_u8_acc", "u64"),
    Workload.parse("n1_ci3_h14_w12_co21_k7_s2_p3_u8_acc", "u64"),
    Workload.parse("n1_ci15_h9_w9_co70_k5_s1_p2_u8_acc", "u8"),
    Workload.parse("n1_ci1_h4_w5_co9_k1_s1_p0_s8_thr1", "u64"),
    Workload.parse("n1_ci2_h9_w17_co130_k3x5_s1x2_p0x2_s8_thr1", "u64"),
]


def data(w: Workload, seed: int = 0) -> dict[str, Array]:
    """A seeded image and weights; the glue is for sums of the size that they make."""
    rng = np.random.default_rng(seed)
    info = np.iinfo(w.image_dtype)
    shapes = w.array_shapes
    largest = 100 * np.sqrt(w.k)
    return {
        "x": rng.integers(info.min, info.max, shapes["x"], w.image_dtype, endpoint=True),
        "weights": rng.choice(np.array([-1, 1], np.int8), shapes["weights"]),
        **glue_data(rng, w.glue, w.out_bits, w.co, largest),
    }


def sums(w: Workload, x: Array, weights: Array) -> Array:
    """y[n, oh, ow, co] without glue, of ``w.sums_dtype``."""
    (kh, kw), (sh, sw) = w.kernel, w.stride
    # float64 is exact to 2^53 and has fast products.
    pad = ((0, 0), (w.pad[0],) * 2, (w.pad[1],) * 2, (0, 0))
    padded = np.pad(x.astype(np.float64), pad)
    y = np.zeros(w.output_shape)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + (w.out_h - 1) * sh + 1, sh)
            cols = slice(j, j + (w.out_w - 1) * sw + 1, sw)
            y += padded[:, rows, cols] @ weights[:, i, j].T.astype(np.float64)
    return y.astype(w.sums_dtype)


def reference(w: Workload, arrays: dict[str, Array]) -> Array:
    """Codes uint8[n, oh, ow, co], or sums. Raises as ``pack``."""
    check_given(w, arrays, all_of_them=True)
    y = sums(w, arrays["x"], arrays["weights"])
    return _glue.glue_codes(w.glue, y, arrays, w.out_bits)


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """What the kernel takes of those that are given.

    weights become bytes[tile of channels, kernel row, ...] in the order of use; with them, the glue
    becomes bounds[tile, level, channel] on the kernel's own sums, and flips[tile, plane, byte], or
    offsets[tile, channel] where there is none. Raises ``InputError`` that names the channel.
    """
    check_given(w, arrays)
    packed = {"x": np.ascontiguousarray(arrays["x"])} if "x" in arrays else {}
    if "weights" not in arrays:
        return packed
    c = InputConv.of(w, knobs)
    negative = bipolar_codes(arrays["weights"], 1, "weights") == 0
    return packed | {"weights": pack_weights(c, negative)} | pack_glue(c, negative, arrays)


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    return {
        "x": "n h w ci", "weights": "co/tile kh byte", "bounds": "co/tile level tile",
        "flips": "co/tile plane byte", "offsets": "co/tile tile",
        "y": "n h w co" if w.glue == "acc" else "n h w plane word",
    }  # fmt: skip


def unpack_output(w: Workload, y: Array) -> Array:
    """Codes uint8[n, oh, ow, co], or sums."""
    y = y.reshape(w.kernel_shapes["y"])
    return y if w.glue == "acc" else unpack_codes(y, w.co)


def compute(w: Workload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of x, what ``pack`` makes of the parameters, and y."""
    return compute_input_conv(InputConv.of(w, knobs))
