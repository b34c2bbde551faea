"""The machine code of a program as text, by objdump of the target's binutils."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from tvm_ops.targets import Target
from tvm_ops.toolchain import run_tool

_FUNCTION = re.compile(r"([0-9a-f]+) <(.+)>:$")
_INSTRUCTION = re.compile(r" *([0-9a-f]+):\t(.*)$")


@dataclass(frozen=True)
class Disassembly:
    """A program's instructions and functions by address."""

    instructions: dict[int, str] = field(default_factory=dict)
    functions: dict[int, str] = field(default_factory=dict)  # in rising order

    def place(self, address: int) -> tuple[str, int]:
        """The function at an address, and the address in it; no name where nothing is known."""
        starts = list(self.functions)
        at = bisect_right(starts, address)
        if at == 0 or address not in self.instructions:
            return "", address
        return self.functions[starts[at - 1]], address - starts[at - 1]

    def has_frame_pointer(self, address: int) -> bool:
        """Whether the function at this address keeps x29 in its stack frame.

        A function that does not may use x29 as any other register.
        """
        name, offset = self.place(address)
        if not name:
            return False
        start = address - offset
        following = (s for s in self.functions if s > start)
        end = next(following, max(self.instructions) + 4)
        frame = re.compile(r"(mov x29, sp|add x29, sp, #\w+)$")
        return any(frame.match(self.instructions.get(a, "")) for a in range(start, end, 4))


def disassemble(program: Path, target: Target) -> Disassembly:
    """All code of an ELF file; takes about 0.3 s for a static bench.

    Raises ``InputError`` if the target's binutils are missing, ``CheckFailed`` if they fail.
    """
    objdump = target.compiler.removesuffix("gcc") + "objdump"
    found = Disassembly()
    for line in run_tool([objdump, "-d", "--no-show-raw-insn", program]).splitlines():
        if instruction := _INSTRUCTION.match(line):
            text = instruction[2].split("//")[0]
            found.instructions[int(instruction[1], 16)] = " ".join(text.split())
        elif function := _FUNCTION.match(line):
            found.functions[int(function[1], 16)] = function[2]
    return found
