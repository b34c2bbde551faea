"""The boards that AutoTVM's target strings name, and our targets."""

from __future__ import annotations

import re

from tvm_ops.errors import InputError
from tvm_ops.targets import NAMES, Target, get_target
from tvm_ops.tuning.log import IMPORTED

_MODELS = {
    ("bcm2837", "armv7"): "rpi3-armv7",
    ("bcm2837", "aarch64"): "rpi3",
    ("bcm2710a1", "aarch64"): "rpi-zero2w",
    ("bcm2711", "armv7"): "rpi4-armv7",
    ("bcm2711", "aarch64"): "rpi4",
    ("bcm2712", "aarch64"): "rpi5",
}
"""The systems on chip of our boards, by the model that TVM's ``tvm.target.arm_cpu`` gave them."""


def model_of(target: str) -> str:
    """``bcm2837`` of ``llvm -device=arm_cpu -model=bcm2837 ...``; ``unknown`` without one."""
    found = re.search(r"(?:^|\s)-model=(\S+)", target)
    return found[1] if found else "unknown"


def target_of(text: str) -> Target:
    """Our target of a target string; raises ``InputError`` where its model is no board of ours."""
    model = model_of(text)
    found = re.search(r"(?:^|\s)-m?(?:triple|target)=(\S+)", text)
    triple = found[1] if found else ""
    isa = "aarch64" if re.match("aarch64|arm64", triple) else "armv7"
    own, _, _board = model.rpartition("-")
    name = _MODELS.get((model, isa), own)
    if name not in NAMES:
        raise InputError(f"model '{model}' is no board of ours; --target T imports it for T")
    return get_target(name)


def target_text(target: Target, board: str) -> str:
    """A target string for a record of that board.

    The model is an imported board's own, or ours with the kind of board, such as
    ``rpi4-modelled``: nobody takes modelled seconds for those of a real board.
    """
    own = f"{target.name}-{board.split(':')[0]}"
    model = board.removeprefix(IMPORTED) if board.startswith(IMPORTED) else own
    device = [] if target.isa == "x86_64" else ["-device=arm_cpu"]
    mcpu = [f"-mcpu={target.mcpu}"] if target.mcpu else []
    mattr = [f"-mattr={','.join(target.mattr)}"] if target.mattr else []
    words = ["llvm", *device, f"-model={model}", f"-mtriple={target.mtriple}", *mcpu, *mattr]
    return " ".join(words)
