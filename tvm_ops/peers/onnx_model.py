"""The one-operator network in ONNX, for ONNX Runtime and MNN's converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tvm_ops.peers.convolution import Array, Convolution
from tvm_ops.peers.dense import Dense
from tvm_ops.peers.work import Work


def write_onnx(work: Work, arrays: dict[str, Array], path: Path) -> None:
    """Conv or Gemm, then the activation as the operator that exporters write for it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind, attributes = ("Gemm", {"transB": 1}) if isinstance(work, Dense) else _conv(work)
    constants = [numpy_helper.from_array(arrays[name], name) for name in ("weights", "bias")]
    inputs, activation = ["c"], {"relu": "Relu", "relu6": "Clip", "hswish": "HardSwish"}
    if work.activation == "relu6":
        limits = ("low", 0), ("high", 6)
        constants += [helper.make_tensor(n, TensorProto.FLOAT, [], [v]) for n, v in limits]
        inputs = ["c", "low", "high"]
    plain = work.activation == "none"
    nodes = [
        helper.make_node(kind, ["x", "weights", "bias"], ["y" if plain else "c"], **attributes)
    ]
    if not plain:
        nodes.append(helper.make_node(activation[work.activation], inputs, ["y"]))
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", work.input_shape), ("y", work.output_shape))
    )
    graph = helper.make_graph(nodes, "operator", [x], [y], constants)
    # Opset 17 and IR version 9 are of 2022: every reader of today takes them.
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def _conv(conv: Convolution) -> tuple[str, dict[str, Any]]:
    return "Conv", {
        "kernel_shape": conv.kernel,
        "strides": conv.stride,
        "pads": [*conv.pad, *conv.pad],
        "dilations": conv.dilation,
        "group": conv.groups,
    }
