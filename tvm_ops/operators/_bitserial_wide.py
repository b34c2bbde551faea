"""A few-bit tile of 32 output channels, for in-order cores: 16 bits of K of 8 channels a vector.

Four vectors of weights are a step of 16 positions of K of 32 channels, and x is 16 bits of a pixel
in all eight lanes (`ld1r`, from words as they lie). Counts are added in pairs to 16 bits (`uadalp`,
one instruction as `add` is): a lane is the sum T of one channel. So no byte overflows, nothing is
added up at the end of a chunk, and sums stay in their registers from one chunk to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tvm_ops.operators._bitserial_chunk import TEMPORARIES, VECTORS, Load, Operation, Registers

REGISTERS = 32
LANES = 8  # channels of a vector
CHANNELS = LANES * VECTORS


@dataclass(frozen=True)
class WideRegisters(Registers):
    """An accumulator has 8 x 16 bits, one channel each; weights and x take registers by turns.

    With 5 pixels a step's loads are 13 halves, of which two share a cycle: some have to wait for
    those of the next step, in a register of weights that is not needed yet. x does with 4.

    ``wraps``: after the last step the first one of another chunk follows, whose loads are those of
    a step more; its registers are those of step 0. ``continues``: sums go on from given ones.
    ``ends``: the weights of a step more are loaded, in whose place there may be something else.
    """

    wraps: bool = False
    continues: bool = False
    ends: bool = False

    @property
    def _room(self) -> int:
        return REGISTERS - TEMPORARIES - VECTORS * self.chunk.pixels

    @property
    def fit(self) -> bool:
        return self._room >= VECTORS + 2

    @cached_property
    def x_registers(self) -> int:
        return self._registers[1]

    @cached_property
    def weights_registers(self) -> int:
        return self._registers[0]

    @property
    def _registers(self) -> tuple[int, int]:
        """How many for weights and for x, such that after all steps it is the first one's turn."""
        pixels, steps = self.chunk.pixels, self.chunk.steps
        most = min(pixels, self._room - VECTORS - 1)
        for x in range(most, min(most, 2) - 1, -1):
            weights = min(self._room - x, 2 * VECTORS)
            if not self.wraps or (steps * VECTORS % weights == steps * pixels % x == 0):
                return weights, x
        return VECTORS, pixels

    def weights(self, step: int, vector: int) -> int:
        turn = step * VECTORS + vector
        return VECTORS * self.chunk.pixels + turn % self.weights_registers

    def x(self, step: int, pixel: int) -> int:
        turn = step * self.chunk.pixels + pixel
        first = VECTORS * self.chunk.pixels + self.weights_registers
        return first + turn % self.x_registers

    def temporary(self, turn: int) -> int:
        first = VECTORS * self.chunk.pixels + self.weights_registers + self.x_registers
        return first + turn % TEMPORARIES

    @property
    def first_loads(self) -> list[Load]:
        weights = [self.load_weights(0, v) for v in range(VECTORS)]
        x = [self.load_x(0, p) for p in range(self.x_registers)]
        return [x[0], *weights, *x[1:]]

    def _freed(self, step: int, pixel: int, vector: int) -> Iterator[Load]:
        if step == pixel == vector == 0:  # registers that have nothing yet
            for turn in range(VECTORS, self.weights_registers):
                yield from self._weights_at(turn)
        if vector == VECTORS - 1:
            turn = step * self.chunk.pixels + pixel + self.x_registers
            following, at = divmod(turn, self.chunk.pixels)
            if following < self.chunk.steps or (self.wraps and at < self.x_registers):
                yield self.load_x(following, at)
        if pixel == self.chunk.pixels - 1:
            yield from self._weights_at(step * VECTORS + vector + self.weights_registers)

    def _weights_at(self, turn: int) -> Iterator[Load]:
        step, vector = divmod(turn, VECTORS)
        if step < self.chunk.steps + (self.wraps or self.ends):
            yield self.load_weights(step, vector)

    @property
    def sums(self) -> list[int]:
        """All accumulators: by pixel, then by vector."""
        return [self.accumulator(p, v) for p in range(self.chunk.pixels) for v in range(VECTORS)]

    @property
    def after(self) -> list[int]:
        return [self.weights(self.chunk.steps, v) for v in range(VECTORS)]

    def _double(self, step: int, pixel: int, vector: int) -> Iterator[Operation]:
        if self.chunk.doubles(step):
            a = self.accumulator(pixel, vector)
            yield Operation(f"add v{a}.8h, v{a}.8h, v{a}.8h", (a,), a)

    def _count(self, turn: int, step: int, pixel: int, vector: int) -> Operation:
        t = self.temporary(turn)
        return Operation(f"cnt v{t}.16b, v{t}.16b", (t,), t)

    def _add(self, turn: int, step: int, pixel: int, vector: int) -> Operation:
        """Step 0 has nothing to add to, which saves to clear."""
        t, a = self.temporary(turn), self.accumulator(pixel, vector)
        if step == 0 and not (self.continues or self.chunk.continues):
            return Operation(f"uaddlp v{a}.8h, v{t}.16b", (t,), a)
        return Operation(f"uadalp v{a}.8h, v{t}.16b", (a, t), a)

    def _is_added(self, step: int) -> bool:
        return True

    def _reduce(self) -> Iterator[Operation]:
        return iter(())
