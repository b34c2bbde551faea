"""What workloads of few-bit operators share: checks of fields, types as they stand in keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import fields
from math import prod
from typing import Any, ClassVar, cast

import numpy as np

from tvm_ops.errors import InputError
from tvm_ops.operators._bits import POLARITIES, WORDS, bipolar_codes
from tvm_ops.operators._conv import MAX_ELEMENTS, MAX_SIZE
from tvm_ops.operators._glue import check_shift, check_thresholds
from tvm_ops.operators._layout import Array, check_arrays

GLUES = ("thr", "shift")
"""Forms of glue; in a key the number of bits that they make follows."""
GLUE_PARAMETERS = {"thr": ("thresholds", "signs"), "shift": ("mu", "shift"), "acc": ()}
MAX_BITS = 3


class FewBits(ABC):
    """A workload, or the part of it that checks; subclasses are frozen dataclasses."""

    macs_per_operation: ClassVar[float] = 16
    """Where ``macs`` are elements: a vector operation takes 16 bytes."""

    @property
    @abstractmethod
    def arguments(self) -> tuple[str, ...]:
        """What the reference takes, in this order."""

    @property
    @abstractmethod
    def shape_key(self) -> str:
        """The key's fields."""

    def require(self, fits: bool, why: str) -> None:
        """Raises ``InputError`` that names the workload."""
        if not fits:
            raise InputError(f"workload {self.shape_key}: {why}")

    def require_types(self) -> None:
        """Fields are plain integers, pairs or lists of them, and strings, as they are declared."""
        for field in fields(cast(Any, self)):
            value = getattr(self, field.name)
            if field.type in ("int", "str"):
                kind = int if field.type == "int" else str
                fits = type(value) is kind  # a bool is no size, and numpy's integers wrap
                what = {int: "an integer", str: "a string"}[kind]
            else:
                pair = field.type == "Pair"
                fits = isinstance(value, tuple) and all(type(size) is int for size in value)
                fits = fits and (len(value) == 2 if pair else len(value) > 0)
                what = "a pair of integers" if pair else "a tuple of integers"
            if not fits:
                operator = type(self).__module__.rpartition(".")[2]
                raise InputError(f"workload of {operator}: {field.name} {value!r} is not {what}")

    def require_sizes(self, *sizes: int) -> None:
        """Each 1 to MAX_SIZE, and all together the elements of a tensor that can be."""
        self.require(min(sizes) >= 1, "sizes must be at least 1")
        self.require(max(sizes) <= MAX_SIZE, f"no size may be above {MAX_SIZE}")
        self.require(prod(sizes) <= MAX_ELEMENTS, f"a tensor of shape {sizes} is too large")

    def require_bits(self, name: str, bits: int) -> None:
        self.require(1 <= bits <= MAX_BITS, f"{name} {bits} is not 1 to {MAX_BITS}")

    def require_out_bits(self, glue: str, bits: int) -> None:
        """Those of codes; sums have none."""
        if glue == "acc":
            self.require(bits == 0, "glue acc has out_bits 0")
        else:
            self.require_bits("out_bits", bits)

    def require_polarity(self, polarity: str) -> None:
        self.require(polarity in POLARITIES, f"polarity is one of {', '.join(POLARITIES)}")

    def require_word(self, word: str) -> None:
        self.require(word in WORDS, f"words are {', '.join(WORDS)}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of ``arguments`` that are a trained network's."""
        known = {name for names in GLUE_PARAMETERS.values() for name in names} | {"weights"}
        return tuple(name for name in self.arguments if name in known)


class Windowed(FewBits):
    """One with a window that moves over h and w."""

    h: int
    w: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]

    def require_window(self) -> None:
        """The stride is a size; the window has no row or column that is pads only."""
        self.require_sizes(*self.kernel, *self.stride)
        for size, k, p in zip((self.h, self.w), self.kernel, self.pad, strict=True):
            self.require(p >= 0, "padding must not be negative")
            self.require(p < k, f"pad {p} is not below the window's {k}: it would be all pads")
            self.require(
                k <= size + 2 * p, f"window {k} is above the padded input's {size + 2 * p}"
            )

    @property
    def out_h(self) -> int:
        return (self.h + 2 * self.pad[0] - self.kernel[0]) // self.stride[0] + 1

    @property
    def out_w(self) -> int:
        return (self.w + 2 * self.pad[1] - self.kernel[1]) // self.stride[1] + 1


