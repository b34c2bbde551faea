"""One chunk of a few-bit tile: what a register tile adds up before its bytes could overflow.

A tile is P pixels x 8 output channels. A vector of weights has one 64-bit word of two channels side
by side, four of them a *step* of 64 positions of K; x is one word of a pixel in both halves. Each
step adds popcount(x ^ w) to P x 4 accumulators of bytes, two channels each: eor, cnt, add, 128
one-bit multiply-adds. At most 31 steps fit bytes (31 * 8 = 248); then they are added up to 8 x 16
bits a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

CHANNELS = 8  # of a tile
VECTORS = CHANNELS // 2
WORD = 8  # bytes of 64 positions
STEP = CHANNELS * WORD  # bytes of weights of a step
TEMPORARIES = 3


@dataclass(frozen=True)
class Chunk:
    """``offsets``: bytes from a pixel's first word to that of each step of a plane.

    ``planes``: bytes from the first plane of x to those that are added up, the most significant
    first; what is counted is doubled before each further one, and the weights are the same.
    ``shared``: the words of all pixels lie together (panels), and one pointer is to the first;
    else there is a pointer for each pixel. ``duplicated``: words are there twice, 16 bytes.
    ``k_bits``: of K in a step, 64, or 16 (see ``_bitserial_wide``), a quarter of a word.
    ``continues``: sums go on from given ones, which a flag doubles before; 16 only.
    """

    pixels: int
    offsets: tuple[int, ...]
    planes: tuple[int, ...] = (0,)
    shared: bool = False
    duplicated: bool = False
    k_bits: int = 64
    continues: bool = False

    @property
    def plane_steps(self) -> int:
        return len(self.offsets)

    @property
    def steps(self) -> int:
        """Of all planes."""
        return len(self.planes) * self.plane_steps

    @property
    def largest(self) -> int:
        """What a byte can count up to."""
        return 8 * self.plane_steps * (2 ** len(self.planes) - 1)

    def doubles(self, step: int) -> bool:
        """Whether what is counted is doubled before a step: the first one of a further plane."""
        return step > 0 and step % self.plane_steps == 0

    @property
    def pointers(self) -> int:
        """How many a call takes for x."""
        return 1 if self.shared else self.pixels

    @property
    def size(self) -> int:
        """Bytes of a word of x."""
        return 2 * WORD if self.duplicated else WORD

    @property
    def stride(self) -> int:
        """Bytes of x from a step to the next where they lie together."""
        return self.size * self.k_bits // 64

    def word(self, step: int, pixel: int) -> tuple[int, int]:
        """(pointer, offset in bytes) of a word of x."""
        plane, step = divmod(step, self.plane_steps)
        offset = self.planes[plane] + self.offsets[step]
        return (0, offset + pixel * self.size) if self.shared else (pixel, offset)

    @property
    def order(self) -> list[tuple[int, int, int]]:
        """(step, pixel, vector) in the order in which they are added."""
        sizes = self.steps, self.pixels, VECTORS
        return [(s, p, v) for s in range(sizes[0]) for p in range(sizes[1]) for v in range(VECTORS)]


@dataclass(frozen=True)
class Load:
    """Of the vector ``register``, for ``step``: weights' vector ``index``, or x of that pixel."""

    register: int
    step: int
    index: int
    weights: bool


@dataclass(frozen=True)
class Operation:
    """One 128-bit instruction; ``frees`` are the loads that may follow it."""

    text: str
    reads: tuple[int, ...]
    writes: int
    frees: tuple[Load, ...] = ()


