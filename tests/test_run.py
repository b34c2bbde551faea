"""Running a bundle, with and without a check."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tvm_ops.bundle import write_bundle
from tvm_ops.correctness import largest_error, what_differs
from tvm_ops.errors import InputError
from tvm_ops.process import run_limited
from tvm_ops.run import run_bundle
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs

KEY = "winograd_conv2d-n1_ci5_h6_w7_co6_k3_s1_p1-f32"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of one small convolution for one target of each architecture."""
    folder, written = tmp_path_factory.mktemp("bundles"), {}
    for name in ("host", "rpi4", "rpi4-armv7"):
        task = parse_task("winograd_conv2d", KEY, get_target(name))
        path = folder / f"{name}.tar.gz"
        written[name] = write_bundle([(task, default_knobs(task))], task.target, path)
    return written


@pytest.mark.parametrize(
    ("target", "board"),
    [("host", None), ("rpi4", None), ("rpi4", "emulated"), ("rpi4-armv7", None)],
)
def test_run_bundle(bundles, target: str, board: str | None) -> None:
    [row] = run_bundle(bundles[target], board=board, check=True, repeat=2)
    assert (row.task, row.error) == (KEY, None)
    assert row.max_abs_error is not None and row.bound is not None
    assert 0 < row.max_abs_error <= row.bound
    timed = board != "emulated" and target != "rpi4-armv7"
    assert (row.ms is not None) == timed
    modelled = target == "rpi4" and board is None
    assert (row.cycles is not None) == (row.mac_per_cycle is not None) == modelled
    assert row.board.startswith("modelled") == modelled
    [unchecked] = run_bundle(bundles[target], board=board, repeat=2)
    assert (unchecked.max_abs_error, unchecked.bound, unchecked.error) == (None, None, None)


@pytest.mark.parametrize("target", ["host", "rpi4-armv7"])
def test_run_bundle_with_threads(bundles, target: str) -> None:
    [row] = run_bundle(bundles[target], check=True, threads=4, repeat=1)
    assert row.error is None


def test_run_bundle_refuses(bundles) -> None:
    with pytest.raises(InputError, match="board host runs the target host only"):
        run_bundle(bundles["rpi4"], board="host")
    with pytest.raises(InputError, match="timing of ARMv7 is not modelled yet"):
        run_bundle(bundles["rpi4-armv7"], board="modelled")
    with pytest.raises(InputError, match="2 threads: the modelled board"):
        run_bundle(bundles["rpi4"], threads=2)


def test_a_wrong_result_is_an_error(bundles, tmp_path: Path, monkeypatch) -> None:
    from tvm_ops.operators import winograd_conv2d

    wrong = winograd_conv2d.reference
    monkeypatch.setattr(winograd_conv2d, "reference", lambda *a: wrong(*a) + 1)
    [row] = run_bundle(bundles["host"], check=True, repeat=1)
    assert row.error is not None and row.error.startswith("wrong result: largest error 1")


def test_largest_error() -> None:
    assert largest_error(np.float32([1, 2]), np.float64([1, 2.5])) == 0.5
    assert largest_error(np.float32([np.nan, 2]), np.float64([1, 2])) == np.inf


def test_what_differs() -> None:
    same = np.uint8([[1, 2], [3, 4]])
    assert what_differs(same, same.astype(np.int32)) is None
    other = np.uint64([[1, 2**63 + 1], [3, 5]])
    text = f"2 of 4 values differ, first at [0, 1]: {2**63 + 1}, not {2**63}"
    assert what_differs(other, np.uint64([[1, 2**63], [3, 4]])) == text


def test_a_bundle_on_the_board_itself(bundles, tmp_path: Path) -> None:
    """bin/bench finds its library beside it, from wherever it is called."""
    subprocess.run(["tar", "-xzf", bundles["host"], "-C", tmp_path], check=True)
    away = tmp_path / "elsewhere"
    away.mkdir()
    done = run_limited([tmp_path / "bin" / "bench"], timeout=60, cwd=away)
    assert done.stdout.startswith(f"{KEY}: median ")
