"""ncnn, in a process of its own; see serve.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ncnn
import numpy as np


class Network:
    """Packed input to packed output, image by image: a network of ncnn has no batch."""

    def __init__(self, folder: Path, x: Any, settings: dict[str, bool]) -> None:
        self.net = ncnn.Net()
        opt = self.net.opt
        opt.num_threads = 1
        opt.use_vulkan_compute = False
        opt.use_winograd_convolution = settings["winograd"]
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(opt, f"use_{name}", False)
        # As in ncnn's own benchncnn. With plain malloc 3x3 layers take 1 to 3 % longer on the
        # modelled boards, and a depthwise one of 112x112x32 up to 30 %.
        self.allocators = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        opt.blob_allocator, opt.workspace_allocator = self.allocators
        for done in (
            self.net.load_param(str(folder / "network.param")),
            self.net.load_model(str(folder / "network.bin")),
        ):
            if done != 0:
                raise RuntimeError("ncnn does not load the network")
        # A matrix, the input of a dense layer, is taken whole, and one row of it as a vector.
        images = x if x.ndim == 4 or len(x) == 1 else [x]
        self.images = [ncnn.Mat(image).clone() for image in images]
        self.packed = _packed(self.images, opt)

    def prepare(self) -> None:
        """The input stays as it is from run to run."""

    def run(self) -> None:
        """Leaves the output in the packed layout (type 1 of extract)."""
        for image in self.packed:
            extractor = self.net.create_extractor()
            extractor.input("x", image)
            extractor.extract("y", 1)

    def output(self) -> Any:
        outputs = []
        for image in self.images:
            extractor = self.net.create_extractor()
            extractor.input("x", image)
            code, y = extractor.extract("y")
            if code != 0:
                raise RuntimeError(f"ncnn's extract gives {code}")
            outputs.append(np.array(y, copy=True))
        return np.stack(outputs)


def _packed(images: list[Any], opt: Any) -> list[Any]:
    """In the layout that ncnn chooses on this processor: 4, 8 or 16 channels side by side, or one.

    A network that does nothing (a leaky ReLU of slope 1) hands out what it was handed.
    """
    net = ncnn.Net()
    net.opt = opt
    net.load_param_mem("7767517\n2 2\nInput x 0 1 x\nReLU y 1 1 x y 0=1.0\n")
    # ncnn wants weights loaded, of which this network has none.
    net.load_model_mem(bytes(4))
    packed = []
    for image in images:
        extractor = net.create_extractor()
        extractor.input("x", image)
        packed.append(extractor.extract("y", 1)[1].clone())
    return packed
