"""Few-bit tiles of 32 channels: what their assembly computes and reads, and in how many cycles."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from schedules import bitserial_conv2d
from tests.bits_machine import PAGE, Machine
from tvm_ops.operators._bitserial_asm import HALVES, Assembly
from tvm_ops.operators._bitserial_chunk import Chunk
from tvm_ops.operators._bitserial_in_order import InOrder
from tvm_ops.operators._bitserial_tile import Part
from tvm_ops.operators._bitserial_tiled import Tiled
from tvm_ops.operators._bitserial_wide import WideRegisters
from tvm_ops.operators._bitserial_wide_codes import Codes
from tvm_ops.operators._bitserial_wide_glue import MIXED, WideGlue
from tvm_ops.operators._bitserial_wide_loop import WideLoop
from tvm_ops.operators._bitserial_wide_tile import WideTile
from tvm_ops.operators.bitserial_conv2d import Workload
from tvm_ops.targets import get_target

Array = NDArray[np.uint16]
KNOBS = {
    "sketch": "assembly", "in_order": True, "pixels": 5, "x": "padded", "duplicated": False,
    "runs": 1, "block": 0, "k_bits": 16,
}  # fmt: skip


def chunk(pixels: int, rows: int, run: int, shared: bool = False, planes: int = 1) -> Chunk:
    """``rows`` of ``run`` words each, three words from the end of one to the next's start."""
    if shared:
        words = [s * pixels * 8 for s in range(rows * run)]
    else:
        words = [(r * (run + 3) + i) * 8 for r in range(rows) for i in range(run)]
    offsets = tuple(word + start for word in words for start in range(0, 8, 2))
    plane = words[-1] + 8 * (5 + pixels)
    return Chunk(
        pixels, offsets, tuple(i * plane for i in reversed(range(planes))), shared, k_bits=16
    )


def size_of_x(c: Chunk) -> int:
    """Bytes from a pointer's first one to the last one read."""
    return c.planes[0] + c.offsets[-1] + 2 + (8 * (c.pixels - 1) if c.shared else 0)


def values(shape: tuple[int, ...], fill: str, ones: int) -> Array:
    if fill == "random":
        return np.random.default_rng(ones).integers(0, 2**16, shape, np.uint16)
    return np.full(shape, ones, np.uint16)


