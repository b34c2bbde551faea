"""Lines as AutoTVM writes them, of small workloads, and what they have to become."""

from __future__ import annotations

import json
from typing import Any

from tvm_ops.task import Knobs

RPI3 = "llvm -device=arm_cpu -model=bcm2837 -mtriple=aarch64-linux-gnu -mattr=+neon"
ORDER = [0, 1, 2, 3, 4, 5, 6, 9, 7, 8]


def tensor(*shape: int) -> list[Any]:
    return ["TENSOR", list(shape), "float32"]


CONV_ARGS = [
    tensor(1, 6, 14, 14), tensor(8, 6, 3, 3), [2, 2], [1, 1, 1, 1], [1, 1], "float32"
]  # fmt: skip
CONV_ENTITY = [
    ["tile_co", "sp", [2, 4]], ["tile_oh", "sp", [-1, 7]], ["tile_ow", "sp", [1, 7]],
    ["reorder_0", "re", ORDER], ["ann_reduce", "an", ["none", "unroll"]],
    ["ann_spatial", "an", ["none", "unroll", "vec"]],
]  # fmt: skip
CONV_KEY = "conv2d-n1_ci6_h14_w14_co8_k3_s2_p1_none-f32"
CONV_KNOBS: Knobs = {
    "sketch": "spatial_pack", "tile_co": 4, "tile_oh": 7, "tile_ow": 7, "reorder_0": "vc vh vw",
    "ann_reduce": "none unroll", "ann_spatial": "none unroll vec",
}  # fmt: skip
WINOGRAD_ARGS = [
    tensor(1, 6, 14, 14), tensor(8, 6, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], "float32"
]  # fmt: skip
WINOGRAD_ENTITY = [
    ["tile_p", "sp", [2, 8]], ["tile_k", "sp", [2, 4]], ["tile_c", "sp", [3, 2]],
    ["ann_reduce", "an", ["unroll"]], ["ann_spatial", "an", ["vec", "unroll"]],
]  # fmt: skip
WINOGRAD_KNOBS: Knobs = {
    "sketch": "batch_gemm", "m": [4, 4], "tile_p": 8, "tile_k": 4, "tile_c": 2,
    "ann_reduce": "unroll", "ann_spatial": "vec unroll",
}  # fmt: skip
DEPTHWISE_ARGS = [
    tensor(1, 8, 14, 14), tensor(8, 1, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], "float32"
]  # fmt: skip
DEPTHWISE_ENTITY = [
    ["tile_c", "sp", [2, 4]], ["tile_h", "sp", [7, 2]], ["tile_w", "sp", [2, 7]],
    ["ann", "an", ["unroll", "none", "vec"]],
]  # fmt: skip
DEPTHWISE_KNOBS: Knobs = {
    "sketch": "channel_pack", "tile_c": 4, "tile_h": 2, "tile_w": 7, "ann": "unroll none vec",
}  # fmt: skip


def new(template: str, args: list[Any], entity: list[Any], **change: Any) -> dict[str, Any]:
    """A row of version 0.2."""
    return {
        "input": [RPI3, template, args, {}],
        "config": {"index": 7, "code_hash": None, "entity": entity},
        "result": [[0.0021, 0.0019, 0.002], 0, 1.5, 1535933156.9],
        "version": 0.2,
        "tvm_version": "0.7.dev0",
    } | change


def old(name: str, key: str, args: list[Any], entity: list[Any]) -> dict[str, Any]:
    """A row of version 0.1."""
    config = {"i": 7, "t": key, "c": None, "e": entity}
    workload = [name, *args]
    return {
        "i": [RPI3, name, args, {}, workload, config],
        "r": [[0.002], 0, 1.5, 1535933156.9],
        "v": 0.1,
    }


CONV = new("conv2d_nchw_spatial_pack.arm_cpu", CONV_ARGS, CONV_ENTITY)
WINOGRAD = new("conv2d_nchw_winograd.arm_cpu", WINOGRAD_ARGS, WINOGRAD_ENTITY)
DEPTHWISE = new("depthwise_conv2d_nchw.arm_cpu", DEPTHWISE_ARGS, DEPTHWISE_ENTITY)
OLD_CONV = old("topi_nn_conv2d", "direct", [*CONV_ARGS[:3], [1, 1], "NCHW", "float32"], CONV_ENTITY)
OLD_WINOGRAD = old(
    "topi_nn_conv2d", "winograd", [*WINOGRAD_ARGS[:5], "NCHW", "float32"], WINOGRAD_ENTITY
)
OLD_DEPTHWISE = old("topi_nn_depthwise_conv2d_nchw", "direct", DEPTHWISE_ARGS, DEPTHWISE_ENTITY)


def text(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
