"""``bitpack``: every type and word, the order of bits, a bundle called from C, what is refused."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from tvm_ops import toolchain
from tvm_ops.build import build_program
from tvm_ops.bundle import open_bundle, write_bundle
from tvm_ops.errors import InputError
from tvm_ops.operators import bitpack
from tvm_ops.operators._bits import WORDS, pack_codes
from tvm_ops.process import run_limited
from tvm_ops.run import run_bundle
from tvm_ops.targets import get_target
from tvm_ops.task import Task
from tvm_ops.template import default_knobs
from tvm_ops.tuning.measure import Measurer

EXAMPLE = Path(__file__).parents[1] / "examples" / "call_bundle.c"


def run(w: bitpack.Workload, target: str, folder: Path, **arrays: np.ndarray) -> np.ndarray:
    """What the kernel writes; by emulation on ARM."""
    task = Task("bitpack", w, get_target(target))
    measurer = Measurer(task, "host" if target == "host" else "emulated", folder, repeats=1)
    measurer.arrays = arrays
    program = build_program([(task, default_knobs(task))], task.target, folder / "bench")
    return measurer.execute(program, default_knobs(task)).outputs["y"]


def test_each_type_word_and_number_of_bits(tmp_path: Path) -> None:
    """In one program: building it is what takes the time."""
    host, every = get_target("host"), itertools.product(bitpack.TYPES, WORDS, (1, 2, 3))
    tasks = []
    for number, (x, word, a_bits) in enumerate(every):
        per, c = ("channel", "tensor")[number % 2], (8, 37, 64, 75)[number % 4]
        tasks.append(Task("bitpack", bitpack.Workload(1, 3, 1, c, a_bits, per, x, word), host))
    program = build_program([(t, default_knobs(t)) for t in tasks], host, tmp_path / "bench")
    for task in tasks:
        measurer = Measurer(task, "host", tmp_path, repeats=1)
        w, knobs = task.workload, default_knobs(task)
        result = measurer.board.run(
            program, task=task.key, inputs=bitpack.pack(w, knobs, measurer.arrays),
            output=("y", w.output_shape, w.output_dtype),
        )  # fmt: skip
        assert measurer.judge(result).error is None, task.key


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi4-armv7"])
def test_the_order_of_bits(target: str, tmp_path: Path) -> None:
    """Channel 0 is the least significant bit of the first byte, plane 0 that of the code."""
    w = bitpack.Workload(1, 1, 1, 11, 2, "tensor", "s16", "u32")
    x = np.int16([-9, 0, 5, 9, -9, -9, -9, -9, 9, -9, 0]).reshape(1, 1, 1, 11)
    y = run(w, target, tmp_path, x=x, thresholds=np.int16([[0, 5, 9]]))
    # Codes 0 1 2 3 0 0 0 0 | 3 0 1: plane 0 has bits 1 3 8 10, plane 1 bits 2 3 8.
    assert y.tolist() == [[[[[0b101_0000_1010], [0b001_0000_1100]]]]]


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi4-armv7"])
def test_what_floats_reach(target: str, tmp_path: Path) -> None:
    """NaN no threshold, both zeros either zero, and numbers below the normal ones are no zeros."""
    special = np.float32([np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 2e-40, -2e-40])
    of_x = np.append(special, np.float32([np.nan, -np.nan]))
    w = bitpack.Workload(1, 10, 1, 8, x="f32", word="u8")
    x = np.repeat(of_x, 8).reshape(1, 10, 1, 8)
    y = run(w, target, tmp_path, x=x, thresholds=special[:, None])
    expected = [[int(float(a) >= float(b)) for b in special] for a in of_x]
    assert bitpack.unpack_output(w, y)[0, :, 0].tolist() == expected


@pytest.mark.parametrize("target", ["host", "rpi4", "rpi4-armv7"])
def test_a_bundle_from_c(target: str, tmp_path: Path) -> None:
    """Packed thresholds of the bundle, the header, the checked call."""
    board = get_target(target)
    w = bitpack.Workload(1, 5, 3, 21, 2, "channel", "s32", "u64")
    task = Task("bitpack", w, board)
    arrays, knobs = bitpack.data(w, 3), default_knobs(task)
    weights = {task.key: {"thresholds": arrays["thresholds"]}}
    path = write_bundle([(task, knobs)], board, tmp_path / "demo.tar.gz", weights)
    [row] = run_bundle(path, None if target == "host" else "emulated", check=True, repeat=1)
    assert (row.error, row.max_abs_error, row.bound) == (None, 0.0, 0.0)
    root = open_bundle(path, tmp_path / "demo").folder
    header = (root / "include" / "demo.h").read_text()
    assert "x: int32[1, 5, 3, 21] (n h w c)" in header
    assert "y: uint64[1, 5, 3, 2, 1] (n h w plane word)" in header
    assert f"int {task.symbol}(" in header and "uint64_t* y" in header
    program = tmp_path / "call_bundle"
    toolchain.run_tool(
        [board.compiler, *board.c_flags, "-Wall", "-Wextra", "-Werror", EXAMPLE,
         f"-I{root / 'include'}", f"-L{root / 'lib'}", "-ldemo", "-Wl,-rpath,$ORIGIN/demo/lib",
         "-o", program]
    )  # fmt: skip
    (tmp_path / "x").write_bytes(arrays["x"].tobytes())
    emulator = [board.emulator, "-L", toolchain.sysroot(board)] if board.emulator else []
    file = root / "weights" / f"{task.key}.thresholds.bin"
    command = ["sh", "-c", '"$@" < x > y', "sh", *emulator, program, file]
    done = run_limited(command, timeout=60, cwd=tmp_path)
    assert done.failure is None, done.stderr
    y = np.fromfile(tmp_path / "y", np.uint64).reshape(w.output_shape)
    assert (y == pack_codes(bitpack.reference(w, arrays), 2, "u64")).all()


def test_a_wrong_bit_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = bitpack.Workload(1, 2, 1, 3, x="s8", word="u8")
    measurer = Measurer(Task("bitpack", w, get_target("host")), "host", tmp_path, repeats=1)
    measurer.arrays = {"x": np.zeros((1, 2, 1, 3), np.int8), "thresholds": np.zeros((3, 1), "i1")}
    monkeypatch.setattr(bitpack, "reference", lambda *_: np.uint8([[[[1, 1, 1]], [[1, 0, 1]]]]))
    outcome = measurer.measure(default_knobs(measurer.task))
    message = "wrong result: 1 of 6 values differ, first at [0, 1, 0, 1]: 1, not 0"
    assert outcome.error == message


def test_a_bit_past_the_last_channel_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a trial and in a bundle's run."""
    w, target = bitpack.Workload(1, 2, 1, 3, x="s8", word="u8"), get_target("host")
    task, unpack = Task("bitpack", w, target), bitpack.unpack_output
    bundle = write_bundle([(task, default_knobs(task))], target, tmp_path / "bundle.tar.gz")

    def with_another(w: bitpack.Workload, y: np.ndarray) -> np.ndarray:
        if y.any():
            y = y.copy()
            y[0, 1, 0, 0, 0] |= 1 << 6
        return unpack(w, y)

    monkeypatch.setattr(bitpack, "unpack_output", with_another)
    outcome = Measurer(task, "host", tmp_path, repeats=1).measure(default_knobs(task))
    [row] = run_bundle(bundle, check=True, repeat=1)
    past = "bits past the last channel are set: 1, first at [0, 1, 0, 0] bit 6"
    assert outcome.error == row.error == f"wrong result: {past}"


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        (np.float32([[0, 1, 2], [0, 2, 1]]), "channel 1 has 0.0, 2.0, 1.0: not ascending"),
        (np.float32([[0, 1, np.nan], [0, 1, 2]]), "channel 0 has 0.0, 1.0, nan: not ascending"),
        (np.int32([[0, 1, 2]] * 2), "'thresholds' is int32, n1_h1_w1_c2_a2_channel has float32"),
        (np.float32([[0, 1, 2]]), "'thresholds' has shape (1, 3)"),
    ],
)
def test_thresholds_that_are_none(thresholds: np.ndarray, message: str) -> None:
    w = bitpack.Workload(1, 1, 1, 2, 2)
    with pytest.raises(InputError, match=re.escape(message)):
        bitpack.pack(w, {}, {"thresholds": thresholds})


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (
            "n1_h1_w1_c8_a1_channel",
            "f64u8",
            "type 'f64u8' is not one of f32, s8, s16, s32 and a word",
        ),
        ("n1_h1_w1_c8_a4_channel", "f32u8", "a_bits 4 is not 1 to 3"),
        ("n1_h1_w1_c0_a1_tensor", "f32u8", "sizes must be at least 1"),
        ("n1_h1_w1_c8_a1_row", "f32u8", "'row' is no field of bitpack's key"),
        ("n1_h1_w1_c8_a1", "f32u8", "per missing"),
        ("n1_h1_w1_c8_a1_a2_tensor", "f32u8", "'a_bits' is given twice"),
    ],
)
def test_keys_that_are_none(shape: str, dtype: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        bitpack.Workload.parse(shape, dtype)
