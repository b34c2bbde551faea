"""Every operator, workload and structural choice against the numpy reference."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.candidates import candidates, random_knobs
from tvm_ops.build import build_program, compile_entry
from tvm_ops.operators import get_operator, operator_names
from tvm_ops.operators._bits import WORDS, pack_codes
from tvm_ops.targets import get_target
from tvm_ops.task import Task, listed_tasks, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.slices import float_macs
from tvm_ops.tuning.space import check_knobs

HOST = [task for name in operator_names() for task in listed_tasks(name, get_target("host"))]


def ids(tasks: list[Task]) -> list[str]:
    return [f"{task.key}-{task.target.name}" for task in tasks]


@pytest.mark.parametrize("task", HOST, ids=ids(HOST))
def test_structural_choices_equal_numpy_on_host(task: Task, tmp_path: Path) -> None:
    measurer = Measurer(task, "host", tmp_path, repeats=1)
    tried = candidates(task, seed=1)
    assert len(tried) >= 2
    for knobs in tried:
        outcome = measurer.measure(knobs)
        assert outcome.error is None, f"{knobs}: {outcome.error}"
        assert outcome.max_error is not None


def _block(w: Any) -> int:
    """How many channels lie together in y."""
    return int(getattr(w, "block", (1, 1))[1])


def small_tasks(target: str) -> list[Task]:
    """The workloads that an emulator runs in a moment."""
    found = [t for name in operator_names() for t in listed_tasks(name, get_target(target))]
    return [task for task in found if float_macs(task) < 3e6]


ARM = small_tasks("rpi4") + small_tasks("rpi3-armv7")


@pytest.mark.parametrize("task", ARM, ids=ids(ARM))
def test_sample_equals_numpy_under_qemu(task: Task, tmp_path: Path) -> None:
    measurer = Measurer(task, "emulated", tmp_path, repeats=1)
    drawn = random_knobs(task, random.Random(3))
    for knobs in [default_knobs(task)] + ([drawn] if drawn else []):
        outcome = measurer.measure(knobs)
        assert outcome.error is None, f"{knobs}: {outcome.error}"


PARTIAL = [
    t
    for t in ARM + small_tasks("host")
    if _block(t.workload) > 1 and t.workload.co % _block(t.workload)
]


@pytest.mark.parametrize("task", PARTIAL, ids=ids(PARTIAL))
def test_the_last_block_of_channels_ends_with_zeros(task: Task, tmp_path: Path) -> None:
    """As the next layer expects it."""
    board = "host" if task.target.name == "host" else "emulated"
    measurer = Measurer(task, board, tmp_path, repeats=1)
    for choice in candidates(task, seed=2)[:3]:
        program = build_program([(task, choice)], task.target, tmp_path / "bench")
        y = measurer.execute(program, choice).outputs["y"]
        used = task.workload.co % _block(task.workload)
        assert (y[:, -1, ..., used:] == 0).all(), choice


@pytest.mark.parametrize("name", operator_names())
@pytest.mark.parametrize("target", ["rpi3", "rpi5", "rpi4-armv7", "host"])
def test_default_is_in_the_space_and_legal(name: str, target: str) -> None:
    template = get_schedule(name)
    for task in listed_tasks(name, get_target(target)):
        knobs = default_knobs(task)
        check_knobs(template.space(task.workload, task.target), knobs, task.key)
        assert template.legal(task.workload, task.target, knobs), task.key


@pytest.mark.parametrize("name", operator_names())
def test_keys_round_trip(name: str) -> None:
    target = get_target("rpi4")
    for task in listed_tasks(name, target):
        assert parse_task(name, task.key, target) == task


@pytest.mark.parametrize("name", operator_names())
def test_workloads_have_ragged_shapes(name: str) -> None:
    def channels(w: Any) -> list[int]:
        # Groups of a few-bit operator's input are multiples of 32 channels.
        fields = ("co",) if hasattr(w, "w_bits") else ("ci", "co", "c")
        return [getattr(w, field) for field in fields if hasattr(w, field)]

    sizes = [w for w in get_operator(name).WORKLOADS if all(c % 4 for c in channels(w))]
    assert sizes, f"{name}: a workload whose channels no vector divides"


PACKED = [
    t
    for t in ARM + small_tasks("host")
    if get_operator(t.operator).layouts(t.workload)["y"].endswith("plane word")
]


@pytest.mark.parametrize("task", PACKED, ids=ids(PACKED))
def test_bits_past_the_last_channel_are_zero(task: Task, tmp_path: Path) -> None:
    """As whatever counts bits expects it."""
    board = "host" if task.target.name == "host" else "emulated"
    measurer = Measurer(task, board, tmp_path, repeats=1)
    for choice in candidates(task, seed=2)[:2]:
        program = build_program([(task, choice)], task.target, tmp_path / "bench")
        y = measurer.execute(program, choice).outputs["y"]
        codes = get_operator(task.operator).unpack_output(task.workload, y)
        word = next(name for name, kind in WORDS.items() if kind == y.dtype)
        assert (pack_codes(codes, y.shape[-2], word) == y).all(), choice


def test_blocks_that_templates_ask_for_exist() -> None:
    """Instantiating asks for each block by name; this is the assertion with the least to build."""
    from tvm_ops.template import instantiate

    for name in operator_names():
        task = listed_tasks(name, get_target("rpi4"))[-1]
        assert instantiate(task, default_knobs(task)) is not None


THREADED_SHAPES = {  # others: a convolution
    "dense": "n1_ci512_co1000-f32",
    "depthwise_conv2d": "n1_ci64_h24_w24_co64_k3_s1_p1_g64_c4-f32",
    "binary_input_conv2d": "n1_ci3_h24_w24_co64_k3_s1_p1_u8_thr1-u64",
    "bitserial_conv2d": "n1_ci64_h9_w9_co64_k3_s1_p1_a1_w1_bipolar_thr1-u64",
    "bitserial_dense": "n4_ci128_co64_a1_w1_bipolar_thr1-u64",
    "packed_max_pool2d": "n1_h56_w56_c512_k3_s1_p1_a1-u64",
    "packed_add": "n1_h56_w56_c512_a1_bipolar_thr1-u64",
    "packed_concat": "n1_h56_w56_c256x256_a1-u64",
    "packed_global_avg_pool": "n1_h40_w40_c512_a1_bipolar-u64",
    "fused_glue": "n1_h56_w56_c64_thr1-s16u64",
    "bitpack": "n1_h24_w24_c70_a2_channel-f32u32",
}
THREADED = [
    parse_task(
        name,
        f"{name}-{THREADED_SHAPES.get(name, 'n1_ci16_h24_w24_co64_k3_s1_p1-f32')}",
        get_target(target),
    )
    for name in operator_names()
    for target in ("host", "rpi4", "rpi3-armv7")
] + [
    parse_task("conv2d", f"conv2d-n1_{shape}_res_{block}-f32", get_target("rpi4"))
    for shape, block in [
        ("ci16_h24_w24_co64_k3_s1_p1", "c4"),
        ("ci32_h24_w24_co64_k1_s1_p0", "c4"),
        ("ci3_h32_w32_co64_k3_s2_p1", "c1x4"),
    ]
]


@pytest.mark.parametrize("task", THREADED, ids=ids(THREADED))
def test_threads_give_the_same_bits(task: Task, tmp_path: Path) -> None:
    knobs = default_knobs(task)
    assert "__TVMBackendParallelLaunch" in compile_entry(task, knobs).inspect_source("asm")
    board = "host" if task.target.name == "host" else "emulated"
    measurer = Measurer(task, board, tmp_path, repeats=1)
    program = build_program([(task, knobs)], task.target, tmp_path / "bench")
    outputs = []
    for threads in (1, 2, 4):
        result = measurer.execute(program, knobs, threads=threads)
        assert measurer.judge(result).error is None
        outputs.append(result.outputs["y"].tobytes())
    assert outputs[0] == outputs[1] == outputs[2]
