"""A worker process: reads one JSON job a line, measures it, writes one JSON outcome a line.

It may crash, hang or be killed at any time; ``workers.py`` starts another one. Where the session is
killed it ends at once, in the middle of a trial, with all that the candidate has started.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import sys
import tempfile
import threading
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import psutil

from tvm_ops.process import adopt_orphans, end_children
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.setting import Setting
from tvm_ops.tuning.slices import sliced

ADDRESS_SPACE = 8 << 30
"""Bytes, or half of the machine's memory: a compiler that allocates without end dies alone. A trial
takes 0.6 GB. Programs get limits of their own, so the hard limit stays as it was."""


@lru_cache(maxsize=4)  # a task's own, its slice's, and those of the task before
def measurer(setting: Setting, scratch: Path) -> Measurer:
    """With inputs and reference, which cost up to a second to make."""
    task = sliced(setting.task, setting.rows)
    return Measurer(task, setting.board, scratch, setting.bound, timeout=setting.timeout)


def end_with_session(scratch: Path) -> None:
    """Wait until whoever writes this process's jobs is gone, then end it and what it runs.

    The session ends its workers itself unless it is killed. Standard input is only watched here: it
    hangs up once its last writer is gone.
    """
    hang_up = select.poll()
    hang_up.register(0, 0)
    hang_up.poll()
    sys.setswitchinterval(60)  # so that nothing is started between the last look and the end
    end_children()
    shutil.rmtree(scratch, ignore_errors=True)
    end_children()
    os._exit(1)


def main() -> None:
    """Argument: the scratch folder."""
    scratch = Path(sys.argv[1])
    tempfile.tempdir = str(scratch)  # what a killed worker leaves goes with the session's folder
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what TVM or LLVM print must not be taken for an answer
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = min(ADDRESS_SPACE, psutil.virtual_memory().total // 2)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    adopt_orphans()
    watch = threading.Thread(target=end_with_session, args=[scratch], daemon=True)
    watch.start()
    import tvm  # noqa: F401  now, while the session sets up its search

    for line in sys.stdin:
        job = json.loads(line)
        setting = Setting.from_json(job["setting"])
        outcome = measurer(setting, scratch).measure(job["knobs"], job["cycle_limit"])
        end_children()  # what a candidate started and left running
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()
    watch.join()  # which ends this process


if __name__ == "__main__":
    main()
