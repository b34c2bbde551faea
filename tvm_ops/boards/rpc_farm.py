"""A farm of TVM's own tracker and servers on this machine, on loopback only.

python -m tvm_ops.boards.rpc_farm KEY [TRACKER_PORT]
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from tvm_ops.boards.address import Address
from tvm_ops.boards.rpc_tracker import servers
from tvm_ops.errors import InputError
from tvm_ops.interrupts import catch_interrupts

LOOPBACK = "127.0.0.1"
START_TIMEOUT = 60.0  # seconds; TVM's import takes two


@contextmanager
def local_farm(key: str, port: int | None = None) -> Iterator[Address]:
    """A tracker and one server with that key; both end with the block."""
    port = port or _free_port()
    address = Address("rpc", LOOPBACK, key, port)
    with ExitStack() as stack:
        stack.enter_context(_process("rpc_tracker", port))
        tracker = ["--tracker", f"{LOOPBACK}:{port}", "--key", key]
        stack.enter_context(_process("rpc_server", _free_port(), *tracker))
        _wait(address)
        yield address


def _wait(address: Address) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            servers(address)
            return
        except InputError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def _process(module: str, port: int, *options: str) -> Iterator[None]:
    """Listens on that port, or not at all: TVM would look for another one."""
    where = ["--host", LOOPBACK, "--port", str(port), "--port-end", str(port + 1), "--silent"]
    command = [sys.executable, "-m", f"tvm.exec.{module}", *where, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        family = psutil.Process(process.pid)
        for member in [*family.children(recursive=True), family]:
            if member.is_running():
                member.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        port: int = found.getsockname()[1]
        return port


def main() -> None:
    """Run until Ctrl-C or SIGTERM."""
    catch_interrupts()
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 9190
    with local_farm(sys.argv[1], port) as address:
        sys.stdout.write(f"{address.name}, on loopback; Ctrl-C ends it\n")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
