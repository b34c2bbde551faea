"""Few-bit convolution by chains: blocks ``pack_input``, ``panels``, [``table``,] ``tile``.

Panels have each pixel's window as running xors (``_bitserial_carries``), made from padded rows for
some tiles of pixels at a time: 14 tiles of 128 channels, 3x3, are 8 KB, which all output channels
read while they are in the L1 cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._bitserial_carries import Chain, chain_weights
from tvm_ops.operators._bitserial_chain_end import Form
from tvm_ops.operators._bitserial_chain_glue import ChainGlue
from tvm_ops.operators._bitserial_chain_tile import ChainTile
from tvm_ops.operators._bitserial_glue import Glue
from tvm_ops.operators._bitserial_tile import AnyTile
from tvm_ops.operators._bitserial_tiled import Tiled
from tvm_ops.operators._conv_tiles import Axis
from tvm_ops.operators._layout import Array


@dataclass(frozen=True)
class Chained(Tiled):
    """Sizes of a workload under the knobs ``pixels``, ``runs``."""

    @classmethod
    def of(cls, w: FewBitWorkload, knobs: dict[str, Any]) -> Chained:
        axis = Axis(w.out_h * w.out_w, knobs["pixels"] * knobs["runs"])
        return cls(w, axis, "im2col", True, "carries", "aarch64", runs=knobs["runs"])

    @property
    def cut(self) -> tuple[int, int]:
        found = self.w.chain_cut
        assert found
        return found

    @property
    def are_planes_together(self) -> bool:
        return False

    @property
    def chain(self) -> Chain:
        return Chain(self.pixels.tile // self.runs, self.steps)

    @property
    def bias(self) -> int:  # type: ignore[override]
        return sum(self.chain.bias << part.shift for part in self.parts)

    @property
    def form(self) -> Form:
        """What is left of sums of 32 bits: of y, or of T less a bound, for one bit its sign."""
        if self.w.out_bits == 1 and not self.is_corrected:
            return "high"
        most = 2**15 - 2  # T less a bound, which may be T + 1, is then 16 bits with a sign
        is_short = (
            self.w.output_dtype == "int16" if self.w.glue == "acc" else self.w.largest <= most
        )
        return "low" if is_short else "all"

    @property
    def sum_bits(self) -> int:
        return 32 if self.form == "all" else 16

    @property
    def starts(self) -> int:  # type: ignore[override]
        """A channel's, and zero where it has two neighbours."""
        return 4 * self.chain.vectors

    def arranged(self, weights: Array) -> Array:
        """Running xors along the words of each chain."""
        return chain_weights(weights)

    @property
    def rows_shape(self) -> tuple[int, ...]:
        """Of the padded input: [n, group, plane, row, column, word]."""
        w = self.w
        rows, cols = w.h + 2 * w.pad[0], w.w + 2 * w.pad[1]
        return w.n, w.groups, w.a_bits, rows, cols, self.blocks * self.words

    def _tile_of(self, pixel_step: int | None, glue: Glue) -> AnyTile:
        glue = ChainGlue(**vars(glue), form=self.form)
        return ChainTile(self.parts, pixel_step, glue, self.runs, self.chain)
