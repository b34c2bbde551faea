"""ONNX Runtime, in a process of its own; see serve.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime


class Network:
    """From and to the operator's own layout, whose conversions are networks of their own."""

    def __init__(self, folder: Path, x: Any, settings: dict[str, bool]) -> None:
        self.convert_back = folder / "from_own.onnx"
        if (folder / "to_own.onnx").is_file():
            x = _run_once(folder / "to_own.onnx", x)
        ran = folder / "ran.onnx"
        self.session = _session(folder / "network.onnx", write_optimised=ran)
        if b"ReorderInput" in ran.read_bytes():
            raise RuntimeError("ONNX Runtime converts layouts inside of what is timed")
        name, result = self.session.get_inputs()[0].name, self.session.get_outputs()[0].name
        shape = self.session.run(None, {name: x})[0].shape
        # Bound once, so that a run neither copies nor allocates.
        self.y = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, "float32")
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(x))
        self.binding.bind_ortvalue_output(result, self.y)

    def prepare(self) -> None:
        """The input stays as it is from run to run."""

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def output(self) -> Any:
        y = self.y.numpy()
        return _run_once(self.convert_back, y) if self.convert_back.is_file() else y


def _run_once(network: Path, x: Any) -> Any:
    session = _session(network)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def _session(network: Path, write_optimised: Path | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if write_optimised is not None:
        options.optimized_model_filepath = str(write_optimised)
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
