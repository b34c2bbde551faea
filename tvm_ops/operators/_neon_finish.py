"""Start and end of an assembly tile: bias, residual, activation, stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tvm_ops.operators._neon_registers import BASES, REGISTERS, TEMP, VECTOR, offset

_GROUP = 4  # accumulators side by side, so that no instruction waits for the one before it


@dataclass(frozen=True)
class Finish:
    """``operand`` maps the call's arguments to their registers; offsets are in bytes."""

    operand: dict[str, str]
    pixels: int
    vectors: int
    outputs: tuple[int, ...]
    y_step: int
    activation: str

    def first_accumulators(self) -> Iterator[str]:
        """The bias, or zeros, for every pixel."""
        if "bias" not in self.operand:
            for a in range(self.pixels * self.vectors):
                yield f"movi v{a}.4s, #0"
            return
        for v in range(self.vectors):
            yield f"ldr q{v}, [{self.operand['bias']}, #{VECTOR * v}]"
        for a in range(self.vectors, self.pixels * self.vectors):
            yield f"mov v{a}.16b, v{a % self.vectors}.16b"

    def last(self) -> Iterator[str]:
        """Adds the residual, applies the activation, stores."""
        spare = list(range(self.pixels * self.vectors, REGISTERS))
        setup, steps = _activation(self.activation, spare)
        yield from setup
        slopes = [spare.pop() if "slope" in self.operand else 0 for _ in range(self.vectors)]
        if "slope" in self.operand:
            for v, register in enumerate(slopes):
                yield f"ldr q{register}, [{self.operand['slope']}, #{VECTOR * v}]"
        for v in range(self.vectors):
            yield from offset(BASES[v], self.operand["y"], v * self.y_step)
        total, size = self.pixels * self.vectors, min(_GROUP, len(spare))
        for start in range(0, total, size):
            group = range(start, min(start + size, total))
            temporary = dict(zip(group, spare, strict=False))
            if "residual" in self.operand:
                yield from self._add_residual(temporary)
            for step in steps:
                for a, t in temporary.items():
                    slope = slopes[a % self.vectors]
                    yield step.format(a=f"v{a}.4s", t=f"v{t}.4s", s=f"v{slope}.4s")
            for a in group:
                pixel, v = divmod(a, self.vectors)
                yield f"str q{a}, [{BASES[v]}, #{self.outputs[pixel]}]"

    def _add_residual(self, temporary: dict[int, int]) -> Iterator[str]:
        for a, t in temporary.items():
            pixel, v = divmod(a, self.vectors)
            yield from offset(TEMP, self.operand["residual"], v * self.y_step)
            yield f"ldr q{t}, [{TEMP}, #{self.outputs[pixel]}]"
        for a, t in temporary.items():
            yield f"fadd v{a}.4s, v{a}.4s, v{t}.4s"


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
    setup += [f"fmov v{three}.4s, #3.0", f"fmov v{sixth}.4s, #1.0"]
    setup.append(f"fdiv v{sixth}.4s, v{sixth}.4s, v{six}.4s")
    gate = [f"fadd {{t}}, {{a}}, v{three}.4s", f"fmul {{a}}, {{a}}, v{sixth}.4s"]
    gate += [f"fmax {{t}}, {{t}}, v{zero}.4s", f"fmin {{t}}, {{t}}, v{six}.4s"]
    return setup, [*gate, "fmul {a}, {a}, {t}"]
