"""What ``handwritten_bench`` is given for a task: numbers, arrays, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tvm_ops.operators import _bits, bitserial_conv2d, bitserial_dense, get_operator
from tvm_ops.operators._bitserial import FewBitWorkload
from tvm_ops.operators._bitserial_reference import check
from tvm_ops.operators._glue import shift_thresholds
from tvm_ops.peers.convolution import OPERATORS as FLOAT_OPERATORS
from tvm_ops.peers.convolution import Array, Convolution
from tvm_ops.peers.peer import ARGUMENTS, why_no_arguments
from tvm_ops.task import Task

ACTIVATIONS = ("none", "relu", "relu6", "hswish")  # in the order of handwritten.h
FILES = ("x", "weights", "after")
"""The arrays; ``after`` is the bias, or the thresholds and signs."""
BIT_OPERATORS = ("bitserial_conv2d", "bitserial_dense")
OPERATORS = (*FLOAT_OPERATORS, *BIT_OPERATORS)
"""Those of functions.h."""


@dataclass(frozen=True)
class Work:
    """``arrays`` are ``FILES`` as the program reads them, ``output`` reads what it wrote."""

    sizes: list[int]
    arrays: dict[str, Array]
    output: Callable[[bytes], Array]


def why_not(task: Task) -> str | None:
    """Why there is no hand-written kernel of the task, in one line; None if it can be tried."""
    if task.operator in FLOAT_OPERATORS:
        return why_no_arguments(task)
    if task.operator not in BIT_OPERATORS:
        return f"handwritten has {', '.join(OPERATORS)} only"
    w = as_conv(task)
    odd = {
        f"{w.a_bits} bits of activations": w.a_bits > 1,
        f"{w.w_bits} bits of weights": w.w_bits > 1,
        f"{w.out_bits} bits of output": w.out_bits > 1,
        f"{w.polarity} activations": w.polarity != "bipolar",
        f"{w.groups} groups": w.groups > 1,
    }
    found = [what for what, is_so in odd.items() if is_so]
    return f"handwritten has one bipolar bit and one group, not {found[0]}" if found else None


def work_of(task: Task, data: dict[str, Array]) -> Work:
    """The task, of which ``why_not`` had nothing to say, with its data as the operator has them."""
    return (_float_work if task.operator in FLOAT_OPERATORS else _bit_work)(task, data)


def float_sizes(conv: Convolution) -> list[int]:
    """The fields of ``handwritten_params`` in their order."""
    pairs = (conv.kernel, conv.stride, conv.pad, conv.dilation)
    return [
        *(conv.n, conv.ci, conv.h, conv.w, conv.co),
        *(number for pair in pairs for number in pair),
        *(conv.groups, ACTIVATIONS.index(conv.activation)),
    ]


def _float_work(task: Task, data: dict[str, Array]) -> Work:
    conv = Convolution.of(task.workload)
    arrays = {
        file: np.ascontiguousarray(data[name], "<f4")
        for file, name in zip(FILES, ARGUMENTS, strict=True)
    }
    return Work(
        float_sizes(conv), arrays, lambda y: np.frombuffer(y, "<f4").reshape(conv.output_shape)
    )


def as_conv(task: Task) -> FewBitWorkload:
    """The few-bit task's workload as a convolution."""
    w = task.workload
    if isinstance(w, bitserial_dense.Workload):
        return w.conv
    assert isinstance(w, bitserial_conv2d.Workload)
    return w


def bit_sizes(operator: str, w: FewBitWorkload) -> list[int]:
    """The fields of ``bitserial_params`` in their order."""
    n, width = (w.w, 1) if operator == "bitserial_dense" else (w.n, w.w)
    word = np.dtype(_bits.WORDS[w.word]).itemsize
    pairs = (w.kernel, w.stride, w.pad)
    numbers = (number for pair in pairs for number in pair)
    return [n, w.ci, w.h, width, w.co, *numbers, word, int(w.glue == "acc")]


def _bit_work(task: Task, data: dict[str, Array]) -> Work:
    w = as_conv(task)
    shaped = {name: array.reshape(w.array_shapes[name]) for name, array in data.items()}
    check(w, shaped)
    arrays = {
        "x": _bits.pack_codes(shaped["x"], 1, w.word),
        "weights": np.ascontiguousarray(shaped["weights"], np.int8),
        "after": _thresholds(w, shaped),
    }
    kind = np.dtype(w.output_dtype).newbyteorder("<")
    unpack = get_operator(task.operator).unpack_output
    return Work(
        bit_sizes(task.operator, w),
        arrays,
        lambda y: np.asarray(unpack(task.workload, np.frombuffer(y, kind))),
    )


def _thresholds(w: FewBitWorkload, data: dict[str, Array]) -> Array:
    """Threshold and sign of each channel, int32[co, 2]; none for sums."""
    if w.glue == "acc":
        return np.zeros((0, 2), np.int32)
    if w.glue == "thr":
        return np.column_stack([data["thresholds"], data["signs"]]).astype("<i4")
    rising = shift_thresholds(data["mu"], data["shift"], 1)
    return np.column_stack([rising, np.ones(w.co)]).astype("<i4")
