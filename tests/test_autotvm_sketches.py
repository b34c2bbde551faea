"""The sketches with AutoTVM's loops: what their knobs do to the loops, and where they are offered.

That they compute the right result for any shape, ``test_operators`` and ``test_properties`` say.
"""

from __future__ import annotations

from typing import Any

import pytest

from schedules import _autotvm as autotvm
from tvm_ops.targets import get_target
from tvm_ops.task import Knobs, Task, parse_task
from tvm_ops.template import get_schedule, instantiate

RPI4 = get_target("rpi4")
PACK: Knobs = {
    "sketch": "spatial_pack", "tile_co": 4, "tile_oh": 2, "tile_ow": 7, "reorder_0": "vh vw vc",
    "ann_reduce": "none unroll", "ann_spatial": "unroll none vec",
}  # fmt: skip
GEMM: Knobs = {
    "sketch": "batch_gemm", "m": [4, 4], "tile_p": 8, "tile_k": 4, "tile_c": 2,
    "ann_reduce": "unroll", "ann_spatial": "vec unroll",
}  # fmt: skip
CHANNELS: Knobs = {
    "sketch": "channel_pack",
    "tile_c": 4,
    "tile_h": 2,
    "tile_w": 7,
    "ann": "unroll none vec",
}


def task_of(operator: str, shape: str) -> Task:
    return parse_task(operator, f"{operator}-{shape}-f32", RPI4)


CONV = task_of("conv2d", "n1_ci6_h14_w14_co8_k3_s1_p1")
WINOGRAD = task_of("winograd_conv2d", "n1_ci6_h14_w14_co8_k3_s1_p1")
DEPTHWISE = task_of("depthwise_conv2d", "n1_ci8_h14_w14_co8_k3_s1_p1_g8")


def loops(task: Task, knobs: Knobs, block: str) -> list[tuple[int, str]]:
    """Extent and kind of each loop around a block that has more than one iteration."""
    from tvm import s_tir, tirx

    words = {tirx.ForKind.UNROLLED: "unroll", tirx.ForKind.VECTORIZED: "vec"}
    words[tirx.ForKind.PARALLEL] = "parallel"
    sch = s_tir.Schedule(instantiate(task, knobs))
    found = [sch.get(loop) for loop in sch.get_loops(sch.get_sblock(block))]
    return [(int(f.extent), words.get(f.kind, "")) for f in found if int(f.extent) > 1]


def test_spatial_pack_has_the_loops_of_its_knobs() -> None:
    outer = [(2, "parallel"), (7, ""), (2, "")]  # tiles of co, rows, columns
    reduced = [(6, ""), (3, ""), (3, "unroll")]  # ci, kh, kw
    vh, vw, vc = (2, "unroll"), (7, ""), (4, "vec")
    assert loops(CONV, PACK, "conv_update") == [*outer, *reduced, vh, vw, vc]
    assert loops(CONV, PACK, "conv_init") == [*outer, vh, vw, vc]
    assert loops(CONV, PACK, "epilogue") == [*outer, vh, vw, vc]
    assert loops(CONV, PACK, "pack_input")[0] == (7, "parallel")
    other = PACK | {"reorder_0": "vc vh vw", "ann_reduce": "unroll none"}
    reduced = [(6, ""), (3, "unroll"), (3, "")]
    assert loops(CONV, other, "conv_update") == [*outer, *reduced, vc, vh, vw]


def test_batch_gemm_has_the_loops_of_its_knobs() -> None:
    outer = [(2, "parallel"), (36, ""), (2, "")]  # groups of co, elements, groups of tiles
    inner = [(3, ""), (4, "vec"), (2, "unroll"), (8, "unroll")]  # ci group, co, ci, tile
    assert loops(WINOGRAD, GEMM, "gemm_update") == [*outer, *inner]
    assert loops(WINOGRAD, GEMM, "gemm_init") == [*outer, (4, "vec"), (8, "unroll")]
    assert loops(WINOGRAD, GEMM, "transform") == [(2, "parallel"), (6, ""), (8, "vec")]
    tiles = [(2, "parallel"), (4, ""), (4, ""), (4, "")]
    assert loops(WINOGRAD, GEMM, "inverse") == tiles
    assert loops(WINOGRAD, GEMM, "epilogue") == [*tiles, (4, ""), (4, "")]


