"""Which knobs decide: what trees learn from a task's trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tvm_ops.tuning.features import KnobColumns
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.space import Space

LEAST = 16  # trials with a time; trees that learn from fewer find chance
_ROUNDS = 40
_PARAMETERS = {"max_depth": 4, "eta": 0.2, "nthread": 1, "seed": 0, "verbosity": 0}


def importance(space: Space, records: Sequence[Record]) -> list[tuple[str, float]]:
    """Knobs and their shares of what XGBoost's splits gain, the largest first; they add up to 1.

    The trees predict the logarithm of the time. Empty for fewer than ``LEAST`` trials with a time,
    or where all take as long.
    """
    columns = KnobColumns(space)
    pairs = [(columns.row(r.knobs), r.cost) for r in records if r.cost]
    known = [(row, cost) for row, cost in pairs if row is not None]
    if len(known) < LEAST or len({cost for _row, cost in known}) == 1:
        return []
    import xgboost

    rows = np.array([row for row, _cost in known], np.float32)
    times = np.log([cost for _row, cost in known])
    model = xgboost.train(_PARAMETERS, xgboost.DMatrix(rows, times), _ROUNDS)
    gains: dict[str, Any] = model.get_score(importance_type="total_gain")
    total = sum(map(float, gains.values()))
    shares: dict[str, float] = {}
    for i, name in enumerate(columns.names):
        shares[name] = shares.get(name, 0.0) + float(gains.get(f"f{i}", 0.0)) / (total or 1.0)
    return sorted(((n, s) for n, s in shares.items() if s > 0), key=lambda e: (-e[1], e[0]))
