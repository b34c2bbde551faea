"""The modelled board against ncnn's published times of real boards, one thread.

The networks and times are in ``../shared/data``, which is not part of the project. Bounds are the
accuracy that docs/board-model.md states.
"""

from __future__ import annotations

import csv
import itertools
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT

from tvm_ops.board_model import execute, region
from tvm_ops.board_model.sysroot import PYTHON_ENVIRONMENT, python_argv, sysroot
from tvm_ops.targets import get_target

DATA = ROOT.parent / "shared/data"
SCRIPT = Path(__file__).parent / "board/run_ncnn.py"
BOARDS = {"rpi3": "rpi3b+", "rpi4": "rpi4", "rpi5": "rpi5"}  # names in the published table
TIE = 1.05  # published times nearer than this are not ranked

pytestmark = pytest.mark.skipif(
    not (DATA / "ncnn-published-ms.csv").exists(), reason="no ../shared/data beside the project"
)


@dataclass(frozen=True)
class Bound:
    """Percent: the mean error lies in ``bias``, its deviation and each error are below the rest."""

    bias: tuple[float, float]
    scatter: float
    worst: float


BOUNDS = {
    ("rpi3", "fp"): Bound((0, 7), 4, 13),
    ("rpi3", "int8"): Bound((-18, -12), 4, 18),
    ("rpi4", "fp"): Bound((-6, 0), 8.5, 16),
    ("rpi4", "int8"): Bound((-20, -14), 4, 19.5),
    ("rpi5", "all"): Bound((-15, -8), 8, 25.5),  # half precision and int8 together
}


def published(target: str) -> dict[str, float]:
    """Network to milliseconds on the real board, one thread."""
    with (DATA / "ncnn-published-ms.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["board"] == BOARDS[target]]
    return {row["model"]: float(row["ms"]) for row in rows if row["threads"] == "1"}


def modelled(target_name: str, networks: list[str], folder: Path) -> dict[str, float]:
    """Network to milliseconds on the modelled board."""
    shutil.copy(region.__file__, folder)
    shutil.copy(SCRIPT, folder)
    target = get_target(target_name)
    params = [str(DATA / "ncnn-params" / f"{name}.param") for name in networks]
    done = execute(
        target,
        [*python_argv(target), str(folder / SCRIPT.name), *params],
        sysroot=sysroot(target),
        marked=True,
        env={**PYTHON_ENVIRONMENT, "OMP_NUM_THREADS": "1"},
    )
    assert done.exit_code == 0, done.stderr
    assert [found.unknown_instructions for found in done.regions] == [0] * len(networks)
    return {networks[found.id]: found.ms for found in done.regions}


def select(networks: dict[str, float], which: str) -> list[str]:
    return [n for n in networks if which == "all" or (which == "int8") == ("int8" in n)]


@pytest.mark.parametrize("target", BOARDS)
def test_ncnn_networks_take_what_was_published(target: str, tmp_path: Path) -> None:
    real = published(target)
    assert len(real) == 10
    found = modelled(target, sorted(real), tmp_path)
    for (board, which), bound in BOUNDS.items():
        if board != target:
            continue
        names = select(real, which)
        errors = {name: 100 * (found[name] / real[name] - 1) for name in names}
        assert bound.bias[0] < statistics.mean(errors.values()) < bound.bias[1], errors
        assert statistics.stdev(errors.values()) < bound.scatter, errors
        assert max(map(abs, errors.values())) < bound.worst, errors
    for which in ("fp", "int8"):  # within a set, every pair that is no tie is ranked right
        for one, other in itertools.combinations(select(real, which), 2):
            if max(real[one], real[other]) > TIE * min(real[one], real[other]):
                assert (found[one] < found[other]) == (real[one] < real[other]), (one, other)
