"""Straight-line code for register tiles of a depthwise convolution, rows x columns of outputs.

A padded copy of the input costs about as much as the convolution. So tiles whose taps reach over
an edge of the input in the same way share code that leaves these taps out, and a loop runs over
each such span of tiles: with 3x3 and stride 1 they are top, inside, bottom times left, inside,
right. 7x7 outputs, where every tile touches an edge, run as fast as the middle of 112x112.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._epilogue import activate_tir

HELD_TAPS = 9  # kernels with more do not stay in the registers beside the accumulators
_FENCE = "tvm_ops_fence"

# Nothing for the machine, but no load or store passes it. Without it LLVM moves the loads of later
# rows and tiles up until the accumulators spill (64@14, tiles of 2x7 on A53: 23.3 cycles a vector
# of outputs instead of 19.9). It also keeps LLVM from hoisting the weights of larger kernels out of
# the loops, from where they would be spilled and loaded again for each use.
FENCE = f"""define i32 @{_FENCE}() alwaysinline {{
  call void asm sideeffect "", "~{{memory}}"()
  ret i32 0
}}
"""


def fence() -> None:
    """Emits the fence; the code around needs the pragma ``pragma_import_llvm`` with ``FENCE``."""
    from tvm.script.ir_builder import tirx as T

    T.evaluate(T.call_extern("int32", _FENCE))


@dataclass(frozen=True)
class Span:
    """``count`` tiles along one axis, ``step`` apart from ``start`` on, that need the same taps.

    ``outputs`` are the offsets of the tile's outputs (along the columns of planes: of vectors of
    them), ``taps`` those of the kernel that lie in the input, for each output.
    """

    start: int
    count: int
    step: int
    outputs: tuple[int, ...]
    taps: tuple[range, ...]

    def tiles(self) -> Iterator[Any]:
        """The position of each tile: a constant, or once that of a loop around what is emitted."""
        from tvm.script.ir_builder import tirx as T

        if self.count == 1:
            yield self.start
            return
        with T.serial(0, self.count) as tile:
            yield self.start + tile * self.step

    def uses(self, position: Callable[[int, int], Any]) -> dict[Any, list[tuple[int, int]]]:
        """position(output, tap) in the input -> the (output's number, tap) that need it."""
        found: dict[Any, list[tuple[int, int]]] = {}
        for number, (output, taps) in enumerate(zip(self.outputs, self.taps, strict=True)):
            for tap in taps:
                found.setdefault(position(output, tap), []).append((number, tap))
        return dict(sorted(found.items()))


def spans(w: ConvWorkload, axis: int, tile: int) -> list[Span]:
    """All tiles of ``tile`` outputs along the axis (0 rows, 1 columns); the last may have fewer."""
    outputs = (w.out_h, w.out_w)[axis]
    tiles = [
        tuple(_inside(w, axis, o) for o in range(start, min(start + tile, outputs)))
        for start in range(0, outputs, tile)
    ]
    found, start = [], 0
    for taps, group in groupby(tiles):
        count = len(list(group))
        found.append(Span(start, count, tile, tuple(range(len(taps))), taps))
        start += count * tile
    return found


def _inside(w: ConvWorkload, axis: int, output: int) -> range:
    """The taps that lie in the input, not in its padding."""
    start, dilation = output * w.stride[axis] - w.pad[axis], w.dilation[axis]
    end = min(w.kernel[axis], ((w.h, w.w)[axis] - 1 - start) // dilation + 1)
    first = min(max(0, -(start // dilation)), w.kernel[axis])
    return range(first, max(first, end))


@dataclass
class TileCode:
    """The code for all outputs of one channel, or of one vector of channels.

    ``positions``, for rows and columns, name what an (output, tap) reads, the same name for the
    same input; ``load`` reads the input of two names in the tile at (top, left). ``weight(i, j)``
    and ``parameter(name)``, of bias or slope, are scalars or vectors; ``output(row, column)`` is
    the index in y and residual. ``fence_rows``: each row of the input is loaded after the last.
    """

    w: ConvWorkload
    buffers: dict[str, Any]
    load: Callable[[Any, Any, Any, Any], Any]
    weight: Callable[[int, int], Any]
    parameter: Callable[[str], Any]
    output: Callable[[Any, Any], list[Any]]
    positions: tuple[Callable[[int, int], Any], Callable[[int, int], Any]]
    fence_rows: bool

    def emit(self, rows: list[Span], cols: list[Span]) -> None:
        from tvm.script.ir_builder import tirx as T

        kh, kw = self.w.kernel
        self.bias = T.bind(self.parameter("bias"))
        self.slope = T.bind(self.parameter("slope")) if "slope" in self.buffers else None
        taps = [(i, j) for i in range(kh) for j in range(kw)]
        held = {at: T.bind(self.weight(*at)) for at in taps} if len(taps) <= HELD_TAPS else {}
        for row_span in rows:
            for top in row_span.tiles():
                for col_span in cols:
                    for left in col_span.tiles():
                        self._tile(row_span, col_span, top, left, dict(held))

    def _tile(self, rows: Span, cols: Span, top: Any, left: Any, weights: dict[Any, Any]) -> None:
        """Each input is loaded once, and multiplied for all outputs that need it."""
        from tvm.script.ir_builder import tirx as T

        fence()
        missing = {
            (r, c): len(row_taps) * len(col_taps)
            for r, row_taps in enumerate(rows.taps)
            for c, col_taps in enumerate(cols.taps)
        }
        place = {at: (top + rows.outputs[at[0]], left + cols.outputs[at[1]]) for at in missing}
        for at in [at for at, count in missing.items() if not count]:  # only padding
            self._store(self._start(*place[at]), *place[at])
        sums: dict[tuple[int, int], Any] = {}
        col_uses = cols.uses(self.positions[1])
        for number, (i, by_row) in enumerate(rows.uses(self.positions[0]).items()):
            if number and self.fence_rows:
                fence()
            for j, by_col in col_uses.items():
                value = T.bind(self.load(i, j, top, left))
                for (r, kh), (c, kw) in ((a, b) for a in by_row for b in by_col):
                    if (kh, kw) not in weights:
                        weights[kh, kw] = T.bind(self.weight(kh, kw))
                    total = sums.pop((r, c), None)
                    total = self._start(*place[r, c]) if total is None else total
                    sums[r, c] = T.bind(total + value * weights[kh, kw])
                    missing[r, c] -= 1
                    if not missing[r, c]:
                        self._store(sums.pop((r, c)), *place[r, c])

    def _start(self, row: Any, column: Any) -> Any:
        if not self.w.residual:
            return self.bias
        return self.buffers["residual"][tuple(self.output(row, column))] + self.bias

    def _store(self, total: Any, row: Any, column: Any) -> None:
        from tvm.script.ir_builder import tirx as T

        value = activate_tir(self.w.activation, total, self.slope)
        T.buffer_store(self.buffers["y"], value, self.output(row, column))
