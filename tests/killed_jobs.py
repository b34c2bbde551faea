"""Kills a tuning job again and again, at random moments, and looks at its log each time.

``python killed_jobs.py LOGS KILLS``: prints the sizes of the log after each kill, as JSON. The job
is the real one up to the pool, whose workers answer at once; it runs in a fork of this process,
because TVM takes a second to import.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tvm_ops.boards import Board
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, parse_task
from tvm_ops.tuning import log
from tvm_ops.tuning.measure import Outcome
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.space import knobs_id

KEY = "conv2d-n1_ci16_h12_w12_co16_k3_s1_p1-f32"
TASK = parse_task("conv2d", KEY, get_target("rpi4"))
OPTIONS: dict[str, Any] = {"trials": 10**6, "tuner": "random", "seed": 3}


class InstantPool:
    """A pool whose outcomes depend on the knobs only."""

    def __enter__(self) -> InstantPool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prepare(self, board: Board) -> str:
        return board.label

    def submit(self, setting: Setting, knobs: Knobs, cycle_limit: int | None) -> Future[Outcome]:
        cycles = 10**6 + sum(knobs_id(knobs).encode()) * 97 % 10**5
        done: Future[Outcome] = Future()
        done.set_result(Outcome([cycles / 1.8e9], cycles, 0.0))
        return done


def wait_for_growth(path: Path, size: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size > size:
            return
        time.sleep(0.0005)


def main() -> None:
    logs, kills = Path(sys.argv[1]), int(sys.argv[2])
    path = log.log_path(logs, "rpi4", "conv2d")
    tune(TASK, logs=logs / "warm", pool=InstantPool(), **OPTIONS | {"trials": 16})  # imports
    rng, sizes = random.Random(5), []
    before = b""
    while len(sizes) < kills:
        child = os.fork()
        if child == 0:
            tune(TASK, logs=logs, pool=InstantPool(), **OPTIONS)
            os._exit(0)
        if rng.random() < 0.9:  # else while it starts or reads the log
            wait_for_growth(path, len(before))
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        after = path.read_bytes() if path.exists() else b""
        whole = before[: before.rfind(b"\n") + 1]
        assert after.startswith(whole), "a record was lost or changed"
        before = after
        sizes.append(len(after))
    sys.stdout.write(json.dumps(sizes))


if __name__ == "__main__":
    main()
