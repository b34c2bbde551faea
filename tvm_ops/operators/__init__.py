"""Operators: one module each, found by name; a file here and one in ``schedules/`` make one.

Names that start with an underscore are shared parts. A module X has ``Workload``, ``WORKLOADS``,
``ERROR_BOUND`` and, for the arrays that ``workload.arguments`` names,

- ``data(w, seed)``: them all, in the layouts of the literature, such as NCHW and OIHW;
- ``reference(w, arrays)``: y in float64, in such a layout, with numpy only;
- ``pack(w, knobs, arrays)``: those of them that are given, as the kernel takes them;
- ``layouts(w)``: what the axes of the kernel's arguments are, where there are words for it;
- ``unpack_output(w, y)``: what the kernel wrote, in ``reference``'s layout;
- ``compute(w, knobs)``: the PrimFunc of the same parameters in the same order, then y.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from tvm_ops.errors import InputError

PARAMETERS = ("weights", "bias", "slope")
"""Arguments that are a trained network's, the same in each call: what a bundle may carry."""


def operator_names() -> list[str]:
    """Base names of all operators, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def get_operator(name: str) -> ModuleType:
    """The operator's module; raises ``InputError`` naming the known ones."""
    if name not in operator_names():
        raise InputError(f"unknown operator '{name}'; known: {', '.join(operator_names())}")
    return importlib.import_module(f"{__name__}.{name}")
