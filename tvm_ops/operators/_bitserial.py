"""The workload of a few-bit convolution: shapes, types, its key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators import _bits
from tvm_ops.operators._accumulator import accumulator_dtype, largest_sum
from tvm_ops.operators._conv import MAX_ELEMENTS, MAX_SIZE
from tvm_ops.operators._few_bits import GLUE_PARAMETERS, Windowed, glue_shapes
from tvm_ops.operators._key import Pair, check_dtype, pair

POLARITIES = ("bipolar", "bipolar0", "unipolar")
MAX_STEPS = 31  # of 64 positions, in bytes: 31 * 8 = 248
WIDE_STEPS = 20  # of tiles of 32 channels: 80 times 69 instructions with 5 pixels, 22 KB
WIDE_CHANNELS = 32
CHAIN_WORDS = 61  # of a chain: 30 pairs, whose carries are -120 to 120 in a byte
MIN_LOOP = 3  # steps, in which a loop in assembly reads where it goes on
GROUP = 32  # channels of a group are a multiple of this

_SIZE = r"(\d+)(?:x(\d+))?"
_KEY = re.compile(
    rf"n(\d+)_ci(\d+)_h(\d+)_w(\d+)_co(\d+)_k{_SIZE}_s{_SIZE}_p{_SIZE}(?:_g(\d+))?"
    r"_a(\d+)_w(\d+)_(bipolar0?|unipolar)_(acc|thr|shift)(\d*)"
)


@dataclass(frozen=True)
class FewBitWorkload(Windowed):
    """A 2-d convolution of codes x[n, h, w, ci] with weights [co, kh, kw, ci / groups].

    x has ``a_bits`` (1 to 3), weights ``w_bits`` (1, 2; bipolar). ``polarity`` is what x's codes
    mean, see ``_bits``; ``bipolar`` counts pads as code 0, its least value, ``bipolar0`` and
    ``unipolar`` as zeros. ``glue``: "acc" for sums y[n, oh, ow, co] in ``accumulator_dtype``; "thr"
    (thresholds, signs) and "shift" (mu, shift) for codes of ``out_bits`` (1 to 3; 0 with "acc"),
    see ``_glue``. ``word`` is the type of words that x, and y with a glue, are packed in.
    """

    n: int
    ci: int
    h: int
    w: int
    co: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    pad: Pair = (1, 1)
    groups: int = 1
    a_bits: int = 1
    w_bits: int = 1
    polarity: str = "bipolar"
    glue: str = "thr"
    out_bits: int = 1
    word: str = "u64"

    def __post_init__(self) -> None:
        self.require_types()
        sizes = (self.n, self.ci, self.h, self.w, self.co, *self.kernel, *self.stride, self.groups)
        self.require(min(sizes) >= 1, "sizes must be at least 1")
        self.require(min(self.pad) >= 0, "padding must not be negative")
        self.require(max(*sizes, *self.pad) <= MAX_SIZE, f"no size may be above {MAX_SIZE}")
        self.require_bits("a_bits", self.a_bits)
        self.require(1 <= self.w_bits <= 2, f"w_bits {self.w_bits} is not 1 or 2")
        self.require(self.polarity in POLARITIES, f"polarity is one of {', '.join(POLARITIES)}")
        self.require_word(self.word)
        self.require(self.glue in GLUE_PARAMETERS, f"glue is one of {', '.join(GLUE_PARAMETERS)}")
        self.require_out_bits(self.glue, self.out_bits)
        self._require_groups()
        for size, k, p in zip((self.h, self.w), self.kernel, self.pad, strict=True):
            self.require(k <= size + 2 * p, f"kernel {k} is larger than the padded input")
        for shape in (self.input_shape, self.weights_shape, self.output_shape):
            self.require(prod(shape) <= MAX_ELEMENTS, f"a tensor of shape {shape} is too large")
        accumulator_dtype(self.k, self.a_bits, self.w_bits)

    def _require_groups(self) -> None:
        self.require(
            self.ci % self.groups == 0 and self.co % self.groups == 0,
            f"groups {self.groups} must divide ci {self.ci} and co {self.co}",
        )
        per_group = self.ci // self.groups
        if per_group % GROUP:
            raise InputError(
                f"workload {self.shape_key}: {per_group} input channels of a group are no multiple "
                f"of {GROUP}: channel {per_group // GROUP * GROUP} begins what is no whole word"
            )

    @property
    def dtype(self) -> str:
        return self.word

    @property
    def k(self) -> int:
        """Products of a sum."""
        return self.kernel[0] * self.kernel[1] * self.ci // self.groups

    @property
    def group_words(self) -> int:
        """64-bit words of a plane of a group's input channels."""
        return -(-self.ci // self.groups // 64)

    @property
    def cut(self) -> tuple[int, int] | None:
        """(rows of the kernel, words) of a register tile's chunk, see ``_bitserial_chunk``.

        None where not even a row of one word fits.
        """
        return self.cut_to(MAX_STEPS)

    def cut_to(self, most: int) -> tuple[int, int] | None:
        """The same for chunks of at most so many steps of 64 positions."""
        (kh, kw), words = self.kernel, self.group_words

        def cost(cut: tuple[int, int]) -> float:
            """In steps; to start a chunk and to add up its sums takes about one."""
            return kh // cut[0] * -(-words // cut[1]) * (cut[0] * kw * cut[1] + 1)

        rows = [r for r in range(1, kh + 1) if kh % r == 0]
        cuts = [(r, k) for r in rows for k in range(1, words + 1) if r * kw * k <= most]
        return min(cuts, key=cost, default=None)

    @property
    def chain_cut(self) -> tuple[int, int] | None:
        """(rows, words) of a chain, see ``_bitserial_carries``.

        None where it has no pair of words, or groups are not of whole tiles.
        """
        cut = self.cut_to(CHAIN_WORDS)
        if cut is None or not (self.groups == 1 or self.co // self.groups % 8 == 0):
            return None
        return cut if cut[0] * self.kernel[1] * cut[1] >= 2 else None

    @property
    def wide_cut(self) -> tuple[int, int] | None:
        """(rows, words) of a chunk of tiles of 32 channels, see ``_bitserial_wide``.

        None where sums need more than 16 bits, groups are not of whole tiles, or chunks are too
        short for a loop.
        """
        cut = self.cut_to(WIDE_STEPS)
        whole = self.groups == 1 or self.co // self.groups % WIDE_CHANNELS == 0
        if cut is None or not whole or self.largest + 1 >= 2**16:
            return None
        steps = cut[0] * self.kernel[1] * cut[1]
        chunks = self.kernel[0] // cut[0] * -(-self.group_words // cut[1])
        unrolled = steps * chunks * self.a_bits * self.w_bits <= WIDE_STEPS
        return cut if unrolled or steps >= MIN_LOOP else None

    @property
    def reads_in_place(self) -> bool:
        """Whether chunks as ``cut`` can be read from x itself."""
        return self.reads_cut_in_place(self.cut)

    def reads_cut_in_place(self, cut: tuple[int, int] | None) -> bool:
        """Whether a chunk's words lie in x as a copy would have them, but for steps between rows.

        64-bit words, no padding, and all words of a pixel one after the other, or one tap.
        """
        whole = self.word == "u64" and self.pad == (0, 0) and self.ci // self.groups % 64 == 0
        if not whole or cut is None or self.group_words % cut[1]:
            return False
        together = self.a_bits == self.groups == 1 and cut[1] == self.group_words
        return self.kernel == (1, 1) or together

    @property
    def macs(self) -> int:
        """Multiply-adds of the network: of all bits at once, whatever the number of bits."""
        return self.n * self.co * self.out_h * self.out_w * self.k

    @property
    def macs_per_operation(self) -> float:  # type: ignore[override]
        """Of 128 bits of one plane of x and one of weights: eor, cnt and add for 128 bits."""
        return 128 / 3 / (self.a_bits * self.w_bits)

    @property
    def macs_per_operation_by_core(self) -> dict[str, float]:
        """Five operations for two words where carries are counted, see ``_bitserial_carries``."""
        return {"cortex-a76": 128 / 2.5 / (self.a_bits * self.w_bits)}

    @property
    def largest(self) -> int:
        """Of |y| and T."""
        return largest_sum(self.k, self.a_bits, self.w_bits)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.n, self.h, self.w, self.ci

    @property
    def weights_shape(self) -> tuple[int, ...]:
        return self.co, *self.kernel, self.ci // self.groups

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.n, self.out_h, self.out_w, self.co

    @property
    def output_dtype(self) -> str:
        """Of the kernel's y: words, or sums."""
        if self.glue == "acc":
            return accumulator_dtype(self.k, self.a_bits, self.w_bits)
        return str(np.dtype(_bits.WORDS[self.word]))

    @property
    def arguments(self) -> tuple[str, ...]:
        return "x", "weights", *GLUE_PARAMETERS[self.glue]

    @property
    def array_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"x": self.input_shape, "weights": self.weights_shape}
        return shapes | glue_shapes(self.glue, self.out_bits, self.co)

    @property
    def kernel_input_shape(self) -> tuple[int, ...]:
        """x packed: [n, h, w, plane, word]."""
        return _bits.packed_shape(self.input_shape, self.a_bits, self.word)

    @property
    def kernel_output_shape(self) -> tuple[int, ...]:
        """y packed, or sums."""
        if self.glue == "acc":
            return self.output_shape
        return _bits.packed_shape(self.output_shape, self.out_bits, self.word)

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"x": self.kernel_input_shape, "y": self.kernel_output_shape}

    @property
    def shape_key(self) -> str:
        """``n1_ci128_h28_w28_co128_k3_s1_p1_a1_w1_bipolar_thr1``; ``_g2`` after p with groups."""
        sizes = [f"n{self.n}", f"ci{self.ci}", f"h{self.h}", f"w{self.w}", f"co{self.co}"]
        pairs = [f"k{pair(self.kernel)}", f"s{pair(self.stride)}", f"p{pair(self.pad)}"]
        groups = [f"g{self.groups}"] if self.groups != 1 else []
        glue = self.glue + (str(self.out_bits) if self.glue != "acc" else "")
        bits = [f"a{self.a_bits}", f"w{self.w_bits}", self.polarity, glue]
        return "_".join(sizes + pairs + groups + bits)

    @classmethod
    def parse(cls, text: str, dtype: str = "u64") -> FewBitWorkload:
        """The inverse of ``shape_key`` and ``dtype``; raises ``InputError``."""
        check_dtype(text, dtype, _bits.WORDS)
        match = _KEY.fullmatch(text)
        if not match:
            raise InputError(
                f"workload '{text}': a key looks like n1_ci128_h28_w28_co128_k3_s1_p1_a1_w1_"
                "bipolar_thr1 (_g2 after p; bipolar0, unipolar; acc, shift2)"
            )
        values: dict[str, Any] = {
            name: int(match[i]) for i, name in enumerate(("n", "ci", "h", "w", "co"), 1)
        }
        for i, name in ((6, "kernel"), (8, "stride"), (10, "pad")):
            values[name] = int(match[i]), int(match[i + 1] or match[i])
        values |= {"groups": int(match[12] or 1), "polarity": match[15], "glue": match[16]}
        values |= {"a_bits": int(match[13]), "w_bits": int(match[14])}
        return cls(**values, out_bits=int(match[17] or 0), word=dtype)
