"""ncnn, in a process of its own; see serve.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ncnn
import numpy as np

PACKAGE = "ncnn"


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
        # As in ncnn's own benchncnn; with plain malloc it is 2 to 4 % slower.
        self.allocators = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        opt.blob_allocator, opt.workspace_allocator = self.allocators
        for done in (
            self.net.load_param(str(folder / "network.param")),
            self.net.load_model(str(folder / "network.bin")),
        ):
            if done != 0:
                raise RuntimeError("ncnn does not load the network")
        self.images = [ncnn.Mat(image).clone() for image in x]
        self.packed = [_pack(image, opt) for image in self.images]

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


def _pack(image: Any, opt: Any) -> Any:
    """Channels in groups of as many as ncnn itself would take: 16 or 8 (x86), 4, or 1."""
    lanes = 4
    if ncnn.cpu_support_x86_avx2():
        lanes = 16 if _avx512() else 8
    while image.c % lanes:
        lanes = {16: 8, 8: 4, 4: 1}[lanes]
    return ncnn.convert_packing(image, lanes, opt)


def _avx512() -> bool:
    return " avx512f " in Path("/proc/cpuinfo").read_text()
