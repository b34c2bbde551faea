"""The command line, by running it: what is refused, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from conftest import ROOT

from tvm_ops.cli_parser import VERBS
from tvm_ops.targets import NAMES

COMMAND = [sys.executable, "-m", "tvm_ops"]


def test_help_comes_at_once(run_cli):
    run_cli("--help")  # compiles the modules
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert run_cli("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(run_cli, verb):
    done = run_cli(verb, "--help")
    assert done.returncode == 0
    assert f"usage: tvm-ops {verb}" in done.stdout
    assert "example" in done.stdout
    assert verb in run_cli("--help").stdout


def test_the_installed_command_is_the_same():
    installed = Path(sys.executable).with_name("tvm-ops")
    done = subprocess.run([installed, "--help"], capture_output=True, text=True, check=True)
    assert "tvm-ops VERB" in done.stdout.replace("[-h] [--version] ", "")


@pytest.mark.parametrize(
    ("arguments", "guess"),
    [
        (["lst", "targets"], "list"),
        (["list", "target"], "targets"),
    ],
)
def test_an_unknown_name_gets_a_suggestion_and_the_known_ones(refused, arguments, guess):
    line = refused(*arguments)
    assert f"did you mean '{guess}'?" in line
    assert "known: " in line


@pytest.mark.parametrize("arguments", [[], ["list"], ["list", "targets", "--colour"], ["-x"]])
def test_a_wrong_command_line_points_to_the_help(refused, arguments):
    assert "--help" in refused(*arguments)


def test_control_characters_of_a_name_do_not_reach_the_terminal(refused):
    line = refused("two\nlines\x1b[31m")
    assert "two\\nlines\\x1b[31m" in line


def test_lists_are_tables_and_json(run_cli, tmp_path):
    done = run_cli("list", "targets", "--json", "targets.json")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["target", *NAMES]
    facts = json.loads((tmp_path / "targets.json").read_text())
    assert [row["target"] for row in facts] == NAMES
    assert [path.name for path in tmp_path.iterdir()] == ["targets.json"]


@pytest.mark.parametrize("path", ["nowhere/x.json", "."])
def test_an_output_that_cannot_be_written_is_refused_first(refused, path):
    assert "cannot write" in refused("list", "targets", "--json", path)


def test_a_reader_that_leaves_is_no_error():
    command = " ".join(COMMAND)
    done = subprocess.run(
        ["bash", "-c", f"{command} list targets | true; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # 0 where all was written before the reader left


def test_a_full_disk_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "list", "targets"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "tvm-ops: error: No space left on device\n"
    assert done.returncode == 2


def test_an_ascii_terminal_is_no_error(run_cli):
    done = run_cli("list", "operators", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_tables_are_drawn_on_a_terminal():
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen([*COMMAND, "list", "targets"], cwd=ROOT, stdout=slave) as process:
        os.close(slave)
        output = b""
        with contextlib.suppress(OSError):  # Linux's way to say that the other end has closed
            while chunk := os.read(master, 4096):
                output += chunk
    os.close(master)
    assert process.returncode == 0
    text = output.decode()
    assert "━" in text
    assert all(name in text for name in NAMES)  # narrow as it is, names stay in one piece
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\r\n")) <= 80