def split_dtype(text: str, dtype: str, first: Iterable[str]) -> tuple[str, str]:
    """``s16u64`` as ``s16``, which is one of ``first``, and the word; raises ``InputError``."""
    for name in first:
        if dtype.startswith(name) and dtype.removeprefix(name) in WORDS:
            return name, dtype.removeprefix(name)
    known = f"one of {', '.join(first)} and a word, {', '.join(WORDS)}"
    raise InputError(f"workload '{text}': type '{dtype}' is not {known}")


def take_glue(text: str, values: dict[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """The values of a key's fields, with ``glue`` and ``out_bits`` for thr1, shift2 or acc.

    Raises ``InputError`` unless there is one glue of ``known``.
    """
    there = [name for name in known if name in values]
    if len(there) != 1:
        raise InputError(f"workload '{text}': one of {', '.join(known)} is needed, as thr1")
    others = {name: value for name, value in values.items() if name not in there}
    value = values[there[0]]
    return others | {"glue": there[0], "out_bits": 0 if there[0] == "acc" else value}


def glue_shapes(glue: str, bits: int, channels: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the glue's parameters."""
    shapes: dict[str, tuple[int, ...]] = {
        "thresholds": (channels, 2**bits - 1),
        "signs": (channels,),
        "mu": (channels,),
        "shift": (channels,),
    }
    return {name: shapes[name] for name in GLUE_PARAMETERS[glue]}


def check_given(w: Any, arrays: dict[str, Array], *, all_of_them: bool = False) -> None:
    """``check_arrays``, and that the parameters are all there or none, or all that there is.

    Raises ``InputError``; for glue that ``_glue`` refuses, and weights that are not +-1 or, of two
    bits, +-1 and +-3, it names the channel.
    """
    check_arrays(w, arrays)
    missing = [name for name in w.arguments if name not in arrays]
    together = w.arguments if all_of_them else w.parameters
    lost = [name for name in missing if name in together]
    if lost and (all_of_them or any(name in arrays for name in together)):
        names = ", ".join(together)
        raise InputError(f"'{lost[0]}' is missing: {w.shape_key} needs {names} together")
    if "weights" in arrays:
        bipolar_codes(arrays["weights"], getattr(w, "w_bits", 1), "weights")
    if "signs" in arrays:
        thresholds, signs = arrays["thresholds"], arrays["signs"]
        check_thresholds(thresholds, signs, len(signs), w.out_bits)
    if "mu" in arrays:
        check_shift(arrays["mu"], arrays["shift"], len(arrays["mu"]))


def glue_data(rng: Any, glue: str, bits: int, channels: int, largest: float) -> dict[str, Any]:
    """Seeded parameters for sums of about ``largest``: both signs, every few channels constant."""
    if glue == "acc":
        return {}
    spread = max(1, int(largest))
    if glue == "shift":
        top = max(1, spread.bit_length() - bits + 1)
        return {
            "mu": rng.integers(-spread, spread, channels, endpoint=True, dtype=np.int32),
            "shift": rng.integers(0, top, channels, endpoint=True, dtype=np.int32),
        }
    thresholds = np.sort(rng.integers(-spread, spread, (channels, 2**bits - 1), dtype=np.int32))
    thresholds[5::11] = np.iinfo(np.int32).min  # always met
    thresholds[7::13] = np.iinfo(np.int32).max  # never
    return {"thresholds": thresholds, "signs": rng.choice(np.array([-1, 1], np.int8), channels)}
