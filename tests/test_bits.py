"""The bit order that is documented, written out; every code in every place."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import ROOT

from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.operators import _bits
from tvm_ops.operators._bits import (
    WORDS,
    bipolar_codes,
    bipolar_values,
    pack_codes,
    packed_shape,
    unpack_codes,
    values,
    word_bits,
)


@pytest.mark.parametrize("word", sorted(WORDS))
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_order_of_bits_as_it_is_documented(bits: int, word: str) -> None:
    """Plane p has bit p; channel c is bit c % 8 of byte c // 8; the same bytes for all words."""
    channels = 77
    for channel in range(channels):
        for code in range(2**bits):
            codes = np.zeros((1, channels), np.uint8)
            codes[0, channel] = code
            packed = pack_codes(codes, bits, word)
            assert packed.shape == packed_shape(codes.shape, bits, word)
            assert packed.dtype == WORDS[word]
            stored = packed.astype(packed.dtype.newbyteorder("<")).view(np.uint8)[0]
            for plane in range(bits):
                expected = [0] * stored.shape[1]
                expected[channel // 8] = (code >> plane & 1) << channel % 8
                assert stored[plane].tolist() == expected
            np.testing.assert_array_equal(unpack_codes(packed, channels), codes)


@pytest.mark.parametrize("word", WORDS)
def test_bits_past_the_last_channel_are_refused(word: str) -> None:
    """Each of them, in each plane; it is named."""
    channels = 13
    packed = pack_codes(np.zeros((2, channels), np.uint8), 2, word)
    for bit in range(channels, packed.shape[-1] * word_bits(word)):
        for plane in range(2):
            wrong = packed.copy()
            stored = wrong.view(np.uint8)
            stored[1, plane, bit // 8] = 1 << bit % 8
            with pytest.raises(CheckFailed, match=rf"set: 1, first at \[1, {plane}\] bit {bit}$"):
                unpack_codes(wrong, channels)


def test_the_documentation_says_so() -> None:
    guide = (ROOT / "docs/bundle.md").read_text(encoding="utf-8")
    assert "Channel c is bit\nc % 8 of byte c // 8, the least significant bit first" in guide
    text = re.sub(r"\s+", " ", _bits.__doc__ or "")
    assert "Plane p has bit p of each code, plane 0 the least significant." in text
    assert "Channel c is bit c % 8 of byte c // 8, the least significant bit first" in text


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_value_and_its_code(bits: int) -> None:
    codes = np.arange(2**bits, dtype=np.uint8)
    top = 2**bits - 1
    assert values(codes, bits, "unipolar").tolist() == list(range(top + 1))
    assert values(codes, bits, "bipolar").tolist() == list(range(-top, top + 1, 2))
    assert bipolar_codes(bipolar_values(codes, bits), bits, "w").tolist() == codes.tolist()
    for kind in (np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64):
        for value in range(-100, 101):
            array = np.array([value], kind)
            if value in range(-top, top + 1, 2):
                assert bipolar_codes(array, bits, "w").tolist() == [(value + top) // 2]
            else:
                with pytest.raises(InputError, match="w: channel 0 has "):
                    bipolar_codes(array, bits, "w")
