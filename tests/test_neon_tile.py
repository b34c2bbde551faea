"""Assembly tiles, run in Python: their results, what they read, how their loops are scheduled."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.candidates import random_knobs
from tests.neon_machine import Floats, run_tile
from tvm_ops.build import compile_entry
from tvm_ops.operators._conv_neon import Neon
from tvm_ops.operators._epilogue import ACTIVATIONS, activate
from tvm_ops.operators._neon_registers import Load
from tvm_ops.operators._neon_tile import Tile
from tvm_ops.targets import get_target
from tvm_ops.task import listed_tasks, parse_task
from tvm_ops.template import default_knobs, get_schedule

SHAPES = [(1, 1), (2, 1), (3, 1), (14, 1), (1, 2), (2, 2), (8, 2), (9, 2), (7, 3), (2, 3), (5, 4)]
SHAPES += [(1, 8), (4, 5), (10, 2), (3, 6)]
FACTORS = [(4,), (1,), (2,), (4, 1), (4, 4, 1), (4, 3), (4,) * 9]
BLOCKS = (1, 2, 5)


def tile(
    pixels: int,
    vectors: int,
    factors: tuple[int, ...],
    blocks: int,
    in_order: bool,
    activation: str = "none",
    residual: bool = False,
) -> Tile:
    """Pixels two vectors apart, taps that overlap with the next pixel's."""
    return Tile(
        pixels=tuple(32 * p for p in range(pixels)),
        taps=tuple(16 * t for t in range(len(factors))),
        vectors=vectors,
        blocks=blocks,
        x_step=32 * pixels + 16 * len(factors),
        outputs=tuple(16 * p for p in range(pixels)),
        y_step=16 * pixels,
        activation=activation,
        residual=residual,
        in_order=in_order,
        factors=factors,
    )


