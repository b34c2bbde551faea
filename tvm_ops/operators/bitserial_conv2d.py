"""2-d convolution of few-bit codes, with its glue: packed planes in, packed planes out.

Everything is xor and popcount, see ``_bitserial_pack``. Sketches ``assembly`` and ``intrinsics``
are register tiles (``_bitserial_tiled``), ``plain`` is loops (``_bitserial_plain``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_ops.operators import _bitserial_pack, _bitserial_reference
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._bitserial_blocks import compute_tiled
from tvm_ops.operators._bitserial_chained import Chained
from tvm_ops.operators._bitserial_plain import Plain, compute_plain
from tvm_ops.operators._bitserial_tiled import Tiled
from tvm_ops.operators._layout import Array

ERROR_BOUND = 0


@dataclass(frozen=True)
class Workload(FewBitWorkload):
    """Every ``FewBitWorkload``."""


WORKLOADS = [
    # The 3x3 convolutions of ResNet-18's stages (He et al. 2015, table 1), one bit and two.
    Workload(1, 64, 56, 56, 64),
    Workload(1, 128, 28, 28, 128),
    Workload(1, 256, 14, 14, 256),
    Workload(1, 512, 7, 7, 512),
    Workload(1, 64, 56, 56, 64, a_bits=2, polarity="unipolar", out_bits=2),
    Workload(1, 128, 28, 28, 128, a_bits=2, polarity="unipolar", out_bits=2),
    Workload(1, 256, 14, 14, 256, a_bits=2, polarity="unipolar", out_bits=2),
    Workload(1, 512, 7, 7, 512, a_bits=2, polarity="unipolar", out_bits=2),
    # Strides, 1x1, 5x5; channels and pixels that no tile divides.
    Workload(1, 64, 9, 11, 24, (3, 3), (2, 2)),
    Workload(1, 256, 5, 5, 13, (1, 1), (1, 1), (0, 0), out_bits=3, word="u8"),
    Workload(2, 128, 7, 6, 20, (5, 5), (1, 1), (2, 2), a_bits=2, glue="shift", word="u32"),
    Workload(1, 96, 7, 9, 9, (3, 2), (2, 1), (0, 2), a_bits=3, w_bits=2, out_bits=2, word="u32"),
    Workload(1, 32, 1, 1, 3, word="u8"),
    Workload(1, 320, 4, 5, 10, a_bits=1, w_bits=2, polarity="unipolar", glue="shift", out_bits=2),
    # Exact zeros for pads; sums of 16 and 32 bits.
    Workload(1, 64, 6, 7, 16, polarity="bipolar0", out_bits=2),
    Workload(1, 64, 8, 5, 11, (5, 5), (2, 3), (3, 1), 1, 2, 2, "bipolar0", "acc", 0),
    Workload(1, 512, 3, 4, 12, (3, 3), (1, 1), (1, 1), 1, 3, 2, "unipolar", "acc", 0),
    Workload(1, 512, 3, 3, 9, a_bits=3, w_bits=2, polarity="bipolar0", out_bits=3),
    # Groups: of whole tiles; of fewer channels. A kernel too wide for tiles.
    Workload(1, 64, 6, 5, 48, groups=2, a_bits=2, out_bits=2, word="u32"),
    Workload(1, 96, 5, 6, 15, groups=3, polarity="bipolar0"),
    Workload(1, 128, 4, 5, 128, groups=2, polarity="bipolar0", out_bits=2),
    Workload(1, 64, 3, 40, 5, (1, 33), (1, 1), (0, 1), w_bits=2),
]

reference = _bitserial_reference.reference
data = _bitserial_reference.data
unpack_output = _bitserial_reference.unpack_output


def layouts(w: Workload) -> dict[str, str]:
    """The axes of the kernel's arguments."""
    y = "n h w co" if w.glue == "acc" else "n h w plane word"
    return {"x": "n h w plane word", "y": y}


def plan(w: FewBitWorkload, knobs: dict[str, Any]) -> Plain | Tiled:
    """Sizes under the knobs."""
    if knobs["sketch"] == "plain":
        return Plain.of(w, knobs)
    return Chained.of(w, knobs) if knobs["sketch"] == "carries" else Tiled.of(w, knobs)


def pack(w: Workload, knobs: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Array]:
    """What the kernel takes, of those of the arrays that are given; see ``_bitserial_pack``."""
    return _bitserial_pack.pack(w, plan(w, knobs), arrays)


def compute(w: FewBitWorkload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc of what ``pack`` makes: x, weights, the glue's, y."""
    found = plan(w, knobs)
    return compute_plain(found) if isinstance(found, Plain) else compute_tiled(found)
