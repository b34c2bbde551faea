"""Loads whose data pass through a vector pipe: ld1r, one lane, ld2 to ld4."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from micro_kernels import CHAIN, Kernel, chain, cycles, independent, pointer_chase
from test_board_model_timing import L2_SIZE, parameter, table

TARGETS = ["rpi4", "rpi5"]
# Each and its row. The pipes are "L, F0/F1" in Arm's guide of the A72, "L, V" in that of the A76.
LOADS = [
    ("ld1r {v4.4s}, [x1]", "load_duplicate.x1"),
    ("ld2r {v4.4s, v5.4s}, [x1]", "load_duplicate.x2"),
    ("ld3r {v4.4s-v6.4s}, [x1]", "load_duplicate.x3"),
    ("ld4r {v4.4s-v7.4s}, [x1]", "load_duplicate.x4"),
    ("ld2 {v4.2s, v5.2s}, [x1]", "load_interleaved.64x2"),
    ("ld3 {v4.2s-v6.2s}, [x1]", "load_interleaved.64x3"),
    ("ld4 {v4.2s-v7.2s}, [x1]", "load_interleaved.64x4"),
    ("ld2 {v4.4s, v5.4s}, [x1]", "load_interleaved.128x2"),
    ("ld3 {v4.4s-v6.4s}, [x1]", "load_interleaved.128x3"),
    ("ld4 {v4.4s-v7.4s}, [x1]", "load_interleaved.128x4"),
]


@pytest.mark.parametrize("target", TARGETS)
def test_vector_operations_beside_them(target: str, tmp_path: Path) -> None:
    """Beside loads of one register both pipes are free: two additions a cycle."""
    rows, width = table(target), parameter(target, "issue_width")
    additions = independent("add v{d}.2s, v1.2s, v2.2s", 2)
    loads = [*LOADS, ("ldr q4, [x1]", "load.128")]
    kernels = [Kernel(chain(f"{load}\n{additions}", 4 * CHAIN)) for load, _ in loads]
    wrong = {}
    for (load, row), cost in zip(loads, cycles(target, kernels, tmp_path / "p"), strict=True):
        first, pipes = int(rows[row][3]), len(rows[row][4].split(","))
        then = int(rows[row][5]) if row != "load.128" else 0
        dispatched = first + then if target == "rpi4" else 1
        expected = max(first / pipes, (then + 2) / 2, (dispatched + 2) / width)
        if cost / (4 * CHAIN) != pytest.approx(expected, rel=0.06):
            wrong[load] = (row, expected, cost / (4 * CHAIN))
    assert wrong == {}


@pytest.mark.parametrize("target", TARGETS)
def test_latency(target: str, tmp_path: Path) -> None:
    """That of the row from L1; from L2 later by as much as for other loads."""
    rows = table(target)
    loads = {
        "ld1r {v0.2d}, [x0]": "load_duplicate.x1",
        "ld2 {v0.2s, v1.2s}, [x0]": "load_interleaved.64x2",
    }
    latencies = [int(rows[row][0]) + int(rows["vector_to_gpr"][0]) for row in loads.values()]
    bodies = [chain(f"{load}\n fmov x0, d0") for load in loads]
    list_in_l2 = pointer_chase(L2_SIZE[target], 64, warm=True)
    kernels = [
        Kernel(bodies[0], setup="str x0, [x0]"),
        Kernel(bodies[1], setup="stp w0, w0, [x0]\n lsr x5, x0, #32\n str w5, [x0, #8]"),
        replace(list_in_l2, body=bodies[0]),
    ]
    found = [cost / CHAIN for cost in cycles(target, kernels, tmp_path / "p")]
    assert found[:2] == pytest.approx(latencies, rel=0.03)
    from_l2 = latencies[0] + parameter(target, "l2_latency") - 1
    assert found[2] == pytest.approx(from_l2, rel=0.05)


@pytest.mark.parametrize("target", TARGETS)
def test_data_wait_for_busy_pipes(target: str, tmp_path: Path) -> None:
    """Eight additions that a load before has made ready keep both pipes for four cycles."""
    rows = table(target)
    additions = independent("add v{d}.2s, v4.2s, v4.2s", 8)
    body = f"ldr q4, [x0]\n {additions}\n ld1r {{v0.2d}}, [x0]\n fmov x0, d0"
    kernel = Kernel(chain(body), setup="str x0, [x0]")
    columns = rows["load_duplicate.x1"]
    pipes_free = int(rows["load.128"][0]) + 8 // 2
    issued = 0 if "," in columns[4] else 1  # beside the other load, or after it
    assert pipes_free > issued + int(columns[0]) - int(columns[7])
    expected = pipes_free + int(columns[7]) + int(rows["vector_to_gpr"][0])
    assert cycles(target, [kernel], tmp_path / "p")[0] / CHAIN == pytest.approx(expected, rel=0.03)
