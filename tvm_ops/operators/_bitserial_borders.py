"""Exact zeros for the pads of bipolar codes: which outputs reach over a border, and by how much.

Pads are bits of zero, code 0, as those of other codes; T is corrected after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._layout import Array


def is_corrected(w: FewBitWorkload) -> bool:
    """Whether pads are exact zeros that a correction has to make."""
    return w.polarity == "bipolar0" and w.pad != (0, 0)


@dataclass(frozen=True)
class Edge:
    """Positions of an output axis by which taps fall outside of the input: ``classes`` of them."""

    size: int
    outputs: int
    kernel: int
    stride: int
    pad: int

    @property
    def before(self) -> int:
        """Outputs from the start that reach over it."""
        return min(self.outputs, -(-self.pad // self.stride))

    @property
    def after(self) -> int:
        """Outputs at the end that reach over it."""
        inside = (
            self.size + self.pad - self.kernel
        ) // self.stride + 1  # the first that reach none
        return self.outputs - min(self.outputs, max(inside, 0))

    @property
    def together(self) -> int:
        """Outputs whose class is that of the first one inside, less one."""
        return max(self.outputs - self.before - self.after - 1, 0)

    @property
    def classes(self) -> int:
        return self.outputs - self.together

    def of(self, output: Any) -> Any:
        """The class of an output, as TIR."""
        from tvm import tirx

        last_inside = self.before + self.together
        far = tirx.max(output - last_inside, 0)
        return tirx.min(output, self.before) + far

    def outside(self, index: int) -> Array:
        """Which taps of a class fall outside, bool [kernel]."""
        output = index if index <= self.before else index + self.together
        positions = output * self.stride - self.pad + np.arange(self.kernel)
        return (positions < 0) | (positions >= self.size)


def edges(w: FewBitWorkload) -> tuple[Edge, Edge]:
    """Of rows and columns."""
    args = zip((w.h, w.w), (w.out_h, w.out_w), w.kernel, w.stride, w.pad, strict=True)
    rows, cols = (Edge(*a) for a in args)
    return rows, cols


def corrections(w: FewBitWorkload, weights: Array) -> Array:
    """[row class * column class, co]: by how much T is too large where pads count as zero.

    Half of (2^a - 1) sum of weights outside is whole: ci / groups is even and weights are odd.
    """
    rows, cols = edges(w)
    per_tap = weights.astype(np.int64).sum(axis=3)  # [co, kh, kw]
    found = []
    for r in range(rows.classes):
        for c in range(cols.classes):
            outside = rows.outside(r)[:, None] | cols.outside(c)[None, :]
            found.append((per_tap * outside).sum(axis=(1, 2)))
    return (2**w.a_bits - 1) * np.stack(found) // 2
