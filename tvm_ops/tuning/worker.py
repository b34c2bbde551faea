"""A worker process: reads one JSON job a line, measures it, writes one JSON outcome a line.

It may crash, hang or be killed at any time; ``workers.py`` starts another one.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.tuning.measure import Measurer

ADDRESS_SPACE = 16 << 30  # bytes: a compiler that allocates without end dies alone


def main() -> None:
    """Arguments: operator, task key, target, board, scratch folder, error bound or ''."""
    operator, key, target, board, scratch, bound = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TVM or LLVM print must not be taken for an answer
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    task = parse_task(operator, key, get_target(target))
    measurer = Measurer(task, board, Path(scratch), float(bound) if bound else None)
    for line in sys.stdin:
        job = json.loads(line)
        outcome = measurer.measure(job["knobs"], job["cycle_limit"])
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
