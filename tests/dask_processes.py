"""A Dask scheduler and workers, each a process of its own on the loopback, that end by themselves.

The scheduler ends when nobody has used it for two minutes, the workers when it is gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import ROOT


class Cluster:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--port", "0", "--idle-timeout", "120 s")
        self.address: str = json.loads(self._wait_for_file())["address"]

    def add_worker(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        more = ["--nthreads", "1", "--no-nanny", "--death-timeout", "20", *arguments]
        return self._start("worker", *more, "--local-directory", str(self._folder), **env)

    def wait_for_workers(self, count: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start(self, kind: str, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}"]
        command += ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(self._file)]
        with (self._folder / f"{kind}-{len(self._processes)}.log").open("w") as output:
            process = subprocess.Popen(
                [*command, *arguments],
                env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
                stdout=output,
                stderr=output,
            )
        self._processes.append(process)
        return process

    def _wait_for_file(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._file.exists() and self._file.read_text().strip().endswith("}"):
                return self._file.read_text()
            time.sleep(0.05)
        raise TimeoutError("no scheduler")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    running = Cluster(folder)
    try:
        yield running
    finally:
        running.stop()
