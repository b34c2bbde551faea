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
PIXELS_APART = (2, 3, 4)  # of 32 registers each has one more; one pixel would wait for its adds


@dataclass(frozen=True)
class Chunk:
    """``offsets``: bytes from a pixel's first word to that of each step of a plane.

    ``planes``: bytes from the first plane of x to those that are added up, the most significant
    first; what is counted is doubled before each further one, and the weights are the same.
    ``shared``: the words of all pixels lie together (panels), and one pointer is to the first;
    else there is a pointer for each pixel. ``duplicated``: words are there twice, 16 bytes.
    ``k_bits``: of K in a step, 64, or 16 (see ``_bitserial_wide``), a quarter of a word.
    ``continues``: sums go on from given ones, which a flag doubles before; 16 only.
    ``apart``: of two planes, the first is added up to 16 bits while the steps of the second begin.
    Bytes of one plane can be added in pairs, of two they cannot, and each plane has 31 steps (9
    steps: 12 instead of 15 instructions a pixel).
    """

    pixels: int
    offsets: tuple[int, ...]
    planes: tuple[int, ...] = (0,)
    shared: bool = False
    duplicated: bool = False
    k_bits: int = 64
    continues: bool = False
    apart: bool = False

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
        return 8 * self.plane_steps * (1 if self.apart else 2 ** len(self.planes) - 1)

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

    def above(self, pixel: int) -> int:
        """Twice a pixel's sums of the first of two planes, of 16 bits."""
        return self.chunk.pixels * (VECTORS + 1) + VECTORS + TEMPORARIES + pixel

    @property
    def count(self) -> int:
        return self.above(self.chunk.pixels if self.chunk.apart else 0)

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
        if not self.chunk.doubles(step):
            return
        if self.chunk.apart:
            yield from self._plane_above(pixel)[vector]
        else:
            a = self.accumulator(pixel, vector)
            yield Operation(f"add v{a}.16b, v{a}.16b, v{a}.16b", (a,), a)

    def _plane_above(self, pixel: int) -> list[list[Operation]]:
        """Twice the sums of the first plane, in stages: one before each vector of the next step.

        Accumulator v is counted into after stage v + 1, so that stages 2 and 3 lack the first ones.
        """
        a, b, c, d = (self.accumulator(pixel, v) for v in range(VECTORS))
        to = self.above(pixel)
        stages = {
            0: [[_widen(r, r) for r in (a, b, c, d)],
                [_pairs(b, a, b, "8h"), _pairs(c, c, d, "8h")], [_pairs(to, b, c, "8h")]],
            1: [[_pairs(a, a, b), _pairs(c, c, d)], [_widen(b, a), _widen(c, c)],
                [_pairs(to, b, c, "8h")]],
            2: [[_pairs(a, a, b), _pairs(c, c, d)], [_pairs(c, a, c)], [_widen(to, c)]],
        }  # fmt: skip
        return [*stages[self._widen_at], [_sum(to, to, to)]]

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
        to = t if self._is_added(step) else self.accumulator(pixel, vector)
        return Operation(f"cnt v{to}.16b, v{t}.16b", (t,), to)

    def _is_added(self, step: int) -> bool:
        """Whether a step's counts are not where they are added up."""
        return step > 0 and not (self.chunk.apart and self.chunk.doubles(step))

    def _add(self, turn: int, step: int, pixel: int, vector: int) -> Operation:
        t, a = self.temporary(turn), self.accumulator(pixel, vector)
        return Operation(f"add v{a}.16b, v{a}.16b, v{t}.16b", (a, t), a)

    @property
    def sums(self) -> list[int]:
        """The registers that have 8 sums of 16 bits each at the end: one of each pixel."""
        return [self.accumulator(p, 0) for p in range(self.chunk.pixels)]

    @property
    def after(self) -> list[int]:
        """Registers of weights of a step more, if any is loaded."""
        return []

    def _reduce(self) -> Iterator[Operation]:
        """Bytes to 8 x 16 bits for each pixel; they are added in pairs as bytes while they fit.

        Of 8 a step, sums of two fit up to 15 steps, of four up to 7: 5 and 4 instructions, not 7.
        """
        left, kind = list(range(VECTORS)), "16b"
        for stage in range(3):
            if stage == self._widen_at:
                for p, v in product(range(self.chunk.pixels), left):
                    a = self.accumulator(p, v)
                    yield _widen(a, a)
                kind = "8h"
            else:
                for p, v in product(range(self.chunk.pixels), left[::2]):
                    a, b = self.accumulator(p, v), self.accumulator(p, v + left[1])
                    yield _pairs(a, a, b, kind)
                left = left[::2]
        if self.chunk.apart:
            for p, a in enumerate(self.sums):
                yield _sum(a, a, self.above(p))

    @property
    def _widen_at(self) -> int:
        """How often bytes are added in pairs before they become 16 bits."""
        return 2 if 4 * self.chunk.largest < 256 else 1 if 2 * self.chunk.largest < 256 else 0


def _pairs(to: int, a: int, b: int, kind: str = "16b") -> Operation:
    return Operation(f"addp v{to}.{kind}, v{a}.{kind}, v{b}.{kind}", (a, b), to)


def _widen(to: int, a: int) -> Operation:
    return Operation(f"uaddlp v{to}.8h, v{a}.16b", (a,), to)


def _sum(to: int, a: int, b: int) -> Operation:
    return Operation(f"add v{to}.8h, v{a}.8h, v{b}.8h", (a, b), to)
