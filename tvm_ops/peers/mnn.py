"""MNN (Alibaba): the ONNX network, converted by its own tool."""

from __future__ import annotations

import sys
from pathlib import Path

from tvm_ops.peers.convolution import Array
from tvm_ops.peers.dense import Dense
from tvm_ops.peers.library import Library
from tvm_ops.peers.onnx_model import write_onnx
from tvm_ops.peers.process import PeerFailed
from tvm_ops.peers.work import Work
from tvm_ops.process import run_limited
from tvm_ops.targets import Target

# The converter itself. The module around it, MNN.tools.mnnconvert, installs a logging package with
# whatever pip is first on the path and reports each use to its makers.
_CONVERT = "import _tools, sys; _tools.mnnconvert(sys.argv)"


class Mnn(Library):
    """MNN in its precision "high", which is float32, and with its default choice of kernels."""

    about = "MNN (Alibaba), in its precision high, which is float32; its own choice of kernels"
    library, package = "mnn", "MNN"

    def write_network(
        self, work: Work, arrays: dict[str, Array], folder: Path, target: Target
    ) -> None:
        if isinstance(work, Dense):
            # What MNN's converter makes of a Gemm, without the changes of layout around it.
            work = work.as_convolution()
            arrays = {**arrays, "weights": arrays["weights"].reshape(work.co, work.ci, 1, 1)}
        write_onnx(work, arrays, folder / "network.onnx")
        # keepInputFormat=0: input and output stay in MNN's own layout (NC4HW4), so that the network
        # is the operator alone; groupConvNative: no splitting into one convolution per group.
        command = [sys.executable, "-s", "-c", _CONVERT, "-f", "ONNX"]
        command += ["--modelFile", "network.onnx", "--MNNModel", "network.mnn", "--bizCode", "x"]
        command += ["--keepInputFormat=0", "--groupConvNative=1"]
        done = run_limited(command, timeout=120, cwd=folder)
        if not (folder / "network.mnn").is_file():
            reason = done.failure or "no network and no message"
            raise PeerFailed(f"MNN's converter: {reason}")
