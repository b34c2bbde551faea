"""packed_concat: every start of a tensor within a word, literal bytes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.few_bits import TARGETS, check_equal, task_of
from tvm_ops.errors import InputError
from tvm_ops.operators import packed_concat as operator


@pytest.mark.parametrize("target", TARGETS)
def test_every_start_in_a_byte_and_around_words(target: str, tmp_path: Path) -> None:
    """Starts 1, 10, 11, 12, 13, 14, 15, 24, 63, 65, 129, 258; and 64, 128, 192."""
    for channels in ("1x9x1x1x1x1x1x9x39x2x64x129x30", "64x64x64x64"):
        key = f"packed_concat-n1_h1_w2_c{channels}_a1-u64"
        check_equal(task_of(key, target), {}, tmp_path)


def test_bytes_are_those_of_the_channels_in_order() -> None:
    """Three and six channels of one bit: 101 and 011011, of the least significant bit first."""
    w = task_of("packed_concat-n1_h1_w1_c3x6_a1-u8").workload
    x0, x1 = np.array([1, 0, 1], np.uint8), np.array([0, 1, 1, 0, 1, 1], np.uint8)
    arrays = {"x0": x0.reshape(1, 1, 1, 3), "x1": x1.reshape(1, 1, 1, 6)}
    packed = operator.pack(w, {}, arrays)
    assert [packed[name].tolist() for name in ("x0", "x1")] == [[[[[[5]]]]], [[[[[54]]]]]]
    y = np.array([[[[[5 | 54 << 3 & 255, 54 >> 5]]]]], np.uint8)
    assert np.array_equal(operator.unpack_output(w, y), operator.reference(w, arrays))


@pytest.mark.parametrize(
    ("key", "why"),
    [("c8_a1", "one list of channels"), ("c8x8_c3x3_a1", "one list of channels"),
     ("c0x8_a1", "every tensor has channels"), ("c8192x8_a1", "8200 channels are above"),
     ("c8x8", "a_bits missing"), ("x".join(["c8"] + ["8"] * 14) + "_a1", "15 tensors")],
)  # fmt: skip
def test_keys_that_are_none(key: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        task_of(f"packed_concat-n1_h4_w4_{key}-u8")


def test_codes_out_of_range_name_the_channel() -> None:
    w = task_of("packed_concat-n1_h1_w1_c3x3_a2-u8").workload
    x = np.array([0, 4, 3], np.uint8).reshape(1, 1, 1, 3)
    with pytest.raises(InputError, match="x1: channel 1 has 4, 2 bits hold 0 to 3"):
        operator.pack(w, {}, {"x1": x})
