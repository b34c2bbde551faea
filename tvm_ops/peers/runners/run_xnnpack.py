"""XNNPACK through LiteRT, in a process of its own; see serve.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Network:
    """NHWC to NHWC, which is XNNPACK's own layout."""

    def __init__(self, folder: Path, x: Any, settings: dict[str, bool]) -> None:
        self.interpreter = Interpreter(str(folder / "network.tflite"), num_threads=1)
        self.interpreter.allocate_tensors()
        given = self.interpreter.get_input_details()[0]["index"]
        self.result = self.interpreter.get_output_details()[0]["index"]
        if not self._delegated(given, self.result):
            raise RuntimeError("XNNPACK does not take all of this operator from LiteRT")
        nhwc = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
        self.interpreter.set_tensor(given, np.ascontiguousarray(nhwc))

    def _delegated(self, given: int, result: int) -> bool:
        """Whether one delegate does everything from the input to the output."""
        return any(
            node["op_name"] == "DELEGATE" and given in node["inputs"] and result in node["outputs"]
            for node in self.interpreter._get_ops_details()
        )

    def prepare(self) -> None:
        """The input stays as it is from run to run."""

    def run(self) -> None:
        self.interpreter.invoke()

    def output(self) -> Any:
        y = self.interpreter.get_tensor(self.result)
        return np.ascontiguousarray(y.transpose(0, 3, 1, 2)) if y.ndim == 4 else y
