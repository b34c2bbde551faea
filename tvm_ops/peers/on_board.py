"""Peers on a board: many jobs in one process of the board's own Python.

Starting Python and a library under the emulator takes 2 to 4 s of this machine, most layers take
less. So ``runners/serve.py --once`` loads the library once and forks for each job.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

from tvm_ops.peers import process
from tvm_ops.peers.convolution import Array
from tvm_ops.peers.process import PeerFailed
from tvm_ops.process import Finished, run_limited
from tvm_ops.targets import Target

GRACE = 60.0  # seconds for starting Python and the library, and for ending


@dataclass(frozen=True)
class BoardRun:
    """``network`` and ``trivial`` are cycles; None without the timing model."""

    version: str
    output: Array
    network: int | None
    trivial: int | None


def job_folder(folder: Path, number: int) -> Path:
    """Where serve.py looks for a job: ``000``, ``001``, ..."""
    return folder / f"{number:03}"


def run_on_board(
    target: Target, folder: Path, jobs: int, timed: bool, timeout: int
) -> list[BoardRun | PeerFailed]:
    """Run the jobs in ``folder`` in the board's own Python, with the timing model or without.

    ``timeout`` is in seconds for one job. A job that fails is the ``PeerFailed`` in its place.
    """
    from tvm_ops.board_model.sysroot import PYTHON_ENVIRONMENT, python_argv, sysroot

    root = sysroot(target)
    # From inside of the folder: its random name would move Python's heap, and with it the cycles.
    argv = [*python_argv(target), str(process.SERVE), ".", "--once"]
    env = {**PYTHON_ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    regions: dict[int, int] = {}
    limit = jobs * timeout + GRACE  # serve.py itself ends a job that takes too long
    if timed:
        from tvm_ops.board_model import execute

        done = execute(target, argv, sysroot=root, marked=True, timeout=limit, cwd=folder, env=env)
        finished = Finished(done.exit_code, done.stdout, done.stderr, done.timed_out)
        regions = {region.id: int(region.cycles) for region in done.regions}
    else:
        qemu = [str(target.emulator), "-cpu", target.core, "-L", str(root)]
        finished = run_limited([*qemu, *argv], timeout=limit, cwd=folder, env=env)
    return list(_results(folder, jobs, regions, finished))


def _results(
    folder: Path, jobs: int, regions: dict[int, int], finished: Finished
) -> Iterator[BoardRun | PeerFailed]:
    for number in range(jobs):
        part = job_folder(folder, number)
        if not (part / "result.json").is_file():
            failure = "no result in time" if finished.timed_out else finished.failure
            yield PeerFailed(failure or "ended without a result")
            continue
        answer = json.loads((part / "result.json").read_text())
        if "error" in answer:
            yield PeerFailed(str(answer["error"]))
            continue
        output = np.asarray(np.load(part / "output.npy"))
        network, trivial = (regions.get(2 * number + i) for i in (1, 2))  # as serve.py has them
        yield BoardRun(str(answer["version"]), output, network, trivial)


def board_version(target: Target, package: str) -> str:
    """The version of a Python package on the board; raises ``PeerFailed`` if it is not there."""
    from tvm_ops.board_model.sysroot import SITE, sysroot

    for found in distributions(name=package, path=[str(sysroot(target) / SITE)]):
        return found.version
    raise PeerFailed(f"{package} is not on the board")
