"""How many trials each tuner needs: 12 small convolutions, one after the other, resumable.

``python -m tvm_ops.tuning.tuner_check --work DIR --out DIR [--target T] [--trials N] [--seed N]``:
logs go to ``--work`` and are gone on with, ``tuners.{json,md,svg}`` to ``--out``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_ops.cli_script import run_script
from tvm_ops.targets import Target, get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.tuning import log
from tvm_ops.tuning.pool import Pool, open_pool
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.tuner_chart import curves_svg

# Kernels and strides of the networks' layers, so small that a trial is mostly its build.
WORKLOADS = [
    "n1_ci64_h14_w14_co64_k1_s1_p0",
    "n1_ci16_h14_w14_co32_k3_s1_p1",
    "n1_ci32_h28_w28_co32_k1_s1_p0",
    "n1_ci32_h7_w7_co32_k3_s1_p1",
    "n1_ci128_h7_w7_co128_k1_s1_p0",
    "n1_ci16_h28_w28_co32_k3_s2_p1",
    "n1_ci96_h14_w14_co24_k1_s1_p0",
    "n1_ci8_h28_w28_co16_k3_s1_p1",
    "n1_ci24_h28_w28_co96_k1_s1_p0",
    "n1_ci16_h14_w14_co16_k5_s1_p2",
    "n1_ci256_h7_w7_co64_k1_s1_p0",
    "n1_ci3_h32_w32_co16_k7_s2_p3",
]
TIE = 1.01  # of the cycles: differences below are of no use, and the board model's error is larger
LABELS = {"random": "random", "xgb": "xgb", "transfer": "xgb, other workloads' logs"}


@dataclass(frozen=True)
class Curve:
    """The best so far after each trial of one workload by one tuner, in cycles."""

    workload: str
    tuner: str
    best: list[float]

    def trials_to(self, cycles: float) -> int | None:
        """How many trials until it was as fast; None where it never was."""
        return next((i for i, c in enumerate(self.best, 1) if c <= cycles), None)


def tasks(target: Target) -> list[Task]:
    """The workloads on a target."""
    return [parse_task("conv2d", f"conv2d-{key}-f32", target) for key in WORKLOADS]


def order(tasks: Sequence[Task]) -> list[tuple[Task, str]]:
    """Workload by workload, so that a run that is stopped has some; then with all others' logs.

    So what a workload learns from does not depend on where it stands in the list.
    """
    steps = [(task, tuner) for task in tasks for tuner in LABELS if tuner != "transfer"]
    return [*steps, *((task, "transfer") for task in tasks)]


def measure(task: Task, tuner: str, trials: int, work: Path, pool: Pool, seed: int = 0) -> None:
    """Tune with the logs in a folder of this tuner's own; what is there is not measured again.

    ``seed`` is that of the guided ones: what they are held against stays the same.
    """
    logs = work / tuner
    options: dict[str, Any] = {"tuner": tuner, "transfer": False}
    if tuner != "random":
        options["seed"] = seed
    if tuner == "transfer":
        logs = logs / task.key
        options |= {"tuner": "xgb", "transfer": True}
        path = log.log_path(logs, task.target.name, task.operator)
        if not path.exists():
            others = log.read_log(log.log_path(work / "xgb", task.target.name, task.operator))
            log.append(path, [record for record in others if record.task != task.key])
    tune(task, trials=trials, logs=logs, pool=pool, **options)


def read_curves(work: Path, target: Target) -> list[Curve]:
    """What the logs have, in the order of the workloads."""
    found = []
    for task in tasks(target):
        for tuner in LABELS:
            logs = work / tuner / task.key if tuner == "transfer" else work / tuner
            path = log.log_path(logs, target.name, task.operator)
            best, least = [], math.inf
            for record in log.read_log(path):
                if record.task == task.key:
                    cycles = record.cycles if record.cost and record.cycles else math.inf
                    least = min(least, cycles)
                    best.append(least)
            if best:
                found.append(Curve(task.key, tuner, best))
    return found


def rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """For each workload: what random found, and after how many trials each was within ``TIE``."""
    found = []
    for key in dict.fromkeys(curve.workload for curve in curves):
        own = {curve.tuner: curve for curve in curves if curve.workload == key}
        if "random" not in own:
            continue
        goal = own["random"].best[-1]
        row: dict[str, Any] = {"workload": key, "cycles": goal}
        for tuner, curve in own.items():
            row[tuner] = {
                "trials": len(curve.best),
                "needed": curve.trials_to(goal * TIE),
                "best": curve.best[-1],
            }
        found.append(row)
    return found


def mean_curves(curves: Sequence[Curve]) -> dict[str, list[float]]:
    """By tuner: the geometric mean of the best of all over the best so far, after each trial.

    Of the workloads that all tuners have, as far as the shortest curve goes.
    """
    there = {c.tuner for c in curves}
    keys = [k for k in {c.workload for c in curves} if sum(c.workload == k for c in curves) ==
            len(there)]  # fmt: skip
    best = {k: min(c.best[-1] for c in curves if c.workload == k) for k in keys}
    means = {}
    for tuner in (t for t in LABELS if t in there):
        own = [c for c in curves if c.tuner == tuner and c.workload in keys]
        length = min((len(c.best) for c in own), default=0)
        means[tuner] = [
            math.exp(statistics.mean(math.log(best[c.workload] / c.best[i]) for c in own))
            if all(math.isfinite(c.best[i]) for c in own)
            else 0.0
            for i in range(length)
        ]
    return means


def totals(facts: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each guided tuner, over the workloads that it has all trials of.

    ``workloads``; on how many it came within ``TIE`` of what random found (``reached``) and the
    median of the trials it took, infinite where it did not (``needed``); the geometric mean of
    random's cycles over its own, above 1 where it is faster (``gain``).
    """
    found: dict[str, dict[str, Any]] = {}
    for tuner in (t for t in LABELS if t != "random"):
        there = [row for row in facts if tuner in row]
        if not there:
            continue
        needed = [row[tuner]["needed"] or math.inf for row in there]
        gains = [math.log(row["cycles"] / row[tuner]["best"]) for row in there]
        found[tuner] = {
            "workloads": len(there),
            "reached": sum(math.isfinite(trials) for trials in needed),
            "needed": statistics.median_low(needed),
            "gain": math.exp(statistics.mean(gains)),
        }
    return found


