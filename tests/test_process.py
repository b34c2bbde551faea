"""What runs below a process is found while it comes and goes."""

from __future__ import annotations

import os
import subprocess

from tvm_ops.process import descendants, kill_group

NOBODY = 2**22  # past the largest number that Linux gives


def test_children_of_children_are_found_and_a_process_that_is_gone_has_none() -> None:
    command = ["sh", "-c", "sleep 30 & echo $!; wait"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout
    grandchild = int(child.stdout.readline())
    assert {child.pid, grandchild} <= set(descendants(os.getpid()))
    assert descendants(child.pid) == [grandchild]
    kill_group(child)
    child.wait()
    child.stdout.close()
    assert descendants(child.pid) == []
    assert descendants(NOBODY) == []


def test_a_process_may_end_while_its_threads_are_listed(monkeypatch) -> None:
    def ends(_path: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.iterdir", ends)
    assert descendants(os.getpid()) == []
