"""Codes of several bits: odd numbers of pixels, planes apart in parts, bytes in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schedules import _bitserial_carries, _bitserial_tiles, bitserial_conv2d
from tvm_ops.operators import _bitserial_chain_tile, _bitserial_tile
from tvm_ops.operators._bitserial_tiled import Tiled
from tvm_ops.operators.bitserial_conv2d import Workload
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.tuning.measure import Measurer

# Channels that no tile divides, except on rpi3; one chunk, or two, or two planes of weights.
SHORT = {"ci": 64, "h": 4, "w": 7, "co": 19, "a_bits": 2}
LONG = {"ci": 256, "h": 5, "w": 6, "co": 9, "a_bits": 2}
WIDE = {"ci": 64, "h": 5, "w": 7, "co": 64, "a_bits": 2, "out_bits": 2}
OUT_OF_ORDER = {"sketch": "assembly", "x": "padded", "block": 0, "duplicated": True,
                "k_bits": 64, "in_order": False}  # fmt: skip
IN_ORDER = {"sketch": "assembly", "x": "padded", "block": 0, "duplicated": False, "runs": 1,
            "k_bits": 16, "in_order": True}  # fmt: skip
CHAINS = {"sketch": "carries", "block": 1}


def tiles(base: dict[str, Any], *pairs: tuple[int, int]) -> list[dict[str, Any]]:
    """Knobs with so many pixels and runs."""
    return [base | {"pixels": pixels, "runs": runs} for pixels, runs in pairs]


CASES = [
    *(("rpi4", SHORT | {"out_bits": bits}, knobs)
      for bits in (1, 2, 3) for knobs in tiles(OUT_OF_ORDER, (1, 7), (3, 1), (5, 1), (4, 4))),
    *(("rpi4", LONG | {"out_bits": 2, "w_bits": bits}, knobs)
      for bits in (1, 2) for knobs in tiles(OUT_OF_ORDER, (2, 2), (4, 1))),
    *(("rpi5", SHORT | {"out_bits": bits}, knobs)
      for bits in (1, 2, 3) for knobs in tiles(CHAINS, (1, 1), (1, 7), (2, 7))),
    *(("rpi5", LONG | {"out_bits": 2, "w_bits": bits}, knobs)
      for bits in (1, 2) for knobs in tiles(CHAINS, (2, 2))),
    *(("rpi3", WIDE | {"w_bits": bits}, IN_ORDER | {"pixels": pixels})
      for bits in (1, 2) for pixels in (1, 4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("target", "fields", "knobs"), CASES)
def test_codes_equal_numpy(
    target: str, fields: dict[str, Any], knobs: dict[str, Any], tmp_path: Path
) -> None:
    task = Task("bitserial_conv2d", Workload(1, **fields), get_target(target))
    assert bitserial_conv2d.legal(task.workload, task.target, knobs)
    assert Measurer(task, "emulated", tmp_path, repeats=1).measure(knobs).error is None


def test_planes_are_apart_in_each_part() -> None:
    """256 channels are two chunks of 18 steps, each of both planes; 5 pixels have no registers."""
    w = Workload(1, 256, 14, 14, 256, a_bits=2, out_bits=2)
    apart = Tiled.of(w, OUT_OF_ORDER | {"pixels": 4, "runs": 1})
    assert len(apart.parts) == 2 and apart.chunk.apart and apart.chunk.steps == 36
    one_by_one = Tiled.of(w, OUT_OF_ORDER | {"pixels": 5, "runs": 1})
    assert len(one_by_one.parts) == 4 and one_by_one.chunk.steps == 18


@pytest.mark.parametrize(
    ("target", "channels", "a_bits", "knobs", "fits"),
    [
        ("rpi4", 128, 1, OUT_OF_ORDER | {"pixels": 4, "runs": 7}, True),  # 28 KB of 48
        ("rpi4", 128, 2, OUT_OF_ORDER | {"pixels": 4, "runs": 7}, False),  # 56 KB
        ("rpi4", 128, 2, OUT_OF_ORDER | {"pixels": 4, "runs": 4}, True),
        ("rpi5", 128, 2, CHAINS | {"pixels": 2, "runs": 7}, True),  # 29 KB of 64
        ("rpi5", 512, 2, CHAINS | {"pixels": 1, "runs": 7}, True),  # 62 KB
        ("rpi5", 512, 2, CHAINS | {"pixels": 2, "runs": 7}, False),  # 107 KB
        ("rpi5", 1024, 2, CHAINS | {"pixels": 2, "runs": 2}, True),  # a loop
    ],
)
def test_runs_fit_the_instruction_cache(
    target: str, channels: int, a_bits: int, knobs: dict[str, Any], fits: bool
) -> None:
    w = Workload(1, channels, 28, 28, channels, a_bits=a_bits, out_bits=a_bits)
    assert bitserial_conv2d.legal(w, get_target(target), knobs) == fits


def test_templates_know_what_is_straight_code() -> None:
    assert _bitserial_tiles._UNROLLED == _bitserial_tile.MAX_UNROLLED_OUT_OF_ORDER
    assert _bitserial_carries._UNROLLED == _bitserial_chain_tile._MAX_UNROLLED
