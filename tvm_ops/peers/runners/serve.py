"""Run one peer's network, on this machine or on a board: ``serve.py FOLDER [--once]``.

It stands alone (numpy and the library), since a board's Python has no tvm_ops. FOLDER has job.json
and the networks ``operator`` and ``trivial``. With ``--once``, the way on a board: run with region
marks, write output.npy and then result.json. Else questions come as JSON lines on standard input:
``{"run": N}`` is answered by ``{"seconds": [...], "trivial": [...]}`` with N values each, and
``{"output": PATH}`` by ``{}``.

``run_X.py`` gives ``PACKAGE``, the library's name on its package index, and ``Network(folder, x,
settings)`` with x in NCHW: ``prepare()``, untimed, before each run; ``run()``, which is timed;
``output()``, in NCHW.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

OPERATOR, TRIVIAL = 1, 2  # the regions' ids


def main(folder: Path, once: bool) -> None:
    """Load the job and run it, once or as often as asked; what fails is answered as an error."""
    # Libraries print on standard output: keep it for the answers, and send theirs to the errors.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(facts: dict[str, Any]) -> None:
        if once:
            part = folder / "result.part"
            part.write_text(json.dumps(facts))
            part.rename(folder / "result.json")
        else:
            answers.write(json.dumps(facts) + "\n")
            answers.flush()

    try:
        job = json.loads((folder / "job.json").read_text())
        runner = importlib.import_module(f"run_{job['library']}")
        operator, trivial = (
            runner.Network(folder / part, np.load(folder / part / "x.npy"), job["settings"])
            for part in ("operator", "trivial")
        )
        facts = {"version": version(runner.PACKAGE)}
        if once:
            run_with_marks(operator, trivial)
            np.save(folder / "output.npy", operator.output())
            answer(facts)
        else:
            operator.run()
            answer(facts)
            for line in sys.stdin:
                answer(reply(json.loads(line), operator, trivial))
    except Exception as error:  # whatever a library raises is the answer
        text = " ".join(str(error).split()) or "no message"
        answer({"error": f"{type(error).__name__}: {text[:300]}"})
    # Not the normal end: ncnn's module crashes there.
    answers.flush()
    os._exit(0)


def reply(question: dict[str, Any], operator: Any, trivial: Any) -> dict[str, Any]:
    """The answer to one question."""
    if "output" in question:
        np.save(question["output"], operator.output())
        return {}
    pairs = [one_pair(operator, trivial) for _ in range(question["run"])]
    return {"seconds": [a for a, _ in pairs], "trivial": [b for _, b in pairs]}


def one_pair(operator: Any, trivial: Any) -> tuple[float, float]:
    """Seconds of one run of each network: medians, over 1 ms of runs or one run if it takes longer.

    The trivial network runs right after the operator, so that the library finds its own code as
    cold as the operator did.
    """
    pairs: list[tuple[float, float]] = []
    while sum(map(sum, pairs)) < 1e-3:
        operator.run()  # so that the caches are as one run leaves them for the next
        pairs.append((seconds_of(operator), seconds_of(trivial)))
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def seconds_of(network: Any) -> float:
    """Of one run, by wall clock."""
    network.prepare()
    start = time.perf_counter()
    network.run()
    return time.perf_counter() - start


def run_with_marks(operator: Any, trivial: Any) -> None:
    """One warm-up and one measured run of each network in the modelled board's regions.

    The first region only warms the modelled caches: outside of regions they stand still.
    """
    syscall = ctypes.CDLL(None).syscall

    def start() -> None:
        syscall(7777, 1, 0)

    operator.prepare()
    start()
    trivial.run()
    operator.run()
    operator.prepare()
    start()
    operator.run()
    syscall(7777, 2, OPERATOR)
    start()
    trivial.run()
    syscall(7777, 2, TRIVIAL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--once" in sys.argv[2:])
