"""A register tile of a convolution or matrix product in AArch64 assembly, as LLVM inline assembly.

One call computes, for ``pixels`` times ``vectors`` of four channels, the sum over blocks of four
input channels and over taps, bias, residual and activation. In the loop nothing but multiplies and
the loads of what comes next remains: an operand's register is loaded again as soon as its last
multiply is issued, a whole sweep of the tile (``pixels`` multiplies) before its next use.

LLVM, given the same tile, hoists loads until it spills on the A53 (48 % of peak instead of 78 % for
1x1, 128 to 256 channels at 28x28) and keeps 84 % instead of 93 % on the A72.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from tvm_ops.operators._neon_finish import Finish
from tvm_ops.operators._neon_in_order import InOrder
from tvm_ops.operators._neon_registers import (
    AHEAD,
    BASES,
    COUNT,
    INTEGERS,
    LANES,
    LINE,
    MOVE_ON,
    REGISTERS,
    VECTOR,
    W_NEXT,
    X_NEXT,
    X_STEP,
    Load,
    Multiply,
    W,
    X,
    constant,
)

# Bytes: the immediates of a load of an integer register, if it is a multiple of its size, or not.
MAX_OFFSET, MAX_UNALIGNED = 32760, 255
PREFETCH = "prfm_"  # before what lies ahead: asked for by prfm instead of a load into nowhere


@dataclass(frozen=True)
class Tile:
    """What one call computes; offsets and steps are in bytes.

    ``pixels`` and ``taps`` are offsets in x, from whose block of channels to the next it is
    ``x_step``; there are ``blocks``. A tap is a vector of x, of which ``factors`` has the number
    that are multiplied, all four unless it is given. The weights are [block, tap, factor, vectors,
    4 of co], contiguous. ``outputs`` are the pixels' offsets in y (and residual), ``y_step`` is
    from one vector of channels to the next.
    """

    pixels: tuple[int, ...]
    taps: tuple[int, ...]
    vectors: int
    blocks: int
    x_step: int
    outputs: tuple[int, ...]
    y_step: int
    activation: str = "none"
    bias: bool = True
    residual: bool = False
    in_order: bool = False
    factors: tuple[int, ...] = ()
    ahead: str = "none"

    @property
    def factor_indices(self) -> list[tuple[int, int]]:
        """(tap, element) of a block's factors."""
        counts = self.factors or (LANES,) * len(self.taps)
        return [(tap, k) for tap, count in enumerate(counts) for k in range(count)]

    @property
    def block_weights(self) -> int:
        """Vectors of weights of a block."""
        return len(self.factor_indices) * self.vectors

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the pointers that a call takes, in this order."""
        optional = {
            "bias": self.bias,
            "slope": self.activation == "prelu",
            "residual": self.residual,
        }
        ahead = ["ahead"] if self._asks_for == "tile" else []
        return "x", "weights", *(name for name, there in optional.items() if there), "y", *ahead

    @property
    def name(self) -> str:
        return "tvm_ops_tile_" + sha256(repr(self).encode()).hexdigest()[:12]

    @property
    def fits(self) -> bool:
        """Whether registers and immediates suffice."""
        p, v = len(self.pixels), self.vectors
        offsets = [pixel + tap for pixel in self.pixels for tap in self.taps]
        return (
            p * v + p + v <= REGISTERS
            and v * (1 + self.residual) <= len(BASES)
            and max(self.block_weights * VECTOR, *self.outputs) <= MAX_OFFSET
            and all(o + 8 <= (MAX_UNALIGNED if o % VECTOR else MAX_OFFSET) for o in offsets)
        )

    def llvm(self) -> str:
        """LLVM IR that defines the function ``name``; raises ``ValueError`` if it does not fit."""
        if not self.fits:
            raise ValueError(f"no registers or immediates for {self}")
        lines = "\\0A".join(self.assembly())
        arguments = ", ".join(f"ptr %{name}" for name in self.arguments)
        taken = ["r"] * len(self.arguments)
        clobbers = [f"v{i}" for i in range(REGISTERS)] + list(INTEGERS) + ["cc", "memory"]
        constraints = ",".join(taken + [f"~{{{c}}}" for c in clobbers])
        return (
            f"define internal i32 @{self.name}({arguments}) alwaysinline nounwind {{\n"
            f'  call void asm sideeffect "{lines}", "{constraints}"({arguments}) noduplicate\n'
            "  ret i32 0\n}\n"
        )

    def assembly(self) -> Iterator[str]:
        operand = {name: f"${i}" for i, name in enumerate(self.arguments)}
        yield f"mov {X}, {operand['x']}"
        yield f"mov {W}, {operand['weights']}"
        yield from constant(COUNT, self.blocks)
        yield from constant(X_STEP, self.x_step)
        finish = Finish(
            operand, len(self.pixels), self.vectors, self.outputs, self.y_step, self.activation
        )
        if self._asks_for == "tile":
            yield f"mov {AHEAD}, {operand['ahead']}"
        bias, accumulators = finish.first_accumulators()
        multiplies = list(self.multiplies())
        schedule = InOrder.steady(multiplies, self.advance) if self.in_order else None
        loads = list(self._loads(X, W))
        if schedule:
            yield from schedule.start(loads, bias, accumulators)
        else:
            yield from (*bias, *accumulators, *(load.whole for load in loads))
        yield "1:"
        yield from schedule.lines if schedule else _out_of_order(multiplies, self.advance)
        yield "b.ne 1b"
        yield from finish.last()

    @property
    def advance(self) -> list[str]:
        """Where the next block lies. After the last one it is the same: what is loaded is there."""
        weights = self.block_weights * VECTOR
        return [
            f"subs {COUNT}, {COUNT}, #1",
            f"add {X_NEXT}, {X}, {X_STEP}",
            f"add {W_NEXT}, {W}, #{weights & 0xFFF}",
            *([f"add {W_NEXT}, {W_NEXT}, #{weights >> 12}, lsl #12"] if weights >> 12 else []),
            f"csel {X_NEXT}, {X}, {X_NEXT}, eq",
            f"csel {W_NEXT}, {W}, {W_NEXT}, eq",
            *self._touches,
        ]

    @property
    def _touches(self) -> list[str]:
        """What asks for the lines that are needed next: loads into nowhere, or ``prfm``.

        Of the next block, a whole block's multiplies before them; or of the same block of the tile
        that comes next, which is at the pointer ``ahead``. What the next block needs is asked for
        too late without: a line of the L2 takes 15 to 25 cycles, of memory 200.
        """
        lines = _lines({p + t for p in self.pixels for t in self.taps})
        ask = "prfm pldl1keep" if self.ahead.startswith(PREFETCH) else "ldr xzr"
        if self._asks_for == "block":
            return [f"{ask}, [{X_NEXT}, #{o}]" for o in lines]
        if self._asks_for == "tile":
            touches = [f"{ask}, [{AHEAD}, #{o}]" for o in lines]
            return [*touches, f"add {AHEAD}, {AHEAD}, {X_STEP}"]
        return []

    @property
    def _asks_for(self) -> str:
        """What lies ahead: none, block or tile, without the way to ask for it."""
        return self.ahead.removeprefix(PREFETCH)

    def accumulator(self, pixel: int, vector: int) -> int:
        return vector * len(self.pixels) + pixel

    @property
    def weights_registers(self) -> int:
        """How many the weights take in turn: a divisor of those of a block, so that turns repeat.

        More than two for each of ``vectors`` would hide nothing more.
        """
        spare = REGISTERS - len(self.pixels) * (self.vectors + 1)
        fitting = [n for n in range(self.vectors, 2 * self.vectors + 1) if n <= spare]
        return max(n for n in fitting if self.block_weights % n == 0)

    def pixel_register(self, pixel: int) -> int:
        return len(self.pixels) * self.vectors + pixel

    def weights_register(self, index: int) -> int:
        """``index`` counts (factor, vector)."""
        first = len(self.pixels) * (self.vectors + 1)
        return first + index % self.weights_registers

    def weights_load(self, index: int) -> Load:
        """``index`` counts (factor, vector)."""
        base, total = W, self.block_weights
        if index >= total:
            index, base = index - total, W_NEXT
        return Load(self.weights_register(index), base, index * VECTOR)

    def pixel_load(self, tap: int, pixel: int) -> Load:
        base = X
        if tap == len(self.taps):
            tap, base = 0, X_NEXT
        return Load(self.pixel_register(pixel), base, self.taps[tap] + self.pixels[pixel])

    def multiplies(self) -> Iterator[Multiply]:
        """Those of one block of channels, in order, each with the loads that it makes possible."""
        pixels, vectors = range(len(self.pixels)), range(self.vectors)
        # Pixel by pixel where all vectors have a second register: pixels are then freed evenly.
        # Else vector by vector, which frees weights evenly.
        order = (
            [(p, v) for p in pixels for v in vectors]
            if self.weights_registers == 2 * self.vectors
            else [(p, v) for v in vectors for p in pixels]
        )
        factors = self.factor_indices
        for i, (tap, k) in enumerate(factors):
            is_last = i + 1 == len(factors) or factors[i + 1][0] != tap
            for p, v in order:
                frees = []
                if is_last and v == vectors[-1]:
                    frees.append(self.pixel_load(tap + 1, p))
                index = i * self.vectors + v
                if p == pixels[-1]:
                    frees.append(self.weights_load(index + self.weights_registers))
                yield Multiply(
                    self.accumulator(p, v), self.weights_register(index),
                    self.pixel_register(p), k, tuple(frees),
                )  # fmt: skip

    def _loads(self, x: str, w: str) -> Iterator[Load]:
        """Those before the first multiply."""
        for i in range(self.weights_registers):
            yield Load(self.weights_register(i), w, i * VECTOR)
        for p in range(len(self.pixels)):
            yield Load(self.pixel_register(p), x, self.taps[0] + self.pixels[p])


def _lines(vectors: set[int]) -> list[int]:
    """Offsets that touch each line of vectors at these offsets, wherever lines begin."""
    found: list[int] = []
    last = min(vectors)
    for offset in sorted(vectors):
        if found and offset - last > LINE:  # another row
            found += [last + VECTOR // 2, offset]
        elif not found or offset - found[-1] >= LINE:
            found.append(offset)
        last = offset
    return [*found, last + VECTOR // 2]


def _out_of_order(multiplies: list[Multiply], advance: list[str]) -> Iterator[str]:
    coming = deque(advance)
    for multiply in multiplies:
        yield multiply.text
        if coming:
            yield coming.popleft()
        for load in multiply.frees:
            if load.base in (X_NEXT, W_NEXT):
                yield from coming
                coming.clear()
            yield load.whole
    yield from coming
    yield from MOVE_ON
