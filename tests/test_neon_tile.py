"""Assembly tiles, run in Python: their results, what they read, how their loops are scheduled."""

from __future__ import annotations

import numpy as np
import pytest

from tests.neon_machine import Floats, run_tile
from tvm_ops.operators._epilogue import ACTIVATIONS, activate
from tvm_ops.operators._neon_tile import Tile

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
    sizes |= {"bias": channels, "slope": channels, "residual": size}
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
