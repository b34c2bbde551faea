"""The modelled board: AArch64 programs under qemu-user with a timing model as its plugin."""

from tvm_ops.board_model.execute import Execution, HotBlock, Region, board_exec, execute

__all__ = ["Execution", "HotBlock", "Region", "board_exec", "execute"]
