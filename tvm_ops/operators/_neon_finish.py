"""Start and end of an assembly tile: bias, residual, activation, stores.

With few channels they are a third of a tile's cycles (1x1, 16 to 96 channels: 288 multiplies).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tvm_ops.operators._neon_registers import (
    BASES,
    REGISTERS,
    TEMP,
    VECTOR,
    add_constant,
    constant,
    offset,
)

_RUN = 4  # registers of one store; accumulators side by side, so that none waits for another
_SIXTH = 0x3E2AAAAB  # 1 / 6 as float32


@dataclass(frozen=True)
class Finish:
    """``operand`` maps the call's arguments to their registers; offsets are in bytes.

    Accumulators are [vector, pixel], so that a vector's neighbouring pixels are stored at once:
    a store to a line that is not in the cache takes one place in the store buffer, of 6 on the A53
    and 12 on the A72, whatever its size.
    """

    operand: dict[str, str]
    pixels: int
    vectors: int
    outputs: tuple[int, ...]
    y_step: int
    activation: str

    def first_accumulators(self) -> tuple[list[str], list[str]]:
        """Loads of the bias, and what brings it, or zeros, to every pixel."""
        total = range(self.pixels * self.vectors)
        if "bias" not in self.operand:
            return [], [f"movi v{a}.4s, #0" for a in total]
        firsts = total[:: self.pixels]
        loads = [f"ldr q{a}, [{self.operand['bias']}, #{VECTOR * i}]" for i, a in enumerate(firsts)]
        rest = [a for p in range(1, self.pixels) for a in range(p, len(total), self.pixels)]
        return loads, [f"mov v{a}.16b, v{a // self.pixels * self.pixels}.16b" for a in rest]

    def last(self) -> Iterator[str]:
        """Adds the residual, applies the activation, stores.

        A run is stored after the next one's steps, when the results are there (26 of 102 cycles on
        the A53).
        """
        late: list[str] = []
        spare = list(range(self.pixels * self.vectors, REGISTERS))
        setup, steps = _activation(self.activation, spare)
        yield from setup
        bases = iter(BASES)
        for v in range(self.vectors):
            slope = spare.pop() if "slope" in self.operand else 0
            if slope:
                yield f"ldr q{slope}, [{self.operand['slope']}, #{VECTOR * v}]"
            y = next(bases)
            yield from offset(y, self.operand["y"], v * self.y_step)
            residual = next(bases) if "residual" in self.operand else ""
            if residual:
                yield from offset(residual, self.operand["residual"], v * self.y_step)
            at = 0
            for run in self._runs(min(_RUN, len(spare))):
                first = v * self.pixels + run.start
                temporary = dict(zip(range(first, first + len(run)), spare, strict=False))
                yield from self._finish(temporary, residual, run, slope, steps)
                yield from late
                registers = ", ".join(f"v{a}.4s" for a in temporary)
                late = list(add_constant(y, self.outputs[run.start] - at))
                late.append(f"st1 {{{registers}}}, [{y}], #{VECTOR * len(run)}")
                at = self.outputs[run.start] + VECTOR * len(run)
            spare += [slope] if slope else []
        yield from late

    def _finish(
        self,
        temporary: dict[int, int],
        residual: str,
        run: range,
        slope: int,
        steps: Sequence[str],
    ) -> Iterator[str]:
        """``temporary`` maps a run's accumulators to registers for use."""
        if residual:
            for t, pixel in zip(temporary.values(), run, strict=True):
                yield f"ldr q{t}, [{residual}, #{self.outputs[pixel]}]"
            for a, t in temporary.items():
                yield f"fadd v{a}.4s, v{a}.4s, v{t}.4s"
        for step in steps:
            for a, t in temporary.items():
                yield step.format(a=f"v{a}.4s", t=f"v{t}.4s", s=f"v{slope}.4s")

    def _runs(self, most: int) -> Iterator[range]:
        """Pixels that lie side by side in y, up to ``most``."""
        start = 0
        for p in range(1, self.pixels + 1):
            ends = p == self.pixels or self.outputs[p] != self.outputs[p - 1] + VECTOR
            if ends or p - start == most:
                yield range(start, p)
                start = p


def _activation(name: str, spare: list[int]) -> tuple[list[str], list[str]]:
    """Instructions for constants, in registers taken from ``spare``; steps for accumulator {a}.

    {t} is a temporary register, {s} the slope's.
    """
    if name == "none":
        return [], []
    zero = spare.pop()
    setup, clip = [f"movi v{zero}.4s, #0"], [f"fmax {{a}}, {{a}}, v{zero}.4s"]
    if name == "relu":
        return setup, clip
    if name == "prelu":
        negative = f"fmin {{t}}, {{a}}, v{zero}.4s"
        return setup, [negative, *clip, "fmla {a}, {t}, {s}"]
    six = spare.pop()
    setup.append(f"fmov v{six}.4s, #6.0")
    if name == "relu6":
        return setup, [*clip, f"fmin {{a}}, {{a}}, v{six}.4s"]
    three, sixth = spare.pop(), spare.pop()
    setup += [f"fmov v{three}.4s, #3.0", *constant(TEMP, _SIXTH)]
    setup.append(f"dup v{sixth}.4s, {TEMP.replace('x', 'w')}")
    gate = [f"fadd {{t}}, {{a}}, v{three}.4s", f"fmul {{a}}, {{a}}, v{sixth}.4s"]
    gate += [f"fmax {{t}}, {{t}}, v{zero}.4s", f"fmin {{t}}, {{t}}, v{six}.4s"]
    return setup, [*gate, "fmul {a}, {a}, {t}"]
