"""Run every task of a bundle on a board, and check what it computes."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvm_ops.boards import Board, get_board
from tvm_ops.bundle_reader import Bundle, open_bundle
from tvm_ops.correctness import largest_error, what_differs
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.operators import get_operator
from tvm_ops.signature import trusted
from tvm_ops.targets import Target
from tvm_ops.task import parse_task

SEED = 0
TIMEOUT = 300.0  # seconds for one task


@dataclass(frozen=True)
class Row:
    """One task's run; ``bound`` 0 means that the output has to be equal.

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
    signers: Path | None = None,
) -> list[Row]:
    """Run each task of the bundle ``repeat`` times after one warm-up.

    By default that is once on the modelled board, where repeats tell nothing new, else 5 times.

    ``board`` is what ``get_board`` takes, by default the one that fits the bundle's
    target. With ``check`` the inputs are seeded random numbers, packed as the manifest's knobs
    say, and the output is compared. A task that fails or computes a wrong result is a row with
    ``error``. With ``signers``, a file of allowed signers, nothing is unpacked that none of them
    has signed. Raises ``InputError`` for an unsound bundle, one for another architecture than the
    board's, or a thread count that the board does not have.
    """
    with (
        trusted(path, signers) as source,
        tempfile.TemporaryDirectory(prefix="tvm_ops-bundle-") as folder,
    ):
        bundle = open_bundle(source, Path(folder) / "bundle")
        chosen = get_board(board, bundle.target)
        if threads != 1 and chosen.name == "modelled":
            raise InputError(f"{threads} threads: the modelled board's timing is for 1 thread only")
        repeat = repeat or (1 if chosen.name == "modelled" else 5)
        chosen.connect()
        return run_tasks(bundle, chosen, check, threads, repeat)


def run_tasks(
    bundle: Bundle, board: Board, check: bool, threads: int = 1, repeat: int = 1
) -> list[Row]:
    """A row for each task of an opened bundle; see ``run_bundle``."""
    return [
        _run_task(bundle, facts, board, check, threads, repeat)
        for facts in bundle.manifest["tasks"]
    ]


def _run_task(
    bundle: Bundle, facts: dict[str, Any], board: Board, check: bool, threads: int, repeat: int
) -> Row:
    key = facts["key"]
    case = _Case.of(facts, bundle.target) if check else None
    given = {a["name"]: bundle.folder / a["file"] for a in facts["arguments"] if "file" in a}
    result = board.run(
        bundle.bench, task=key, libraries=[bundle.library], inputs=case.inputs if case else given,
        output=case.output if case else None, repeat=repeat, threads=threads, timeout=TIMEOUT,
    )  # fmt: skip
    ms = statistics.median(result.seconds) * 1e3 if result.seconds else None
    cycles = int(statistics.median(result.cycles)) if result.cycles else None
    rate = facts["macs"] / cycles if cycles else None
    error, worst, bound = result.error, None, None
    if case and error is None:
        bound = get_operator(facts["operator"]).ERROR_BOUND * float(np.abs(case.expected).max())
        worst, wrong = case.judge(result.outputs[case.output[0]], bound)
        error = wrong and f"wrong result: {wrong}"
    return Row(key, board.label, ms, cycles, rate, worst, bound, error)


@dataclass(frozen=True)
class _Case:
    """Seeded inputs in the kernel's layouts, numpy's result, and how to compare with it."""

    dtype: str
    inputs: dict[str, NDArray[Any]]
    output: tuple[str, tuple[int, ...], str]
    expected: NDArray[Any]
    unpack: Callable[[NDArray[Any]], NDArray[Any]]

    @classmethod
    def of(cls, facts: dict[str, Any], target: Target) -> _Case:
        """Raises ``InputError`` where the manifest's knobs and shapes do not fit each other."""
        task = parse_task(facts["operator"], facts["key"], target)
        operator, w, knobs = get_operator(task.operator), task.workload, facts["knobs"]
        arrays = operator.data(w, SEED)
        try:
            packed = operator.pack(w, knobs, arrays)
        except (KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise InputError(f"{task.key}: the manifest's knobs do not fit ({error!r})") from None
        *given, last = facts["arguments"]
        output = last["name"], tuple(last["shape"]), last["dtype"]
        expected, unpack = operator.reference(w, arrays), partial(operator.unpack_output, w)
        case = cls(w.output_dtype, packed, output, expected, unpack)
        odd = [a for a in given if not _fits(a, packed)] + [last] * (not case.fits_output())
        if odd:
            name, shape = odd[0]["name"], tuple(odd[0]["shape"])
            raise InputError(f"{task.key}: the manifest's '{name}' {shape} does not fit its knobs")
        return case

    def judge(self, y: NDArray[Any], bound: float) -> tuple[float | None, str | None]:
        """The largest error of what the kernel wrote, and what is wrong with it."""
        try:
            found = self.unpack(y)
        except CheckFailed as failed:
            return None, str(failed)
        worst = largest_error(found, self.expected)
        if bound == 0:
            return worst, what_differs(found, self.expected)
        fits = worst <= bound
        return worst, None if fits else f"largest error {worst:.3g}, allowed {bound:.3g}"

    def fits_output(self) -> bool:
        """Whether an array of the manifest's shape is what the operator can unpack."""
        try:
            y = np.zeros(self.output[1], self.output[2])
            return y.dtype == self.dtype and self.unpack(y).shape == self.expected.shape
        except (ValueError, TypeError, MemoryError):
            return False


def _fits(argument: dict[str, Any], packed: dict[str, NDArray[Any]]) -> bool:
    array = packed.get(argument["name"])
    shape, dtype = tuple(argument["shape"]), argument["dtype"]
    return array is not None and (array.shape, str(array.dtype)) == (shape, dtype)
