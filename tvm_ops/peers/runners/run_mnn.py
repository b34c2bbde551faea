"""MNN, in a process of its own; see serve.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import MNN
import numpy as np


class Network:
    """From and to MNN's own layout."""

    def __init__(self, folder: Path, x: Any, settings: dict[str, bool]) -> None:
        self.interpreter = MNN.Interpreter(str(folder / "network.mnn"))
        config = {"numThread": 1, "precision": "high", "backend": "CPU"}
        self.session = self.interpreter.createSession(config)
        # A dense layer, whose x is [n, ci], is a convolution of one pixel.
        self.x = _host_tensor(x.reshape(*x.shape, *[1] * (4 - x.ndim)))
        self._load_input()
        # A network of two operators (hard-swish is one of its own) may have the output in the
        # place of the input, which then has to be loaded again before each run.
        first, second = self._outputs(2)
        self.reload = not np.array_equal(first, second)

    def _load_input(self) -> None:
        self.interpreter.getSessionInput(self.session).copyFrom(self.x)

    def _outputs(self, runs: int) -> list[Any]:
        outputs = []
        for _ in range(runs):
            self.run()
            y = self.interpreter.getSessionOutput(self.session)
            taken = _host_tensor(np.zeros(y.getShape(), np.float32))
            y.copyToHostTensor(taken)
            outputs.append(np.array(taken.getNumpyData(), copy=True).reshape(y.getShape()))
        return outputs

    def prepare(self) -> None:
        if self.reload:
            self._load_input()

    def run(self) -> None:
        self.interpreter.runSession(self.session)

    def output(self) -> Any:
        self._load_input()
        return self._outputs(1)[0]


def _host_tensor(array: Any) -> Any:
    """In NCHW ("Caffe") layout."""
    return MNN.Tensor(array.shape, MNN.Halide_Type_Float, array, MNN.Tensor_DimensionType_Caffe)