def test_channel_pack_has_the_loops_of_its_knobs() -> None:
    outer = [(2, "parallel"), (7, ""), (2, "")]  # channel groups, tiles of rows, columns
    tile = [(2, "unroll"), (7, ""), (4, "vec")]
    assert loops(DEPTHWISE, CHANNELS, "conv_update") == [*outer, (3, ""), (3, ""), *tile]
    assert loops(DEPTHWISE, CHANNELS, "conv_init") == [*outer, *tile]
    packed = [*outer[:2], (4, ""), (16, ""), (4, "")]  # a tile's rows with their neighbours
    assert loops(DEPTHWISE, CHANNELS, "pack_input") == packed
    assert loops(DEPTHWISE, CHANNELS, "epilogue")[0] == (8, "parallel")


def test_spaces_are_those_of_autotvm() -> None:
    assert autotvm.factors(12) == [1, 2, 3, 4, 6, 12]
    assert autotvm.factors(36, 16) == [1, 2, 3, 4, 6, 9, 12]
    assert autotvm.words(2, vectors=False) == ["none none", "none unroll", "unroll none",
                                               "unroll unroll"]  # fmt: skip
    assert len(autotvm.words(3)) == 20  # 2^3 without a vector, 3 x 2^2 with one
    assert autotvm.words(2)[:4] == ["none none", "none unroll", "none vec", "unroll none"]


@pytest.mark.parametrize(
    ("task", "sketch"),
    [
        (task_of("conv2d", "n1_ci8_h14_w14_co8_k3_s1_p1_g2"), "spatial_pack"),
        (task_of("conv2d", "n1_ci8_h14_w14_co8_k3_s1_p1_c4"), "spatial_pack"),
        (task_of("winograd_conv2d", "n2_ci8_h14_w14_co8_k3_s1_p1"), "batch_gemm"),
        (task_of("winograd_conv2d", "n1_ci8_h14_w14_co8_k3_s1_p1_c4"), "batch_gemm"),
        (task_of("depthwise_conv2d", "n1_ci8_h14_w14_co16_k3_s1_p1_g8"), "channel_pack"),
        (task_of("depthwise_conv2d", "n1_ci8_h14_w14_co8_k3_s1_p1_g8_c4"), "channel_pack"),
    ],
)
def test_what_autotvm_does_not_do_has_none_of_its_sketches(task: Task, sketch: str) -> None:
    assert sketch not in get_schedule(task.operator).space(task.workload, task.target)


@pytest.mark.parametrize(
    ("task", "knobs", "change"),
    [
        (CONV, PACK, {"tile_oh": 14, "tile_ow": 14, "ann_spatial": "unroll unroll vec"}),
        (CONV, PACK, {"tile_co": 8, "tile_oh": 14, "tile_ow": 14}),
        (task_of("conv2d", "n1_ci6_h14_w14_co64_k3_s1_p1"), PACK, {"tile_co": 64}),
        (WINOGRAD, GEMM, {"tile_p": 16, "tile_c": 6, "ann_spatial": "unroll unroll"}),
        (DEPTHWISE, CHANNELS, {"tile_c": 8, "tile_h": 14, "tile_w": 14,
                               "ann": "unroll unroll vec"}),
        (task_of("depthwise_conv2d", "n1_ci8_h17_w17_co8_k3_s1_p1_g8"), CHANNELS,
         {"tile_h": 17, "tile_w": 1}),
    ],
)  # fmt: skip
def test_large_code_is_refused(task: Task, knobs: Knobs, change: dict[str, Any]) -> None:
    legal = get_schedule(task.operator).legal
    assert not legal(task.workload, RPI4, knobs | change)


@pytest.mark.parametrize(("task", "knobs"), [(CONV, PACK), (WINOGRAD, GEMM), (DEPTHWISE, CHANNELS)])
def test_these_knobs_are_legal(task: Task, knobs: Knobs) -> None:
    assert get_schedule(task.operator).legal(task.workload, RPI4, knobs)
