"""A worker process: reads one JSON job a line, measures it, writes one JSON outcome a line.

It may crash, hang or be killed at any time; ``workers.py`` starts another one.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.slices import sliced

ADDRESS_SPACE = 16 << 30  # bytes: a compiler that allocates without end dies alone


@lru_cache(maxsize=4)  # a task's own, its slice's, and those of the task before
def measurer(setting: Setting, scratch: Path) -> Measurer:
    """With inputs and reference, which cost up to a second to make."""
    return Measurer(sliced(setting.task, setting.rows), setting.board, scratch, setting.bound)


def main() -> None:
    """Argument: the scratch folder."""
    scratch = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TVM or LLVM print must not be taken for an answer
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    import tvm  # noqa: F401  now, while the session sets up its search

    for line in sys.stdin:
        job = json.loads(line)
        setting = Setting.from_json(job["setting"])
        outcome = measurer(setting, scratch).measure(job["knobs"], job["cycle_limit"])
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
