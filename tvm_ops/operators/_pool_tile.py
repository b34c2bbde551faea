"""The kernel of ``packed_max_pool2d``: some pixels of a row of output, in LLVM IR.

Codes are compared in place, as many as a vector has bits: from the lowest plane up, where a plane
of two codes differs, the one that has the bit is the larger so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from tvm_ops.operators._llvm_function import Function
from tvm_ops.operators._packed import bits_type, choose, inverse, pieces


@dataclass(frozen=True)
class PoolTile:
    """For each pixel of output the bytes from the rows' pointers to its ``columns`` of input."""

    rows: int
    columns: tuple[tuple[int, ...], ...]
    bits: int
    plane: int

    def function(self) -> Function:
        """Of pointers to the first column in each row, and to y."""
        rows = tuple(f"x{i}" for i in range(self.rows))
        f = Function((*rows, "y"))
        for pixel, columns in enumerate(self.columns):
            for first, size in pieces(self.plane):
                kind = bits_type(size)
                at = [c * self.bits * self.plane + first for c in columns]
                # Rows first: neighbouring pixels of output share columns.
                by_column = [
                    self._largest(f, kind, [self._load(f, kind, f"%{row}", o) for row in rows])
                    for o in at
                ]
                for p, value in enumerate(self._largest(f, kind, by_column)):
                    y = (pixel * self.bits + p) * self.plane + first
                    f.store(kind, value, "%y", y)
        return f

    def _load(self, f: Function, kind: str, row: str, offset: int) -> list[str]:
        return [f.load(kind, row, offset + p * self.plane) for p in range(self.bits)]

    def _largest(self, f: Function, kind: str, codes: list[list[str]]) -> list[str]:
        return reduce(lambda a, b: _larger(f, kind, a, b), codes)


def _larger(f: Function, kind: str, a: list[str], b: list[str]) -> list[str]:
    """Planes of the larger codes; of the highest it is the ``or``."""
    top = f.value(f"or {kind} {a[-1]}, {b[-1]}")
    if len(a) == 1:
        return [top]
    is_larger = f.value(f"and {kind} {a[0]}, {inverse(f, kind, b[0])}")
    for p, q in zip(a[1:], b[1:], strict=True):
        differ = f.value(f"xor {kind} {p}, {q}")
        is_larger = choose(f, kind, differ, p, is_larger)
    chosen = [choose(f, kind, is_larger, p, q) for p, q in zip(a[:-1], b[:-1], strict=True)]
    return [*chosen, top]
