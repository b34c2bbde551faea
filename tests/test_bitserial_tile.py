"""Few-bit tiles: chunks cover all of K once, their assembly computes and reads what it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from schedules import bitserial_conv2d
from tests.bits_machine import PAGE, Machine
from tvm_ops.operators._bitserial_asm import HALVES, Assembly
from tvm_ops.operators._bitserial_chunk import PIXELS_APART, STEP, Chunk, Registers
from tvm_ops.operators._bitserial_in_order import InOrder
from tvm_ops.operators._bitserial_tiled import Tiled
from tvm_ops.operators.bitserial_conv2d import WORKLOADS, Workload
from tvm_ops.targets import get_target


def chunk(
    pixels: int,
    rows: int,
    run: int,
    duplicated: bool = False,
    shared: bool = False,
    planes: int = 1,
) -> Chunk:
    """``rows`` of ``run`` steps each, three words of x from the end of one to the next's start.

    The most significant plane lies last.
    """
    size = 16 if duplicated else 8
    if shared:
        offsets = [s * pixels * size for s in range(rows * run)]
    else:
        offsets = [(r * (run + 3) + i) * size for r in range(rows) for i in range(run)]
    plane = offsets[-1] + size * (5 + pixels)
    first = tuple(i * plane for i in reversed(range(planes)))
    return Chunk(pixels, tuple(offsets), first, shared, duplicated)


SHAPES = [(1, 1, 1), (1, 7, 1), (3, 5, 1), (1, 16, 1), (3, 6, 1), (1, 31, 1)]
SHAPES += [(3, 3, 2), (1, 1, 2), (2, 5, 2), (2, 2, 3), (1, 1, 3)]  # of bytes: (2, 5, 2) has 240


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("rows", "run", "planes"), SHAPES)
@pytest.mark.parametrize(
    ("duplicated", "shared", "in_order"),
    [(False, False, True), (False, True, True), (True, False, False), (False, True, False)],
)
@pytest.mark.parametrize("fill", ["random", "all differ"])
def test_assembly_counts(
    pixels: int,
    rows: int,
    run: int,
    planes: int,
    duplicated: bool,
    shared: bool,
    in_order: bool,
    fill: str,
) -> None:
    check_counts(chunk(pixels, rows, run, duplicated, shared, planes), in_order, fill)


@pytest.mark.parametrize("pixels", PIXELS_APART)
@pytest.mark.parametrize("steps", range(1, 32))
@pytest.mark.parametrize("fill", ["random", "all differ"])
def test_planes_apart(pixels: int, steps: int, fill: str) -> None:
    """All lengths, so that bytes are added in pairs never, once and twice."""
    c = replace(chunk(pixels, 1, steps, duplicated=True, planes=2), apart=True)
    check_counts(c, False, fill)


def check_counts(c: Chunk, in_order: bool, fill: str) -> None:
    """Of x and weights that are no byte longer than needed, also where all sums are the largest."""
    assert c.largest < 256
    pixels, steps, planes = c.pixels, c.plane_steps, len(c.planes)
    duplicated, shared = c.duplicated, c.shared
    rng = np.random.default_rng(pixels)
    words = (c.planes[0] + c.offsets[-1] + c.size * (pixels if shared else 1)) // c.size
    if fill == "random":
        x = rng.integers(0, 256, (c.pointers, words, 8), np.uint8)
        weights = rng.integers(0, 256, (steps, 8, 8), np.uint8)
    else:
        x = np.zeros((c.pointers, words, 8), np.uint8)
        weights = np.full((steps, 8, 8), 255, np.uint8)
    stored = np.repeat(x, 2, axis=1) if duplicated else x
    first = 0 if duplicated else c.planes[0]
    names = {f"${pixels + i}": i * PAGE + first for i in range(c.pointers)}
    names[f"${pixels + 2 * c.pointers}"] = c.pointers * PAGE
    machine = Machine([*(a.reshape(-1) for a in stored), weights.reshape(-1)], names)
    assembly = Assembly(c, in_order)
    machine.run(list(assembly.lines()))
    for p in range(pixels):
        places = [c.word(s, p) for s in range(c.steps)]
        of_pixel = np.stack([x[pointer, offset // c.size] for pointer, offset in places])
        by_plane = of_pixel.reshape(planes, steps, 1, 8)
        counts = np.bitwise_count(by_plane ^ weights).sum(axis=(1, 3), dtype=np.int64)
        expected = (counts << np.arange(planes)[::-1, None]).sum(axis=0)
        found = machine.v[assembly.registers.sums[p]].view(np.uint16)
        np.testing.assert_array_equal(found, expected)


def test_in_order_has_the_same_instructions_in_few_more_cycles() -> None:
    """Limits: one 128-bit instruction a cycle and (8 + P) / 2 for a step's loads."""
    for pixels in (3, 4, 5):
        c = chunk(pixels, 3, 6)
        registers = Registers(c)
        operations = list(registers.operations())
        schedule = InOrder(Assembly(c, True), registers.first_loads, operations, HALVES)
        texts = {o.text for o in operations}
        order = [line for line in schedule.lines if line in texts]
        assert order == [o.text for o in operations]
        least = len(operations) + (c.steps - 1) * (8 + pixels) / 2
        assert schedule.cycle <= 1.03 * least + 10