def arrays_of(t: Tile) -> dict[str, Floats]:
    """Seeded; arrays end where the tile's last vector does, so that nothing may be read behind."""
    rng = np.random.default_rng(0)
    channels, size = 4 * t.vectors, len(t.pixels) * t.vectors * 4
    end = (t.blocks - 1) * t.x_step + max(t.pixels) + max(t.taps) + 16
    sizes = {"x": end // 4, "weights": t.blocks * t.block_weights * 4, "y": size}
    sizes |= {"bias": channels, "slope": channels, "residual": size, "ahead": sizes["x"]}
    return {name: rng.standard_normal(sizes[name], np.float32) for name in t.arguments}


def expected(t: Tile, arrays: dict[str, Floats]) -> Floats:
    """[vector, pixel, 4], by numpy."""
    at = [
        (block * t.x_step + t.taps[tap]) // 4 + k
        for block in range(t.blocks)
        for tap, k in t.factor_indices
    ]
    factors = np.stack([arrays["x"][np.array(at) + pixel // 4] for pixel in t.pixels])
    weights = arrays["weights"].reshape(len(at), t.vectors, 4)
    y = np.einsum("pk,kvc->vpc", factors.astype(np.float64), weights)
    y += arrays["bias"].reshape(t.vectors, 1, 4)
    if t.residual:
        y += arrays["residual"].reshape(y.shape)
    slope = arrays["slope"].reshape(t.vectors, 1, 4) if "slope" in arrays else None
    return activate(t.activation, y, slope).astype(np.float32)


def check(t: Tile) -> None:
    arrays = arrays_of(t)
    wanted = expected(t, arrays)
    run_tile(t, arrays)
    np.testing.assert_allclose(arrays["y"].reshape(wanted.shape), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.parametrize(("pixels", "vectors"), SHAPES)
def test_a_tile_equals_numpy(
    pixels: int, vectors: int, factors: tuple[int, ...], in_order: bool
) -> None:
    for blocks in BLOCKS:
        check(tile(pixels, vectors, factors, blocks, in_order))


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_start_and_end_of_a_tile(activation: str, residual: bool, in_order: bool) -> None:
    for pixels, vectors in [(9, 2), (10, 2), (5, 4), (1, 8), (7, 3)]:
        check(tile(pixels, vectors, (4,), 3, in_order, activation, residual))


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("ahead", ["block", "tile", "prfm_block", "prfm_tile"])
def test_what_is_asked_for_ahead_lies_in_x(ahead: str, in_order: bool) -> None:
    for pixels, vectors in [(9, 2), (14, 1), (1, 8), (1, 1)]:
        for factors in [(4,), (4, 4)]:
            check(replace(tile(pixels, vectors, factors, 3, in_order), ahead=ahead))


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("factors", [(4,), (4, 4, 1), (4,) * 9], ids=str)
@pytest.mark.parametrize(("pixels", "vectors"), [(8, 2), (9, 2), (14, 1), (7, 3), (5, 4)])
def test_an_iteration_has_each_multiply_and_each_load_once(
    pixels: int, vectors: int, factors: tuple[int, ...], in_order: bool
) -> None:
    """Those that begin in one iteration and end in the next have another base there."""
    t = tile(pixels, vectors, factors, 3, in_order)
    lines = list(t.assembly())
    loop = lines[lines.index("1:") + 1 : lines.index("b.ne 1b")]
    multiplies = list(t.multiplies())
    assert [s for s in loop if s.startswith("fmla")] == [m.text for m in multiplies]
    loads = [load for m in multiplies for load in m.frees]
    assert len(loads) == t.block_weights + pixels * len(factors)
    wanted = [s for load in loads for s in _instructions(load, in_order)]
    found = [s for s in loop if s.startswith(("ldr", "ins"))]
    assert Counter(map(_without_base, found)) == Counter(map(_without_base, wanted))


def _instructions(load: Load, in_order: bool) -> list[str]:
    return [load.low, load.high("x0"), load.insert("x0")] if in_order else [load.whole]


def _without_base(line: str) -> str:
    """An instruction without its integer registers."""
    return re.sub(r"x\d+", "x", line)


@pytest.mark.parametrize("target", ["rpi3", "rpi4"])
def test_what_is_legal_fits(target: str) -> None:
    board, rng = get_target(target), random.Random(0)
    found = 0
    for task in listed_tasks("conv2d", board):
        if "neon" not in get_schedule("conv2d").space(task.workload, board):
            continue
        for _ in range(30):
            knobs = random_knobs(task, rng, {"sketch": "neon"})
            if knobs:
                found += 1
                assert Neon.of(task.workload, knobs).tile.fits, f"{task.key} {knobs}"
    assert found > 100


def test_a_tile_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no registers or immediates"):
        tile(12, 2, (4,), 1, False).llvm()
    with pytest.raises(ValueError, match="no registers or immediates"):
        replace(tile(2, 2, (4,), 1, False), pixels=(0, 264)).llvm()


@pytest.mark.parametrize("target", ["rpi3", "rpi4"])
def test_a_tile_is_in_the_code_once(target: str) -> None:
    """LLVM copies code at its will, and a tile is most of the hot code that the L1 has to hold."""
    task = parse_task("conv2d", "conv2d-n1_ci32_h28_w28_co64_k3_s1_p1_c4-f32", get_target(target))
    knobs = default_knobs(task)
    code = str(compile_entry(task, knobs).inspect_source("asm"))
    multiplies = list(Neon.of(task.workload, knobs).tile.multiplies())
    assert len(re.findall(r"^\s*fmla\s", code, re.MULTILINE)) == len(multiplies)


@pytest.mark.parametrize("target", ["host", "rpi3-armv7"])
def test_other_instruction_sets_have_no_tiles(target: str) -> None:
    for task in listed_tasks("conv2d", get_target(target)):
        assert "neon" not in get_schedule("conv2d").space(task.workload, task.target)
