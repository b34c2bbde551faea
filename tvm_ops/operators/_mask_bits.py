"""Bytes of bits from vectors of masks, and planes of codes from masks of levels, in LLVM IR.

A mask is a <16 x i8> of 0 and -1, one lane for each channel; its bits are two bytes, the least
significant bit first. On ARM each lane keeps its own bit, and three rounds of pairwise adds join
eight lanes: eight masks take 8 + 7 instructions. LLVM makes an ``addv`` for each mask of ``bitcast
<16 x i1>`` on AArch64, and takes lanes one by one on ARMv7; on x86 it is ``pmovmskb``.
"""

from __future__ import annotations

from functools import reduce

from tvm_ops.operators._llvm_function import Function

LANES = 16
MASK = f"<{LANES} x i8>"
OWN_BITS = "<" + ", ".join(f"i8 {1 << (i % 8)}" for i in range(LANES)) + ">"
_PAIRWISE = {"aarch64": ("llvm.aarch64.neon.addp", 16), "armv7": ("llvm.arm.neon.vpadd", 8)}


def mask_bytes(f: Function, masks: list[str], isa: str) -> str:
    """The bits of the masks: <2 x number x i8>; their number is a power of two, on ARM any."""
    if isa not in _PAIRWISE:
        return _moved_masks(f, masks)
    own = [f.value(f"and {MASK} {mask}, {OWN_BITS}") for mask in masks]
    name, lanes = _PAIRWISE[isa]
    if lanes < LANES:
        own = [f.lanes(v, "i8", LANES, start, lanes) for v in own for start in range(0, 16, lanes)]
    kind = f"<{lanes} x i8>"
    for _ in range(3):
        pairs = zip(own[::2], [*own[1::2], *own[-1:]], strict=False)
        own = [f.call(kind, f"{name}.v{lanes}i8", (kind, a), (kind, b)) for a, b in pairs]
    own = _padded(own)
    joined = f.join(own, "i8", lanes)
    return f.lanes(joined, "i8", lanes * len(own), 0, 2 * len(masks))


def _moved_masks(f: Function, masks: list[str]) -> str:
    joined = f.join(masks, "i8", LANES)
    lanes, length = LANES * len(masks), 2 * len(masks)
    bits = f.value(f"icmp slt <{lanes} x i8> {joined}, zeroinitializer")
    return f.value(f"bitcast <{lanes} x i1> {bits} to <{length} x i8>")


def _padded(values: list[str]) -> list[str]:
    """With the last one again, up to a power of two."""
    return [*values, *values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values))]


def plane_masks(f: Function, levels: list[str], kind: str = MASK) -> list[str]:
    """Masks of the bits of #{j: level j is met}, the least significant first.

    Of 2^N - 1 levels each but the first implies the one before it, or each but the last the one
    after it. So bit p of their number is the xor of every 2^p-th of them: with three, bit 1 is
    that of the second level, bit 0 the xor of all.
    """
    bits = len(levels).bit_length()
    every = [levels[2**p - 1 :: 2**p] for p in range(bits)]
    return [reduce(lambda a, b: f.value(f"xor {kind} {a}, {b}"), chosen) for chosen in every]
