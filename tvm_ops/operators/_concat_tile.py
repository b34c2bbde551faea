"""The kernel of ``packed_concat``: all planes of some pixels, in LLVM IR.

A plane is an integer of all its bits, which LLVM shifts and joins word by word (``extr`` on
AArch64), and moves as words where nothing is to be shifted.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm_ops.operators._llvm_function import Function


@dataclass(frozen=True)
class ConcatTile:
    """``planes`` has the bytes of each tensor's plane, ``plane`` those of y's."""

    pixels: int
    bits: int
    channels: tuple[int, ...]
    planes: tuple[int, ...]
    plane: int

    def function(self) -> Function:
        """Of pointers to the first pixel of each tensor and of y."""
        f = Function((*(f"x{i}" for i in range(len(self.channels))), "y"))
        for plane in range(self.pixels * self.bits):
            self._join(f, plane)
        return f

    def _join(self, f: Function, plane: int) -> None:
        kind, total, before = f"i{8 * self.plane}", "0", 0
        for i, (channels, own) in enumerate(zip(self.channels, self.planes, strict=True)):
            value = f.load(f"i{8 * own}", f"%x{i}", plane * own)
            if own < self.plane:
                value = f.value(f"zext i{8 * own} {value} to {kind}")
            moved = f.value(f"shl {kind} {value}, {before}")
            total = f.value(f"or {kind} {total}, {moved}")
            before += channels
        f.store(kind, total, "%y", plane * self.plane)
