"""TVM's MetaSchedule, imported without what a CPU does not need."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def metaschedule() -> Any:
    """The module ``tvm.s_tir.meta_schedule``.

    ``TuneContext`` imports ``tvm.s_tir.tensor_intrin`` with all its accelerators, which costs 11 s
    in TVM 0.27. None of those intrinsics is used here, so a package that imports nothing by itself
    takes its place; its submodules can still be imported one by one.
    """
    import tvm

    name = "tvm.s_tir.tensor_intrin"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(Path(tvm.__file__).parent / "s_tir" / "tensor_intrin")]
        sys.modules[name] = package
        import tvm.s_tir

        tvm.s_tir.tensor_intrin = package
    from tvm.s_tir import meta_schedule

    return meta_schedule