def test_registers_suffice_up_to_five_pixels() -> None:
    assert Registers(chunk(5, 1, 3)).count == 32
    assert not Assembly(chunk(6, 1, 3), False).fits


@pytest.mark.parametrize("x", ["padded", "im2col"])
def test_chunks_cover_all_positions_once(x: str) -> None:
    for w in [w for w in WORKLOADS if w.cut]:
        knobs = {"sketch": "intrinsics", "pixels": 1, "x": x, "duplicated": False, "isa": "armv7"}
        knobs["runs"] = 1
        t = Tiled.of(w, knobs)
        assert t.steps <= 31
        c = t.chunk
        at = [plane + offset for plane in c.planes for offset in c.offsets]
        read = [(part.weights, part.x + o) for part in t.parts for o in at]
        assert len(set(read)) == len(read)
        assert c.largest < 256
        chunks = t.row_parts * t.blocks
        assert len(t.parts) * len(c.planes) == w.a_bits * w.w_bits * chunks
        assert {part.weights for part in t.parts} == {
            i * t.steps * STEP for i in range(w.w_bits * chunks)
        }
        assert chunks * t.steps >= w.kernel[0] * w.kernel[1] * w.group_words
        shifts = [part.shift for part in t.parts]
        assert shifts == sorted(shifts, reverse=True)
        inside = len(c.planes) - 1
        assert set(shifts) == set(range(w.a_bits + w.w_bits - 1 - inside))


def test_chunks_of_resnet_waste_nothing() -> None:
    for channels, size, cut in [
        (64, 56, (3, 1)),
        (128, 28, (3, 2)),
        (256, 14, (3, 2)),
        (512, 7, (1, 8)),
    ]:
        w = Workload(1, channels, size, size, channels)
        assert w.cut == cut
        assert w.group_words % cut[1] == 0


@pytest.mark.parametrize("target", ["rpi3", "rpi4", "rpi5", "rpi4-armv7", "host"])
def test_wide_images_have_a_default(target: str) -> None:
    """Rows that no offset reaches with words twice are read with words once."""
    board = get_target(target)
    for width in (2000, 3000):
        w = Workload(1, 64, 4, width, 8)
        assert bitserial_conv2d.legal(w, board, bitserial_conv2d.default(w, board))
        likely = bitserial_conv2d.likely(w, board)
        knobs = next(k for k in likely if k["sketch"] in ("assembly", "intrinsics"))
        assert knobs["duplicated"] == (board.core in ("cortex-a72", "cortex-a76") and width == 2000)
