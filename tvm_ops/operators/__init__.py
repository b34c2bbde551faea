"""Operators: one module each, found by name; a file here and one in ``schedules/`` make one.

Names that start with an underscore are shared parts. A module X has ``Workload``, ``WORKLOADS``,
``ERROR_BOUND`` (of the largest output; 0: equal, as integers are) and, for the arrays that
``workload.arguments`` names,

- ``data(w, seed)``: them all, in the layouts of the literature, such as NCHW and OIHW;
- ``reference(w, arrays)``: y in such a layout, with numpy only: in float64, or the very numbers
  where ``ERROR_BOUND`` is 0;
- ``pack(w, knobs, arrays)``: what the kernel takes, made of those of them that are given. By the
  names of ``compute``'s parameters, which need not be those of ``workload.arguments``: of weights,
  thresholds and signs may become weights, bounds and flips. Parameters (below) are given all
  together or not at all, x and what else varies from call to call one by one or together;
- ``compute(w, knobs)``: the PrimFunc, its last parameter y. Their order is that of the C function;
- ``layouts(w)``: the axes of ``compute``'s parameters by name, where there are words for them;
- ``unpack_output(w, y)``: what the kernel wrote, in ``reference``'s layout.

A ``Workload`` is a frozen dataclass with ``shape_key``, ``dtype`` (the two make the task's key) and
``parse(shape_key, dtype)``, which is their inverse; ``macs``; ``arguments`` and ``array_shapes``;
``parameters``, those of the arguments that are a trained network's, the same in each call, which a
bundle may carry; ``output_dtype``, numpy's name for the type of the kernel's y. It may have
``kernel_shapes`` (see ``template.kernel_arguments``), ``array_dtypes`` (see ``_layout``),
``macs_per_operation`` and ``macs_per_operation_by_core`` (see ``Target.peak``).
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from tvm_ops.errors import InputError


def operator_names() -> list[str]:
    """Base names of all operators, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


@cache  # a folder that is listed for every line of a log takes most of the time
def get_operator(name: str) -> ModuleType:
    """The operator's module; raises ``InputError`` naming the known ones."""
    if name not in operator_names():
        raise InputError(f"unknown operator '{name}'; known: {', '.join(operator_names())}")
    return importlib.import_module(f"{__name__}.{name}")
