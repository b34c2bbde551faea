"""What a library is asked to do: the task's operator in the terms of network formats."""

from __future__ import annotations

from tvm_ops.peers.convolution import Convolution
from tvm_ops.peers.dense import Dense
from tvm_ops.task import Task

Work = Convolution | Dense

OPERATORS: dict[str, type[Convolution] | type[Dense]] = {
    "conv2d": Convolution,
    "winograd_conv2d": Convolution,
    "depthwise_conv2d": Convolution,
    "dense": Dense,
}
"""What the libraries are set up for."""


def work_of(task: Task) -> Work:
    """The task without its target; ``task.operator`` is one of ``OPERATORS``."""
    return OPERATORS[task.operator].of(task.workload)
