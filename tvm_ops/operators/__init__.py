"""Operators: one module each, found by name; a file here and one in ``schedules/`` make one.

A module X has ``Workload``, ``WORKLOADS``, ``compute``, ``reference``, ``pack_weights``,
``pack_bias`` and ``ERROR_BOUND``; names that start with an underscore are shared parts.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from tvm_ops.errors import InputError


def operator_names() -> list[str]:
    """Base names of all operators, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def get_operator(name: str) -> ModuleType:
    """The operator's module; raises ``InputError`` naming the known ones."""
    if name not in operator_names():
        raise InputError(f"unknown operator '{name}'; known: {', '.join(operator_names())}")
    return importlib.import_module(f"{__name__}.{name}")