def counted(c: Chunk, x: Array, weights: Array, start: int = 0) -> NDArray[np.int64]:
    """T [pixel, channel] of x [pointer, number] and weights [step, channel], numbers of 16 bits."""
    total = np.zeros((c.pixels, 32), np.int64)
    for step in range(c.steps):
        total *= 2 if c.doubles(step) else 1
        for p in range(c.pixels):
            pointer, offset = c.word(step, p)
            differ = x[pointer, (start + offset) // 2] ^ weights[step % c.plane_steps]
            total[p] += np.bitwise_count(differ)
    return total


def sums_of(machine: Machine, registers: list[int]) -> NDArray[np.uint16]:
    """[pixel, channel]."""
    return machine.v[registers].view(np.uint16).reshape(-1, 32)


SHAPES = [(1, 1, 1), (1, 2, 1), (3, 3, 1), (2, 5, 1), (3, 2, 2), (1, 1, 3)]


@pytest.mark.parametrize("pixels", [1, 3, 4, 5])
@pytest.mark.parametrize(("rows", "run", "planes"), SHAPES)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("fill", ["random", "all differ"])
@pytest.mark.parametrize("given", [None, 0, 1])
@pytest.mark.parametrize("ends", [False, True])
def test_assembly_counts(
    pixels: int,
    rows: int,
    run: int,
    planes: int,
    shared: bool,
    fill: str,
    given: int | None,
    ends: bool,
) -> None:
    """Of arrays no byte longer than needed; from given sums on up to 65535; ends with 64 bytes."""
    c = chunk(pixels, rows, run, shared, planes)
    if given is not None:
        c = Chunk(pixels, c.offsets, c.planes, shared, k_bits=16, continues=True)
    x = values((c.pointers, size_of_x(c) // 2), fill, 0)
    weights = values((c.plane_steps, 32), fill, 2**16 - 1)
    assembly = Assembly(c, True, ends)
    assert assembly.fits
    names = {assembly.pointer(i): i * PAGE + c.planes[0] for i in range(c.pointers)}
    names |= {assembly.weights: c.pointers * PAGE, assembly.doubles: given or 0}
    names |= {assembly.end: (c.pointers + 1) * PAGE} if ends else {}
    arrays = [*(a.view(np.uint8) for a in x), weights.reshape(-1).view(np.uint8)]
    end = np.arange(64, dtype=np.uint8)
    machine = Machine([*arrays, end], names)
    expected = counted(c, x, weights)
    if given is not None:
        # Doubled by the flag, and again before each further plane.
        times = 2 ** (planes - 1 + given)
        before = (2**16 - 1 - expected) // times
        machine.v[assembly.registers.sums] = (
            before.astype(np.uint16).reshape(-1, 8).view(np.uint8).reshape(-1, 16)
        )
        expected = expected + times * before
        assert fill == "random" or expected.max() > 2**16 - 1 - times
    machine.run(list(assembly.lines()))
    np.testing.assert_array_equal(sums_of(machine, assembly.registers.sums), expected)
    if ends:
        after = machine.v[assembly.results[4 * pixels :]]
        np.testing.assert_array_equal(after.reshape(-1), end)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("rows", "run"), [(1, 3), (3, 1), (1, 5), (3, 2)])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("shifts", [(1, 1, 0, 0), (0, 0, 0), (2, 1, 1, 0)])
def test_loop_counts(
    pixels: int, rows: int, run: int, shared: bool, shifts: tuple[int, ...]
) -> None:
    """All chunks, also back to an earlier one; then the registers have what comes at the end."""
    c = chunk(pixels, rows, run, shared)
    room, chunks = size_of_x(c), len(shifts)
    block = 64 * c.steps
    order = [2, 0, 3, 1][:chunks] if chunks == 4 else [1, 2, 0]
    parts = tuple(Part(i * room, i * block, s) for i, s in zip(order, shifts, strict=True))
    rng = np.random.default_rng(pixels)
    x = rng.integers(0, 2**16, (c.pointers, chunks * room // 2), np.uint16)
    weights = rng.integers(0, 2**16, (chunks, c.steps, 32), np.uint16)
    glue = WideGlue("aarch64", 2, 16, 8, 4, lanes=32, signed=True)
    tile = WideTile(parts, None, glue, 1, c, "in_order")
    table = np.array(tile._table_numbers, np.int32)
    loop = WideLoop(c, keeps=True, ends=True)
    end = rng.integers(0, 256, 192, np.uint8)
    arrays = [*(a.view(np.uint8) for a in x), weights.reshape(-1).view(np.uint8)]
    arrays += [table.view(np.uint8), np.zeros(4, np.uint8), end]
    names = {loop.pointer(i): i * PAGE + parts[0].x for i in range(c.pointers)}
    names[loop.weights] = c.pointers * PAGE + parts[0].weights
    names |= {loop.pointer(2 * c.pointers + i): (c.pointers + i) * PAGE for i in range(1, 4)}
    machine = Machine(arrays, names)
    machine.run(loop.lines())
    expected = sum(counted(c, x, weights[p.weights // block], p.x) << p.shift for p in parts)
    np.testing.assert_array_equal(sums_of(machine, loop.registers.sums), expected)
    first = [loop.registers.weights(0, v) for v in range(4)]
    np.testing.assert_array_equal(machine.v[first].reshape(-1), end[:64])


def test_in_order_has_the_same_instructions_in_few_more_cycles() -> None:
    """Limits: one 128-bit instruction a cycle and (8 + P) / 2 for a step's loads."""
    for pixels in (3, 4, 5):
        c = chunk(pixels, 3, 6)
        operations = list(WideRegisters(c).operations())
        first = WideRegisters(c).first_loads
        schedule = InOrder(Assembly(c, True), first, operations, HALVES)
        texts = {o.text for o in operations}
        assert [line for line in schedule.lines if line in texts] == [o.text for o in operations]
        least = len(operations) + (c.steps - 1) * (8 + pixels) / 2
        assert schedule.cycle <= 1.001 * least + 14


def test_loops_begin_with_other_registers_in_few_more_cycles() -> None:
    """A chunk in a loop is as fast: all of 72 steps, and the next one's first loads."""
    for pixels in (4, 5):
        c = chunk(pixels, 3, 6)
        loop = WideLoop(c)
        operations = list(loop.registers.operations())
        schedule = InOrder(loop, [], operations, HALVES)
        assert schedule.cycle <= 1.001 * (len(operations) + c.steps * (8 + pixels) / 2) + 6


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize("largest", [2**15 - 1, 700])
def test_codes_of_two_bits(pixels: int, is_given: bool, largest: int) -> None:
    """Of sums on both sides of all bounds, of the least and the largest ones."""
    rng = np.random.default_rng(pixels)
    bounds = np.sort(rng.integers(0, largest + 1, (3, 32)), axis=0)[::-1]
    bounds[:, :4] = np.array([[largest] * 3, [0] * 3, [largest, 0, 0], [largest, largest, 0]]).T
    sums = rng.integers(0, largest, (pixels, 32))
    near = rng.integers(0, 3, (pixels, 32))
    sums = np.where(rng.random(sums.shape) < 0.6, np.take_along_axis(bounds, near, 0), sums)
    sums = np.clip(sums - rng.integers(0, 2, sums.shape), 0, largest - 1)
    sums[0, ::5], sums[-1, 1::5] = 0, largest - 1
    flips = rng.integers(0, 2**32, 1, np.uint32)
    given = range(4 * pixels, 4 * pixels + 4) if is_given else ()
    codes = Codes(pixels, 5003, 9, given)
    y = np.zeros(5003 * (pixels - 1) + 13, np.uint8)
    stored = bounds[:, list(MIXED)].astype(np.uint16)
    arrays = [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (stored, flips, y)]
    first = 4 * pixels + len(given)
    machine = Machine(arrays, {f"${first + i}": i * PAGE for i in range(3)})
    mixed = np.ascontiguousarray(sums[:, list(MIXED)]).astype(np.uint16)
    machine.v[: 4 * pixels] = mixed.reshape(-1, 8).view(np.uint8)
    if is_given:
        machine.v[list(given)] = np.ascontiguousarray(stored[0]).reshape(4, 8).view(np.uint8)
    machine.run(codes.lines)
    expected = (sums[:, None] < bounds).sum(axis=1)
    for pixel, plane in np.ndindex(pixels, 2):
        found = y[5003 * pixel + 9 * plane :][:4].view(np.uint32) ^ flips
        bits = found[0] >> np.arange(32, dtype=np.uint32) & 1
        np.testing.assert_array_equal(bits, expected[pixel] >> plane & 1)


def test_codes_take_few_cycles() -> None:
    """112 of instructions with 5 pixels; LLVM's took 235."""
    assert Codes(5, 16, 8).cycles <= 124
    assert Codes(5, 16, 8, range(20, 24)).cycles <= 118


def test_channels_are_mixed_once() -> None:
    assert sorted(MIXED) == list(range(32))


def test_code_fits_the_instruction_cache() -> None:
    """22 KB of chunks, however large K is."""
    for w in [Workload(1, 64, 8, 8, 64, a_bits=2), Workload(1, 512, 7, 7, 512, a_bits=3, w_bits=1)]:
        t = Tiled.of(w, KNOBS)
        unrolled = len(t.parts) * t.chunk.steps
        assert unrolled <= 80 or t.chunk.steps <= 80
        assert {part.weights % (t.chunk.steps * 64) for part in t.parts} == {0}


def test_which_workloads_have_wide_tiles() -> None:
    """Sums of 16 bits and groups of whole tiles, on the in-order core."""
    board = get_target("rpi3")
    for fields, wide in [
        ({}, True), ({"co": 8}, True), ({"co": 128, "groups": 2}, True),
        ({"ci": 64, "h": 30, "kernel": (23, 1)}, False),
        ({"co": 48, "groups": 2}, False), ({"ci": 512, "a_bits": 3, "w_bits": 2}, False),
    ]:  # fmt: skip
        w = Workload(**{"n": 1, "ci": 128, "h": 9, "w": 9, "co": 96} | fields)
        space = bitserial_conv2d.space(w, board)["assembly"]
        assert (16 in space["k_bits"]) == wide
        assert bitserial_conv2d.space(w, get_target("rpi4"))["assembly"]["k_bits"] == [64]
        assert bitserial_conv2d.legal(w, board, bitserial_conv2d.default(w, board))


def test_a_few_channels_have_narrow_tiles() -> None:
    """A tile of 32 would be three quarters empty."""
    board = get_target("rpi3")
    assert bitserial_conv2d.default(Workload(1, 128, 9, 9, 8), board)["k_bits"] == 64
    assert bitserial_conv2d.default(Workload(1, 128, 9, 9, 96), board)["k_bits"] == 16
