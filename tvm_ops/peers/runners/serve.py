"""Run one peer's networks, on this machine or on a board: ``serve.py FOLDER [--once]``.

It stands alone (numpy and the library), since a board's Python has no tvm_ops. FOLDER has job.json
and a folder a job, ``000``, ``001``, ..., with the networks ``operator`` and ``trivial``.

With ``--once``, the way on a board, each job in turn is run with region marks in a child process
of its own, which writes output.npy and then result.json into the job's folder. The children start
from the same state, so a job's cycles do not depend on the other jobs, nor does it matter if one
crashes; Python and the library are loaded only once.

Else job 000 is loaded, and questions come as JSON lines on standard input: ``{"run": N}`` is
answered by ``{"seconds": [...], "trivial": [...]}`` with N values each, and ``{"output": PATH}`` by
``{}``.

``run_X.py`` gives ``Network(folder, x, settings)`` with x in NCHW or [n, ci]: ``prepare()``,
untimed, before each run; ``run()``, which is timed; ``output()``, in NCHW or of as many elements.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import numpy as np


def main(folder: Path, once: bool) -> None:
    """Run the jobs once each, or the first as often as asked."""
    # Libraries print on standard output: keep it for the answers, and send theirs to the errors.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = json.loads((folder / "job.json").read_text())
    if once:
        run_all(folder, job)
    else:
        serve(folder / "000", job, answers)
    # Not the normal end: ncnn's module crashes there.
    answers.flush()
    os._exit(0)


def run_all(folder: Path, job: dict[str, Any]) -> None:
    """Each job in a child process; one that leaves no result gets one here."""
    try:
        runner = importlib.import_module(f"run_{job['library']}")
        facts = {"version": version(job["package"])}
    except Exception as error:
        runner, facts = None, words(error)
    # The first child, -1, does nothing: after it Python's memory is as it is after any other.
    for number in range(-1, job["jobs"]):
        part = folder / f"{number:03}"
        child = os.fork()
        if child == 0:
            if runner is None or number < 0:
                os._exit(0)
            signal.alarm(job["timeout"])
            os.chdir(part)
            run_in_child(runner, job["settings"], number, facts)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if not (part / "result.json").is_file() and number >= 0:
            write_result(part, end_of_child(code, job["timeout"]) if runner else facts)


def end_of_child(code: int, timeout: int) -> dict[str, str]:
    """The answer for a child that has written none, by its exit code."""
    if code == -signal.SIGALRM:
        return {"error": f"no result within {timeout} s"}
    name = f"crashed: {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return {"error": name}


def run_in_child(runner: Any, settings: dict[str, bool], number: int, facts: Any) -> None:
    """Run the job of the current folder with marks, write its files, and end the process."""
    try:
        operator, trivial = load(runner, Path(), settings)
        run_with_marks(operator, trivial, 2 * number + 1)
        np.save("output.npy", operator.output())
    except Exception as error:  # whatever a library raises is the answer
        facts = words(error)
    write_result(Path(), facts)
    os._exit(0)


def serve(part: Path, job: dict[str, Any], answers: TextIO) -> None:
    """Load one job and answer questions until there are no more."""

    def answer(facts: dict[str, Any]) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    try:
        runner = importlib.import_module(f"run_{job['library']}")
        operator, trivial = load(runner, part, job["settings"])
        operator.run()
        answer({"version": version(job["package"])})
        for line in sys.stdin:
            answer(reply(json.loads(line), operator, trivial))
    except Exception as error:
        answer(words(error))


def load(runner: Any, part: Path, settings: dict[str, bool]) -> list[Any]:
    """Both networks of a job's folder."""
    return [
        runner.Network(part / name, np.load(part / name / "x.npy"), settings)
        for name in ("operator", "trivial")
    ]


def words(error: Exception) -> dict[str, str]:
    """An error as an answer, in one line."""
    text = " ".join(str(error).split()) or "no message"
    return {"error": f"{type(error).__name__}: {text[:300]}"}


def write_result(part: Path, facts: dict[str, Any]) -> None:
    """Whole or not at all."""
    unfinished = part / "result.part"
    unfinished.write_text(json.dumps(facts))
    unfinished.rename(part / "result.json")


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


def run_with_marks(operator: Any, trivial: Any, region: int) -> None:
    """One warm-up and one measured run of each network in the modelled board's regions.

    The operator's region is ``region``, the trivial network's the next number. What comes before
    only warms the modelled caches: outside of regions they stand still.
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
    syscall(7777, 2, region)
    start()
    trivial.run()
    syscall(7777, 2, region + 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--once" in sys.argv[2:])
