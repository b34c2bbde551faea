"""Which integer type holds every sum that few-bit operands can make; the proof, and its limits."""

from __future__ import annotations

from tvm_ops.errors import InputError

INT16_LARGEST = 2**15 - 1
INT32_LARGEST = 2**30 - 1
"""Largest |y| for which y = A - 2 T is computed in int32 without a step that wraps."""


def largest_sum(k: int, a_bits: int, w_bits: int) -> int:
    """M = k (2^a_bits - 1) (2^w_bits - 1): the largest |y| and the largest T of ``k`` products.

    |y|: no code of a bits is larger in magnitude than 2^a - 1, unipolar (0 .. 2^a - 1) as bipolar
    (-(2^a - 1) .. 2^a - 1), so |x w| <= (2^a - 1) (2^w - 1), and y is a sum of k of them. A pad
    that counts as zero only takes terms away. Both bounds are reached: all codes at the top,
    all weights at the same end.

    T = sum over planes i of x, j of w of 2^(i + j) popcount(x_i ^ w_j): each popcount is at most k
    (and is k where all bits differ), and the sum of 2^(i + j) is (2^a - 1) (2^w - 1).
    """
    return k * (2**a_bits - 1) * (2**w_bits - 1)


def sum_dtype(largest: int) -> str:
    """The type, "int16" or "int32", of sums y with |y| <= ``largest``.

    int16: ``largest`` <= 2^15 - 1. int32: what is computed on the way is A - m T with m <= 2 and
    0 <= T, A <= ``largest`` (unipolar: A = sum 2^(i + j) popcount(w_j) <= M; bipolar: A = M), so
    2 ``largest`` <= 2^31 - 1 keeps every step within int32. That leaves 2^31 - 1 and -2^31 as
    thresholds which no sum passes.

    Raises ``InputError`` if not even int32 is proven safe.
    """
    if largest <= INT16_LARGEST:
        return "int16"
    if largest <= INT32_LARGEST:
        return "int32"
    raise InputError(f"sums reach {largest}, int32 is proven safe to {INT32_LARGEST}")


def accumulator_dtype(k: int, a_bits: int, w_bits: int) -> str:
    """The type of sums of ``k`` products of ``a_bits`` and ``w_bits``: "int16" or "int32".

    ``k`` is kernel * kernel * ci / groups; for any polarity. The proof is ``largest_sum``'s and
    ``sum_dtype``'s.
    Raises ``InputError`` if not even int32 is proven safe: that holds for all output channels, as
    they all sum k products.
    """
    try:
        return sum_dtype(largest_sum(k, a_bits, w_bits))
    except InputError as error:
        raise InputError(
            f"every channel sums {k} products of {a_bits} by {w_bits} bits: {error}"
        ) from None
