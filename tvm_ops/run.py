"""Run every task of a bundle on a board, and check what it computes."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.boards import Board, get_board
from tvm_ops.bundle_reader import Bundle, open_bundle
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator
from tvm_ops.targets import Target
from tvm_ops.task import Task, parse_task

SEED = 0
TIMEOUT = 300.0  # seconds for one task


@dataclass(frozen=True)
class Row:
    """One task's run.

    ``ms`` is the median of the repeats, ``cycles`` too; None where the board has no timing or the
    run failed. ``max_abs_error`` is against the operator's numpy reference, in the output's units,
    ``bound`` what it may be; both None without a check. ``error`` is one line, None if all is well.
    """

    task: str
    board: str
    ms: float | None
    cycles: int | None
    mac_per_cycle: float | None
    max_abs_error: float | None
    bound: float | None
    error: str | None


def run_bundle(
    path: Path,
    board: str | None = None,
    check: bool = False,
    threads: int = 1,
    repeat: int | None = None,
) -> list[Row]:
    """Run each task of the bundle ``repeat`` times after one warm-up.

    By default that is once on the modelled board, where repeats tell nothing new, else 5 times.

    ``board`` is ``modelled``, ``host`` or ``emulated``, by default the one that fits the bundle's
    target. With ``check`` the inputs are seeded random numbers, packed as the manifest's knobs
    say, and the output is compared. A task that fails or computes a wrong result is a row with
    ``error``. Raises ``InputError`` for an unsound bundle, one for another architecture than the
    board's, or a thread count that the board does not have.
    """
    with tempfile.TemporaryDirectory(prefix="tvm_ops-bundle-") as folder:
        bundle = open_bundle(path, Path(folder) / "bundle")
        chosen = get_board(board, bundle.target)
        if threads != 1 and chosen.name == "modelled":
            raise InputError(f"{threads} threads: the modelled board's timing is for 1 thread only")
        repeat = repeat or (1 if chosen.name == "modelled" else 5)
        return [
            _run_task(bundle, facts, chosen, check, threads, repeat)
            for facts in bundle.manifest["tasks"]
        ]


def _run_task(
    bundle: Bundle, facts: dict[str, Any], board: Board, check: bool, threads: int, repeat: int
) -> Row:
    key = facts["key"]
    inputs: dict[str, NDArray[Any] | Path] = {}
    output, expected = None, None
    if check:
        inputs, expected = _known_case(facts, bundle.target)
        last = facts["arguments"][-1]
        output = (last["name"], tuple(last["shape"]), last["dtype"])
    else:
        for name in ("weights", "bias"):
            if name in facts:
                inputs[name] = bundle.folder / facts[name]
    result = board.run(
        bundle.bench, task=key, inputs=inputs, output=output, repeat=repeat, threads=threads,
        timeout=TIMEOUT,
    )  # fmt: skip
    ms = statistics.median(result.seconds) * 1e3 if result.seconds else None
    cycles = int(statistics.median(result.cycles)) if result.cycles else None
    rate = facts["macs"] / cycles if cycles else None
    error, worst, bound = result.error, None, None
    if error is None and output is not None and expected is not None:
        bound = get_operator(facts["operator"]).ERROR_BOUND * float(np.abs(expected).max())
        worst = largest_error(result.outputs[output[0]], expected)
        if not worst <= bound:
            error = f"wrong result: largest error {worst:.3g}, allowed {bound:.3g}"
    return Row(key, board.label, ms, cycles, rate, worst, bound, error)


def largest_error(result: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest absolute difference; infinite where the result is no number."""
    difference = np.abs(result.astype(np.float64) - expected)
    return float(np.nan_to_num(difference, nan=np.inf, posinf=np.inf).max())


def _known_case(
    facts: dict[str, Any], target: Target
) -> tuple[dict[str, NDArray[Any] | Path], NDArray[Any]]:
    """Seeded inputs in the kernel's layouts, and the float64 result."""
    task = parse_task(facts["operator"], facts["key"], target)
    operator, w, knobs = get_operator(task.operator), task.workload, facts["knobs"]
    x, weights, bias = operator.data(w, SEED)
    try:
        packed = {
            "x": x,
            "weights": operator.pack_weights(w, knobs, weights),
            "bias": operator.pack_bias(w, knobs, bias),
        }
    except (KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError) as error:
        raise InputError(f"{task.key}: the manifest's knobs do not fit ({error!r})") from None
    _check_arguments(task, facts, packed)
    return dict(packed), operator.reference(w, x, weights, bias)


def _check_arguments(task: Task, facts: dict[str, Any], packed: dict[str, NDArray[Any]]) -> None:
    """The manifest's shapes have to be those that its knobs give."""
    for argument in facts["arguments"][:-1]:
        name, shape = argument["name"], tuple(argument["shape"])
        given = packed.get(name)
        if given is None or given.shape != shape or given.dtype != argument["dtype"]:
            raise InputError(f"{task.key}: the manifest's '{name}' {shape} does not fit its knobs")
