"""The program ``tests/c/test_handwritten.c``: hand-written functions with arrays over pipes."""

from __future__ import annotations

import struct
import subprocess
from contextlib import contextmanager
from subprocess import PIPE

from conftest import ROOT

from tvm_ops import toolchain
from tvm_ops.peers import handwritten
from tvm_ops.targets import get_target

FUNCTIONS = ("winograd_conv2d", "conv2d", "bitserial_conv2d", "bitserial_dense")  # functions.h
BENCH = "handwritten_bench.c"
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
OK, BAD_SIZE, BAD_GROUPS, BAD_KERNEL, UNSUPPORTED, TOO_LARGE, _NULL, LONG_SUMS = range(8)


class Driver:
    """The process, started anew after it has crashed."""

    def __init__(self, command):
        self.command = command
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=PIPE, stdout=PIPE, stderr=PIPE)

    def stop(self):
        """Close it; what it said if it did not end well."""
        _, errors = self.process.communicate(timeout=60)
        code, self.process = self.process.returncode, None
        return None if code == 0 else f"exit code {code}: {errors.decode()[-3000:]}"

    def ask(self, function, sizes, check_only=True):
        """What the function's _check says of its parameters' fields."""
        if self.process is None:
            self.start()
        numbers = FUNCTIONS.index(function), check_only, *sizes
        self.send(struct.pack(f"<{len(numbers)}i", *numbers))
        return struct.unpack("<i", self.read(4))[0]

    def run(self, function, sizes, arrays, output_bytes):
        """What it makes of the arrays; ``sizes`` have passed its _check."""
        assert self.ask(function, sizes, check_only=False) == OK
        self.send(b"".join(array.tobytes() for array in arrays))
        return self.read(output_bytes)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self, size):
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise AssertionError(self.stop())
        return data


@contextmanager
def compiled(folder, target_name, *flags):
    """A driver of that target's build."""
    target = get_target(target_name)
    sources = [ROOT / "tests/c/test_handwritten.c"]
    sources += sorted(set(handwritten.FOLDER.glob("*.c")) - {handwritten.FOLDER / BENCH})
    program = folder / "test_handwritten"
    static = ["-static"] if target.emulator else []
    flags = [*handwritten.compile_flags(target), *flags, f"-I{handwritten.FOLDER}", *static]
    toolchain.run_tool([target.compiler, *flags, *sources, "-o", program])
    driver = Driver([*([target.emulator] if target.emulator else []), program])
    yield driver
    assert driver.process is None or driver.stop() is None
