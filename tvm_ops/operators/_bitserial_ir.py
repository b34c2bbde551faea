"""A chunk of a few-bit tile as LLVM IR, for any instruction set.

A loop, as straight-line code of a chunk takes LLVM a second and more (31 steps for AVX-512).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from tvm_ops.operators._bitserial_chunk import STEP, VECTORS, Chunk
from tvm_ops.operators._llvm_function import Function

_WIDEN = {
    "aarch64": "llvm.aarch64.neon.uaddlp.v8i16.v16i8",
    "armv7": "llvm.arm.neon.vpaddlu.v8i16.v16i8",
}
_MAX_BODY = 6  # steps
_BYTES, _WORDS, _SUMS = "<16 x i8>", "<2 x i64>", "<8 x i16>"
_EVEN, _ODD = list(range(0, 16, 2)), list(range(1, 16, 2))


class Intrinsics:
    """Emits a chunk."""

    def __init__(self, chunk: Chunk, isa: str) -> None:
        self.chunk, self.isa = chunk, isa

    @property
    def fits(self) -> bool:
        """Whether ``_fence`` has a register for each sum, and weights have some."""
        return (self.chunk.pixels + 1) * VECTORS <= (32 if self.isa == "aarch64" else 16)

    @property
    def body(self) -> int:
        """Steps of the loop's body: of x, bodies lie equally far apart."""
        offsets, steps = self.chunk.offsets, self.chunk.plane_steps

        def repeats(body: int) -> bool:
            return len({b - a for a, b in zip(offsets, offsets[body:], strict=False)}) <= 1

        fitting = [n for n in range(1, _MAX_BODY + 1) if steps % n == 0 and repeats(n)]
        return max(fitting, default=steps)

    def call(self, f: Function, pointers: list[str], weights: str) -> list[str]:
        """Computes the chunk's sums of each pixel, <8 x i16>."""
        c = self.chunk
        sums = ["zeroinitializer"] * (c.pixels * VECTORS)
        for number, plane in enumerate(c.planes):
            if number:
                sums = [f.value(f"add {_BYTES} {value}, {value}") for value in sums]
            x = [f.pointer(pointer, plane) for pointer in pointers]
            sums = self._plane(f, x, weights, sums)
        return [self._reduce(f, sums[p * VECTORS : (p + 1) * VECTORS]) for p in range(c.pixels)]

    def _plane(self, f: Function, pointers: list[str], weights: str, sums: list[str]) -> list[str]:
        """The accumulators after all steps of a plane."""
        offsets, body = self.chunk.offsets, self.body
        move = offsets[body] - offsets[0] if body < len(offsets) else 0

        def steps(*values: str | list[str]) -> list[str]:
            *moved, found = values
            *x, w = (str(pointer) for pointer in moved)
            for step in range(body):
                found = self._fence(f, self._step(f, step, x, w, list(found)))
            return list(found)

        moves = {pointer: move for pointer in pointers} | {weights: body * STEP}
        return f.loop(len(offsets) // body, moves, sums, _BYTES, steps)

    def _step(
        self, f: Function, step: int, pointers: Sequence[str], weights: str, sums: list[str]
    ) -> list[str]:
        found, c = [], self.chunk
        vectors = [f.load(_WORDS, weights, step * STEP + v * 16) for v in range(VECTORS)]
        for p in range(c.pixels):
            pointer, offset = c.word(step, p)
            x = self._x(f, f.pointer(pointers[pointer], offset - c.planes[0]))
            for v, vector in enumerate(vectors):
                differ = f.value(f"xor {_WORDS} {x}, {vector}")
                differ = f.value(f"bitcast {_WORDS} {differ} to {_BYTES}")
                count = f.call(_BYTES, "llvm.ctpop.v16i8", (_BYTES, differ))
                found.append(f.value(f"add {_BYTES} {sums[p * VECTORS + v]}, {count}"))
        return found

    def _x(self, f: Function, address: str) -> str:
        """A word of x in both halves."""
        if self.chunk.duplicated:
            return f.load(_WORDS, address)
        word = f.value(f"load i64, ptr {address}, align 8")  # ARMv7: in one piece
        return f.splat("i64", 2, word)

    def _fence(self, f: Function, sums: list[str]) -> list[str]:
        """No instruction, but all sums are there before anything of the next step.

        Else LLVM loads all of a body first and spills (ARMv7, P = 2: 81 instead of 15 accesses of
        the stack in 6 steps).
        """
        register = "x" if self.isa == "x86_64" else "w"
        kinds = "{" + ", ".join([_BYTES] * len(sums)) + "}"
        ties = [f"={register}"] * len(sums) + [str(i) for i in range(len(sums))]
        values = ", ".join(f"{_BYTES} {value}" for value in sums)
        text = f'call {kinds} asm sideeffect "", "{",".join(ties)},~{{memory}}"({values})'
        fenced = f.value(text)
        return [f.value(f"extractvalue {kinds} {fenced}, {i}") for i in range(len(sums))]

    def _reduce(self, f: Function, sums: Sequence[str]) -> str:
        """8 x 16 bits of 4 vectors of 16 bytes: neighbours are added three times."""
        wide = [self._widen(f, value) for value in sums]
        while len(wide) > 1:
            wide = [_add_pairs(f, a, b) for a, b in zip(wide[::2], wide[1::2], strict=True)]
        return wide[0]

    def _widen(self, f: Function, value: str) -> str:
        if self.isa in _WIDEN:
            return f.call(_SUMS, _WIDEN[self.isa], (_BYTES, value))
        halves = [f.shuffle(value, "i8", 16, lanes) for lanes in (_EVEN, _ODD)]
        wide = [f.value(f"zext <8 x i8> {half} to {_SUMS}") for half in halves]
        return reduce(lambda a, b: f.value(f"add {_SUMS} {a}, {b}"), wide)


def _add_pairs(f: Function, a: str, b: str) -> str:
    """Neighbours of a, then of b; a pattern that LLVM knows as addp and vpadd."""
    both = f.join([a, b], "i16", 8)
    even, odd = (f.shuffle(both, "i16", 16, lanes) for lanes in (_EVEN, _ODD))
    return f.value(f"add {_SUMS} {even}, {odd}")
