"""A few-bit tile of chains (``_bitserial_carries``): P pixels x 8 output channels, as LLVM IR."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from tvm_ops.operators._bitserial_carries import Chain
from tvm_ops.operators._bitserial_chain_end import SIZE, ChainCall, Form
from tvm_ops.operators._bitserial_chain_glue import ChainGlue
from tvm_ops.operators._bitserial_tile import AnyTile, Part
from tvm_ops.operators._llvm_function import Function

_MAX_UNROLLED = 4  # parts of a plane without a loop: 4 KB each of 18 pairs


@dataclass(frozen=True)
class ChainTile(AnyTile):
    """Its parts are chains of the same length; see ``_bitserial_chain_end``."""

    glue: ChainGlue
    chain: Chain

    @property
    def pixels(self) -> int:
        return self.chain.pixels

    def sums(self, f: Function, pointers: list[str], run: int) -> list[str]:
        """Of 16 bits, the upper ones if the glue takes the sign only, or of 32 bits."""
        x = f.pointer(pointers[0], run * self.chain.size)
        first, last = self.parts[0], self.parts[-1]
        if first is not last:
            self._add(f, x, first.x, first.weights, first.shift, is_first=True)
        for shift, parts in groupby(self.parts[1:-1], lambda part: part.shift):
            self._add_plane(f, x, list(parts), shift)
        found = self._add(
            f, x, last.x, last.weights, last.shift, is_first=first is last, form=self.glue.form
        )
        size = self.glue.sum_bits
        if size == 32:
            pairs = zip(found[::2], found[1::2], strict=True)
            found = [f.join(list(pair), "i8", 16) for pair in pairs]
        return [f.value(f"bitcast <{size} x i8> {value} to <8 x i{size}>") for value in found]

    def _add_plane(self, f: Function, x: str, parts: list[Part], shift: int) -> None:
        """Adds chains of a plane to the sums in memory."""
        if len(parts) <= _MAX_UNROLLED:
            for part in parts:
                self._add(f, x, part.x, part.weights, shift)
            return

        def add(entry: str, _: list[str]) -> list[str]:
            at, weights = (f.load("i32", entry, 4 * i) for i in range(2))
            return self._add(f, x, at, weights, shift)

        first = f.pointer(f"@{self.table_name}", 8 * self.parts.index(parts[0]))
        f.loop(len(parts), {first: 8}, [], "", add)

    def _add(
        self,
        f: Function,
        x: str,
        at: int | str,
        weights: int | str,
        shift: int,
        is_first: bool = False,
        form: Form | None = None,
    ) -> list[str]:
        """Adds a chain to what sums begin with, or are in memory; they go there, or are given."""
        sums = f.memory(SIZE * self.chain.vectors * self.pixels)
        pointers = {
            "x": f.pointer(x, at),
            "weights": f.pointer("%weights", weights),
            "scales": f.pointer(f"@{self._scales_name}", SIZE * shift),
            "before": "%starts" if is_first else sums,
            "after": sums,
        }
        return ChainCall(self.chain, is_first, form).call(f, pointers)

    @property
    def _scales(self) -> list[int]:
        """Of each plane, what its carries and its rests are multiplied by, 16 bytes.

        Sums y are less by T times their factor.
        """
        times = 1 if self.glue.out_bits else -self.glue.factor
        sign = -1 if self.chain.is_rest_negated else 1
        planes = range(self.parts[0].shift + 1)
        return [
            scale
            for i in planes
            for scale in (times << i + 1, sign * times << i, 0, 0)
            for _ in range(4)
        ]

    @property
    def _scales_name(self) -> str:
        return "tvm_ops_scales_" + "_".join(str(n % 256) for n in self._scales[::4])

    @property
    def constants(self) -> list[str]:
        """Also ``_scales``."""
        kind, values = f"[{len(self._scales)} x i8]", ", ".join(f"i8 {n}" for n in self._scales)
        return [
            *super().constants,
            f"@{self._scales_name} = private constant {kind} [{values}]",
        ]