def table(facts: Sequence[dict[str, Any]]) -> str:
    """Markdown; trials that each tuner needs to be within ``TIE`` of what random found at last."""
    lines = [
        "| workload | random | Mcycles | xgb | with transfer | xgb's best | transfer's best |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in facts:
        cells = [row["workload"], f"{row['random']['needed']} of {row['random']['trials']}"]
        cells.append(f"{row['cycles'] / 1e6:.3f}")
        for tuner in ("xgb", "transfer"):
            own = row.get(tuner)
            cells.append("–" if own is None else str(own["needed"] or f"> {own['trials']}"))
        for tuner in ("xgb", "transfer"):
            own = row.get(tuner)
            cells.append("–" if own is None else f"{row['cycles'] / own['best']:.2f}×")
        lines.append(f"| {' | '.join(cells)} |")
    over_all = totals(facts)
    cells = ["all: median, reached, geometric mean"]
    cells += [str(statistics.median_low([row["random"]["needed"] for row in facts])), ""]
    both = [over_all.get(tuner) for tuner in ("xgb", "transfer")]
    cells += [f"{t['needed']}, {t['reached']} of {t['workloads']}" if t else "–" for t in both]
    cells += [f"{t['gain']:.3f}×" if t else "–" for t in both]
    lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(work: Path, out: Path, target: Target) -> None:
    """The table, the plot and the facts of both, of what the logs have."""
    curves = read_curves(work, target)
    facts, means = rows(curves), mean_curves(curves)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tuners.md").write_text(table(facts))
    (out / "tuners.svg").write_text(curves_svg({LABELS[t]: c for t, c in means.items()}))
    text = json.dumps({"target": target.name, "rows": facts, "means": means}, indent=1)
    (out / "tuners.json").write_text(text + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing; the documents are written after each workload."""
    parser = argparse.ArgumentParser(prog="compare_tuners", description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--target", default="rpi4")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of xgb; with a --work of its own")
    arguments = parser.parse_args(argv)
    return run_script("compare_tuners", lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    target = get_target(arguments.target)
    half = arguments.trials // 2  # what the guided ones are to do with
    with open_pool(arguments.workers) as pool:
        for task, tuner in order(tasks(target)):
            trials = arguments.trials if tuner == "random" else half
            measure(task, tuner, trials, arguments.work, pool, arguments.seed)
            write(arguments.work, arguments.out, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
