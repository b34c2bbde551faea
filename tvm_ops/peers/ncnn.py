"""ncnn (Tencent): the network is a line of text and the raw weights."""

from __future__ import annotations

from pathlib import Path

from tvm_ops.peers.convolution import Array, Convolution
from tvm_ops.peers.dense import Dense
from tvm_ops.peers.library import Library
from tvm_ops.peers.work import Work
from tvm_ops.targets import Target

# Layer parameters 9 (activation type) and 10 (its numbers) of ncnn's documentation of operators.
_ACTIVATIONS = {
    "none": "9=0",
    "relu": "9=1",
    "relu6": "9=3 -23310=2,0.0,6.0",
    "hswish": "9=6 -23310=2,0.16666667,0.5",  # x min(max(alpha x + beta, 0), 1)
}


class Ncnn(Library):
    """ncnn with its Winograd kernels, which is its default, or without."""

    library = package = "ncnn"

    def __init__(self, name: str, winograd: bool) -> None:
        super().__init__(name)
        kernels = "with Winograd kernels, its default" if winograd else "without Winograd kernels"
        self.about = f"ncnn (Tencent), {kernels}"
        self.winograd = winograd

    @property
    def settings(self) -> dict[str, bool]:
        return {"winograd": self.winograd}

    def write_network(
        self, work: Work, arrays: dict[str, Array], folder: Path, target: Target
    ) -> None:
        weights, bias = arrays["weights"], arrays["bias"]
        size = weights.size
        layer = _dense(work, size) if isinstance(work, Dense) else _convolution(work, size)
        name, numbers = layer
        line = f"{name} y 1 1 x y {numbers} {_ACTIVATIONS[work.activation]}"
        lines = ["7767517", "2 2", "Input x 0 1 x", line]
        (folder / "network.param").write_text("\n".join(lines) + "\n")
        # The four zero bytes before the weights say that they are plain float32.
        (folder / "network.bin").write_bytes(bytes(4) + weights.tobytes() + bias.tobytes())


def _convolution(conv: Convolution, size: int) -> tuple[str, str]:
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = conv.kernel, conv.stride, conv.pad, conv.dilation
    numbers = (
        f"0={conv.co} 1={kw} 11={kh} 2={dw} 12={dh} 3={sw} 13={sh} 4={pw} 14={ph} 5=1 6={size}"
    )
    if conv.groups == 1:
        return "Convolution", numbers
    return "ConvolutionDepthWise", f"{numbers} 7={conv.groups}"


def _dense(dense: Dense, size: int) -> tuple[str, str]:
    return "InnerProduct", f"0={dense.co} 1=1 2={size}"
