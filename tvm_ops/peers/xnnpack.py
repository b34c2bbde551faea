"""XNNPACK (Google), through LiteRT: a .tflite network, NHWC.

TensorFlow Lite's convolution has no padding of its own but "same": a Pad operator goes before it,
which XNNPACK takes into the convolution.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tvm_ops.peers.convolution import Array, Convolution
from tvm_ops.peers.dense import Dense
from tvm_ops.peers.library import Library
from tvm_ops.peers.work import Work
from tvm_ops.targets import Target


class Xnnpack(Library):
    """LiteRT's XNNPACK delegate, which it uses by default."""

    about = "XNNPACK (Google), through LiteRT's delegate"
    library, package = "xnnpack", "ai-edge-litert"

    def write_network(
        self, work: Work, arrays: dict[str, Array], folder: Path, target: Target
    ) -> None:
        (folder / "network.tflite").write_bytes(tflite_network(work, arrays))


def tflite_network(work: Work, arrays: dict[str, Array]) -> bytes:
    """Pad, Conv2D or DepthwiseConv2D or FullyConnected, HardSwish: those of them that are needed.

    XNNPACK has no hard swish in its convolutions, TensorFlow Lite neither.
    """
    from ai_edge_litert import schema_py_generated as schema

    network = _Network(schema)
    add = _dense if isinstance(work, Dense) else _convolution
    x, y = add(work, arrays, network)  # type: ignore[arg-type]
    if work.activation == "hswish":
        before, y = y, network.tensor(network.graph.tensors[y].shape)
        network.operator("HARD_SWISH", schema.HardSwishOptionsT(), [before], y)
    return network.finish(x, y)


def _dense(dense: Dense, arrays: dict[str, Array], network: _Network) -> tuple[int, int]:
    """The tensors x and y, [n, ci] and [n, co]."""
    x, y = network.tensor(dense.input_shape), network.tensor(dense.output_shape)
    constants = [network.tensor(a.shape, a) for a in (arrays["weights"], arrays["bias"])]
    options = network.schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = _fused(dense.activation, network.schema)
    network.operator("FULLY_CONNECTED", options, [x, *constants], y)
    return x, y


def _convolution(conv: Convolution, arrays: dict[str, Array], network: _Network) -> tuple[int, int]:
    """The tensors x and y, NHWC."""
    schema, weights, bias = network.schema, arrays["weights"], arrays["bias"]
    (ph, pw), (n, ci, h, w), (_, _, oh, ow) = conv.pad, conv.input_shape, conv.output_shape
    x = last = network.tensor([n, h, w, ci])
    if ph or pw:
        widths = network.tensor([4, 2], np.array([[0, 0], [ph, ph], [pw, pw], [0, 0]], np.int32))
        padded = network.tensor([n, h + 2 * ph, w + 2 * pw, ci])
        network.operator("PAD", schema.PadOptionsT(), [last, widths], padded)
        last = padded
    # Conv2D takes [co, kh, kw, ci / groups], DepthwiseConv2D [1, kh, kw, co].
    nhwc = weights.transpose(1, 2, 3, 0) if conv.depthwise else weights.transpose(0, 2, 3, 1)
    constants = [network.tensor(nhwc.shape, nhwc), network.tensor([conv.co], bias)]
    y = network.tensor([n, oh, ow, conv.co])
    kind = "DEPTHWISE_CONV_2D" if conv.depthwise else "CONV_2D"
    network.operator(kind, _options(conv, schema), [last, *constants], y)
    return x, y


def _options(conv: Convolution, schema: Any) -> Any:
    options = schema.DepthwiseConv2DOptionsT() if conv.depthwise else schema.Conv2DOptionsT()
    if conv.depthwise:
        options.depthMultiplier = conv.co // conv.ci
    options.padding = schema.Padding.VALID
    options.strideH, options.strideW = conv.stride
    options.dilationHFactor, options.dilationWFactor = conv.dilation
    options.fusedActivationFunction = _fused(conv.activation, schema)
    return options


def _fused(activation: str, schema: Any) -> Any:
    kinds = schema.ActivationFunctionType
    return {"relu": kinds.RELU, "relu6": kinds.RELU6}.get(activation, kinds.NONE)


class _Network:
    """A .tflite file in the making; tensors are known by their index."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]  # the first one is, by convention, empty
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, shape: Any, data: Array | None = None) -> int:
        tensor = self.schema.TensorT()
        tensor.name = f"t{len(self.graph.tensors)}".encode()
        tensor.shape = [int(size) for size in shape]
        types = self.schema.TensorType
        whole = data is not None and data.dtype == np.int32
        tensor.type = types.INT32 if whole else types.FLOAT32
        tensor.buffer = 0
        if data is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, options: Any, inputs: list[int], output: int) -> None:
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = code.builtinCode  # where readers of before 2020 look
        # Dilation came to DepthwiseConv2D, and groups to Conv2D, with later versions.
        code.version = {"DEPTHWISE_CONV_2D": 2, "CONV_2D": 6}.get(name, 1)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = inputs, [output]
        kind = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, kind)
        operator.builtinOptions = options
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)

    def finish(self, x: int, y: int) -> bytes:
        import flatbuffers

        self.graph.inputs, self.graph.outputs = [x], [y]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
