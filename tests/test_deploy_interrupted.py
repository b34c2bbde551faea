"""A board that loses its power in the middle of a deployment: the scripts, killed at each step."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tvm_ops.boards.ssh_client import script

STEPS = ("sync", "mv", "ln", "rm")  # that change something
MOST = 12


def run(
    folder: Path, *arguments: str, kill_at: int = 0, after: bool = False
) -> subprocess.CompletedProcess[str]:
    """The script, as on the board; killed before (or ``after``) the step of that number."""
    tools = folder / "bin"
    shutil.rmtree(tools, ignore_errors=True)
    tools.mkdir()
    for name in STEPS:
        real = "true" if name == "sync" else shutil.which(name)  # the machine's disks may be slow
        call = f'{real} "$@"'
        end = f"[ $(wc -l <{folder}/steps) -ne {kill_at} ] || kill -9 $PPID"
        body = f"{call}; code=$?; {end}; exit $code" if after else f"{end}; exec {call}"
        (tools / name).write_text(f"#!/bin/sh\necho >>{folder}/steps\n{body}\n")
        (tools / name).chmod(0o755)
    (folder / "steps").write_text("")
    return subprocess.run(
        ["sh", "-c", script("install"), "tvm_ops", *arguments],
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def stage(prefix: Path, text: str) -> str:
    """A staged version of one file, as ``stage`` leaves it; its name."""
    staged = prefix / "versions" / f".new-{text}"
    staged.mkdir(parents=True)
    (staged / "file").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (staged / "SHA256SUMS").write_text(f"{digest}  file\n")
    return staged.name


def deploy(folder: Path, version: str, **kill: int | bool) -> subprocess.CompletedProcess[str]:
    prefix = folder / "opt"
    return run(folder, "commit", str(prefix), stage(prefix, version), version, **kill)


def link(folder: Path, name: str) -> str:
    """What a program finds there: the version's own text."""
    return (folder / "opt" / name / "file").read_text()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Versions one (previous) and two (current)."""
    for version in ("one", "two"):
        assert deploy(tmp_path, version).returncode == 0
    assert (link(tmp_path, "current"), link(tmp_path, "previous")) == ("two", "one")
    return tmp_path


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("action", ["commit", "rollback"])
def test_there_is_always_a_whole_version(installed: Path, action: str, after: bool) -> None:
    """The old one or the new one; and the next deployment does what it has to."""
    seen = []
    for step in range(1, MOST):
        folder = installed.parent / f"{action}-{after}-{step}"
        shutil.copytree(installed, folder, symlinks=True)
        if action == "commit":
            done = deploy(folder, "three", kill_at=step, after=after)
        else:
            done = run(folder, "rollback", str(folder / "opt"), kill_at=step, after=after)
        seen.append((done.returncode, link(folder, "current"), link(folder, "previous")))
        assert deploy(folder, "four").returncode == 0
        assert (link(folder, "current"), link(folder, "previous")) == ("four", seen[-1][1])
        assert {path.name for path in (folder / "opt/versions").iterdir() if path.name[0] != "."} \
            == {"four", seen[-1][1]}  # fmt: skip
        back = run(folder, "rollback", str(folder / "opt"))
        assert back.returncode == 0 and link(folder, "current") == seen[-1][1]
    new, old = ("three", "two") if action == "commit" else ("one", "two")
    assert {current for _code, current, _previous in seen} == {new, old}
    assert {code for code, *_ in seen} == {0, -9}
    assert seen[0][0] == -9 and seen[-1] == (0, new, old)  # every step was met


def test_a_rollback_that_would_change_nothing_says_so(installed: Path) -> None:
    previous = installed / "opt/previous"
    previous.unlink()
    previous.symlink_to("versions/two")
    done = run(installed, "rollback", str(installed / "opt"))
    assert done.returncode == 1
    assert done.stderr == "the previous version two is the current one: deploy again\n"
