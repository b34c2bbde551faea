"""64-bit words of packed planes of any word, group and padding, as TIR."""

from __future__ import annotations

from typing import Any

from tvm_ops.operators import _bits
from tvm_ops.operators._bitserial import FewBitWorkload


def padded_word(
    w: FewBitWorkload, x: Any, at: list[Any], plane: Any, group: Any, word: Any, words: int
) -> Any:
    """A word of the padded input's pixel ``at`` (n, row, column); zero bits in pads.

    ``words`` is how many are asked for: past the group's last one they are zero.
    """
    from tvm import tirx

    n, row, col = at
    value = word64(w, x, [n, row - w.pad[0], col - w.pad[1]], plane, group, word)
    exists = []
    if w.pad[0]:
        exists += [row >= w.pad[0], row < w.h + w.pad[0]]
    if w.pad[1]:
        exists += [col >= w.pad[1], col < w.w + w.pad[1]]
    if words != w.group_words:
        exists.append(word < w.group_words)
    if not exists:
        return value
    return tirx.if_then_else(tirx.all(*exists), value, tirx.const(0, "uint64"))


def word64(w: FewBitWorkload, x: Any, at: list[Any], plane: Any, group: Any, index: Any) -> Any:
    """A 64-bit word of a group's channels at the pixel ``at`` (n, row, column), as TIR.

    Assembled of the tensor's words; zero bits where the group has no more channels.
    """
    from tvm import tirx

    per_group, bits = w.ci // w.groups, _bits.word_bits(w.word)
    first = group * (per_group // 32) + index * 2  # half words
    if w.word == "u64" and per_group % 64 == 0:
        return x[(*at, plane, first // 2)]

    def half(number: Any) -> Any:
        if w.word == "u64":
            both = x[(*at, plane, number // 2)]
            shift = tirx.Cast("uint64", number % 2 * 32)
            return both >> shift & tirx.const(0xFFFFFFFF, "uint64")
        parts = [
            tirx.Cast("uint64", x[(*at, plane, number * (32 // bits) + i)])
            << tirx.const(i * bits, "uint64")
            for i in range(32 // bits)
        ]
        return sum(parts[1:], parts[0])

    high = half(first + 1) << tirx.const(32, "uint64")
    if per_group % 64:
        exists = index * 2 + 1 < per_group // 32
        high = tirx.if_then_else(exists, high, tirx.const(0, "uint64"))
    return half(first) | high
