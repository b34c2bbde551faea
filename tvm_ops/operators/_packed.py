"""What operators on packed tensors share: planes cut into vectors, logic of whole vectors."""

from __future__ import annotations

from typing import Any

from tvm_ops.operators._bits import check_codes, pack_codes, word_bits, words
from tvm_ops.operators._few_bits import check_given
from tvm_ops.operators._layout import Array
from tvm_ops.operators._llvm_function import Function

VECTOR = 16
"""Bytes."""


def pack_tensors(w: Any, arrays: dict[str, Array]) -> dict[str, Array]:
    """Those that are given, packed; raises ``InputError`` that names the channel."""
    check_tensors(w, arrays)
    return {name: pack_codes(codes, w.a_bits, w.word) for name, codes in arrays.items()}


def check_tensors(w: Any, arrays: dict[str, Array], *, all_of_them: bool = False) -> None:
    """Raises ``InputError``, naming the channel, for tensors of other codes than ``w.a_bits``'."""
    check_given(w, arrays, all_of_them=all_of_them)
    for name in arrays.keys() - w.parameters:
        check_codes(arrays[name], w.a_bits, name)


def plane_bytes(channels: int, word: str) -> int:
    """Of a plane of a pixel."""
    return words(channels, word) * word_bits(word) // 8


def pieces(length: int) -> list[tuple[int, int]]:
    """(first byte, bytes): whole vectors, then smaller ones, each of a power of two."""
    found, first = [], 0
    while first < length:
        size = min(VECTOR, 1 << ((length - first).bit_length() - 1))
        found.append((first, size))
        first += size
    return found


def bits_type(size: int) -> str:
    """LLVM's type of so many bytes of bits: integers below 8, of which vectors are taken apart."""
    return f"<{size} x i8>" if size >= 8 else f"i{8 * size}"


def inverse(f: Function, kind: str, bits: str) -> str:
    """All other bits."""
    return f.value(f"xor {kind} {bits}, {'splat (i8 -1)' if '<' in kind else -1}")


def choose(f: Function, kind: str, mask: str, a: str, b: str) -> str:
    """Bits of ``a`` where those of ``mask`` are set, else of ``b``: one ``bsl`` on ARM."""
    chosen = f.value(f"and {kind} {mask}, {a}")
    other = f.value(f"and {kind} {inverse(f, kind, mask)}, {b}")
    return f.value(f"or {kind} {chosen}, {other}")