@dataclass(frozen=True)
class Registers:
    """Vector registers: accumulators, weights, x, temporaries."""

    chunk: Chunk

    def accumulator(self, pixel: int, vector: int) -> int:
        return pixel * VECTORS + vector

    def weights(self, _step: int, vector: int) -> int:
        return self.chunk.pixels * VECTORS + vector

    def x(self, _step: int, pixel: int) -> int:
        return (self.chunk.pixels + 1) * VECTORS + pixel

    def temporary(self, turn: int) -> int:
        return self.chunk.pixels * (VECTORS + 1) + VECTORS + turn % TEMPORARIES

    @property
    def count(self) -> int:
        return self.temporary(0) + TEMPORARIES

    @property
    def fit(self) -> bool:
        return self.count <= 32

    def load_weights(self, step: int, vector: int) -> Load:
        return Load(self.weights(step, vector), step, vector, True)

    def load_x(self, step: int, pixel: int) -> Load:
        return Load(self.x(step, pixel), step, pixel, False)

    @property
    def first_loads(self) -> list[Load]:
        """Of step 0, in the order of use."""
        weights = [self.load_weights(0, v) for v in range(VECTORS)]
        x = [self.load_x(0, p) for p in range(self.chunk.pixels)]
        return [x[0], *weights, *x[1:]]

    def operations(self) -> Iterator[Operation]:
        """The chunk in AArch64's instructions, each two behind the one that it needs.

        In turn t: eor of t, cnt of t - 1, add of t - 2. Step 0 counts into the accumulators, which
        saves to clear them and to add (A53, 18 steps: 32 of 860 instructions).
        """
        order = self.chunk.order
        for turn in range(len(order) + 2):
            if turn < len(order):
                yield from self._double(*order[turn])
                yield self._eor(turn, *order[turn])
            if 0 <= turn - 1 < len(order):
                yield self._count(turn - 1, *order[turn - 1])
            if 0 <= turn - 2 < len(order) and self._is_added(order[turn - 2][0]):
                yield self._add(turn - 2, *order[turn - 2])
        yield from self._reduce()

    def _double(self, step: int, pixel: int, vector: int) -> Iterator[Operation]:
        if self.chunk.doubles(step):
            a = self.accumulator(pixel, vector)
            yield Operation(f"add v{a}.16b, v{a}.16b, v{a}.16b", (a,), a)

    def _eor(self, turn: int, step: int, pixel: int, vector: int) -> Operation:
        t, x, w = self.temporary(turn), self.x(step, pixel), self.weights(step, vector)
        frees = tuple(self._freed(step, pixel, vector))
        return Operation(f"eor v{t}.16b, v{x}.16b, v{w}.16b", (x, w), t, frees)

    def _freed(self, step: int, pixel: int, vector: int) -> Iterator[Load]:
        """Of the next step, into what was read for the last time."""
        if step + 1 < self.chunk.steps:
            if vector == VECTORS - 1:
                yield self.load_x(step + 1, pixel)
            if pixel == self.chunk.pixels - 1:
                yield self.load_weights(step + 1, vector)

    def _count(self, turn: int, step: int, pixel: int, vector: int) -> Operation:
        t = self.temporary(turn)
        to = t if step else self.accumulator(pixel, vector)
        return Operation(f"cnt v{to}.16b, v{t}.16b", (t,), to)

    def _is_added(self, step: int) -> bool:
        """Whether a step's counts are not where they are added up."""
        return step > 0

    def _add(self, turn: int, step: int, pixel: int, vector: int) -> Operation:
        t, a = self.temporary(turn), self.accumulator(pixel, vector)
        return Operation(f"add v{a}.16b, v{a}.16b, v{t}.16b", (a, t), a)

    @property
    def sums(self) -> list[int]:
        """The registers that have 8 sums of 16 bits each at the end: one of each pixel."""
        return [self.accumulator(p, 0) for p in range(self.chunk.pixels)]

    def _reduce(self) -> Iterator[Operation]:
        """Bytes to 8 x 16 bits for each pixel; they are added in pairs as bytes while they fit.

        Of 8 a step, sums of two fit up to 15 steps, of four up to 7: 5 and 4 instructions, not 7.
        """
        left, kind = list(range(VECTORS)), "16b"
        widen_at = 2 if 4 * self.chunk.largest < 256 else 1 if 2 * self.chunk.largest < 256 else 0
        for stage in range(3):
            if stage == widen_at:
                for p, v in product(range(self.chunk.pixels), left):
                    a = self.accumulator(p, v)
                    yield Operation(f"uaddlp v{a}.8h, v{a}.16b", (a,), a)
                kind = "8h"
            else:
                for p, v in product(range(self.chunk.pixels), left[::2]):
                    a, b = self.accumulator(p, v), self.accumulator(p, v + left[1])
                    yield Operation(f"addp v{a}.{kind}, v{a}.{kind}, v{b}.{kind}", (a, b), a)
                left = left[::2]
