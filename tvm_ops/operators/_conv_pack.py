"""The padded input of a convolution, split by stride, and stores of whole or partial vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._conv import ConvWorkload


@dataclass(frozen=True)
class Axis:
    """One spatial axis of the padded input, position = index * stride + phase.

    Tap t of output o lies at o * stride + t * dilation, so neighbouring outputs read neighbouring
    indices of one phase: vectors along the axis are contiguous for every stride. Phases are
    multiples of ``step``; ``length`` indices of each cover all outputs.
    """

    size: int
    pad: int
    stride: int
    dilation: int
    taps: int
    outputs: int

    @property
    def step(self) -> int:
        return math.gcd(self.stride, self.dilation)

    @property
    def phases(self) -> int:
        return max(self.phase(t) for t in range(self.taps)) + 1

    @property
    def length(self) -> int:
        return self.outputs + (self.taps - 1) * self.dilation // self.stride

    def phase(self, tap: Any) -> Any:
        return tap * self.dilation % self.stride // self.step

    def index(self, output: Any, tap: Any) -> Any:
        return output + tap * self.dilation // self.stride

    def inside(self, phase: int) -> tuple[int, int]:
        """First and end index of ``phase`` that lie in the input, not in its padding."""
        start = phase * self.step - self.pad  # position in the input of index 0
        first, end = -(start // self.stride), -((start - self.size) // self.stride)
        end = min(max(end, 0), self.length)
        return min(max(first, 0), end), end

    def position(self, phase: Any, index: Any) -> Any:
        return index * self.stride + phase * self.step - self.pad


@dataclass(frozen=True)
class Packed:
    """packed[n, ci, row phase, row index, column phase, column index] for so many outputs."""

    w: ConvWorkload
    rows: Axis
    cols: Axis

    @classmethod
    def of(cls, w: ConvWorkload, out_h: int, out_w: int) -> Packed:
        def axis(i: int, size: int, outputs: int) -> Axis:
            return Axis(size, w.pad[i], w.stride[i], w.dilation[i], w.kernel[i], outputs)

        return cls(w, axis(0, w.h, out_h), axis(1, w.w, out_w))

    @property
    def shape(self) -> tuple[int, ...]:
        r, c = self.rows, self.cols
        return self.w.n, self.w.ci, r.phases, r.length, c.phases, c.length

    def at(self, n: Any, ci: Any, tap: tuple[Any, Any], oh: Any, ow: Any) -> list[Any]:
        r, c, (i, j) = self.rows, self.cols, tap
        return [n, ci, r.phase(i), r.index(oh, i), c.phase(j), c.index(ow, j)]

    def pack_input(self, x: Any, packed: Any, lanes: int) -> None:
        """The block ``pack_input``: zeros where the kernel reaches over the input's edge."""
        from tvm import tirx
        from tvm.script.ir_builder import tirx as T

        w, rows, cols = self.w, self.rows, self.cols
        loops = (1, 1, *self.shape[:4])
        with T.grid(*loops) as indices, T.sblock("pack_input"):
            vz, vy, vn, vc, vp, vi = map(T.axis.spatial, loops, indices)
            row = rows.position(vp, vi)
            T.reads(x[vn, vc, row, 0 : w.w])
            T.writes(packed[vn, vc, vp, vi, whole(vz, cols.phases), whole(vy, cols.length)])

            def fill(phase: int, first: int, end: int, is_zero: bool) -> None:
                def store(i: Any) -> None:
                    column = cols.position(phase, first + i)
                    value = T.float32(0) if is_zero else x[vn, vc, row, column]
                    T.buffer_store(packed, value, [vn, vc, vp, vi, phase, first + i])

                copy(end - first, lanes if is_zero or cols.stride == 1 else 1, store)

            with T.If(tirx.all(row >= 0, row < w.h)):
                with T.Then():
                    for phase in range(cols.phases):
                        first, end = cols.inside(phase)
                        fill(phase, 0, first, True)
                        fill(phase, first, end, False)
                        fill(phase, end, cols.length, True)
                with T.Else():
                    for phase in range(cols.phases):
                        fill(phase, 0, cols.length, True)


def zero_outside(w: ConvWorkload, value: Any, row: Any, col: Any) -> Any:
    """``value`` where (row, col) lies in the input, 0 in its padding; a workload may have none."""
    from tvm import tirx

    inside = [row >= 0, row < w.h] if w.pad[0] else []
    inside += [col >= 0, col < w.w] if w.pad[1] else []
    return (
        tirx.if_then_else(tirx.all(*inside), value, tirx.const(0, "float32")) if inside else value
    )


def whole(iterator: Any, size: int) -> slice:
    """A whole axis, as compute_at wants it: the range of an iterator of extent 1."""
    return slice(iterator * size, iterator * size + size)


def copy(count: int, lanes: int, store: Callable[[Any], None]) -> None:
    """``store(i)`` for i < count: vectors, then the rest one by one."""
    from tvm.script.ir_builder import tirx as T

    vectors = count // lanes if lanes > 1 else 0
    if vectors:
        with T.serial(0, vectors) as i, T.vectorized(0, lanes) as lane:
            store(i * lanes + lane)
    if count > vectors * lanes:
        with T.serial(0, count - vectors * lanes) as i:
            store(vectors * lanes + i)


def store_vector(start: Any, size: int, lanes: int, store: Callable[[Any], None]) -> None:
    """``store(lane)`` for the lanes with start + lane < size; ``start`` is a multiple of ``lanes``.

    Conditional stores are not vectorized, so whole vectors are told from the partial one, if any.
    """
    from tvm.script.ir_builder import tirx as T

    with T.If(start // lanes < size // lanes):
        with T.Then(), T.vectorized(0, lanes) as lane:
            store(lane)
        if size % lanes:
            with T.Else(), T.serial(0, size % lanes) as lane, T.If(start + lane < size), T.Then():
                store(lane)
