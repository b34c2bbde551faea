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
from pathlib import Path

import pytest
from conftest import ROOT

from tvm_ops.cli_parser import VERBS
from tvm_ops.targets import NAMES

COMMAND = [sys.executable, "-m", "tvm_ops"]


def test_help_comes_at_once():
    """It loads nothing that takes time: TVM alone takes a second."""
    script = """
import runpy, sys
sys.argv = ["tvm-ops", "--help"]
try:
    runpy.run_module("tvm_ops", run_name="__main__")
except SystemExit as end:
    print(end.code, sorted({"tvm", "numpy", "xgboost", "onnx", "scipy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


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
        (["tune", "winograd_conv", "--target", "rpi4"], "winograd_conv2d"),
        (["build", "winograd_conv2d", "--target", "rpi44", "-o", "out"], "rpi4"),
        (["run", "b.tar.gz", "--board", "modeled"], "modelled"),
        (["compare", "winograd_conv2d", "--target", "rpi4", "--against", "ncnn,xnpack"], "xnnpack"),
    ],
)
def test_an_unknown_name_gets_a_suggestion_and_the_known_ones(refused, arguments, guess):
    line = refused(*arguments)
    assert f"did you mean '{guess}'?" in line
    assert "known: " in line


def test_an_unknown_option_gets_a_suggestion(refused):
    line = refused("tune", "conv2d", "--target", "rpi4", "--trails", "3")
    why = "unrecognized arguments: --trails 3, did you mean '--trials'?; see tvm-ops tune --help"
    assert line == f"tvm-ops: error: {why}\n"


OPERATOR = "winograd_conv2d"
KEY = "winograd_conv2d-n1_ci4_h8_w8_co4_k3_s1_p1-f32"
BUILD = ["build", OPERATOR, "--target", "host", "-o", "out"]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("nonsense", "a key looks like winograd_conv2d-n1_"),
        ("winograd_conv2d-n1-f32", "missing"),
        (KEY.replace("f32", "f16"), "type 'f16' is none of f32"),
        (KEY.replace("ci4", "ci0"), "at least 1"),
        (KEY.replace("_h8", "_h0"), "at least 1"),
        (KEY.replace("h8_w8", "h1_w1").replace("p1", "p0"), "larger than the padded input"),
        (KEY.replace("p1", "p1_g3"), "groups 3 must divide ci 4 and co 4"),
        (KEY.replace("k3", "k5"), "3x3"),
        (KEY.replace(OPERATOR, "conv2d"), "is not of winograd_conv2d"),
        (KEY.replace("co4", "co4_zz5"), "zz5"),
    ],
)
def test_a_workload_that_does_not_fit_is_refused(refused, tmp_path, key, why):
    assert why in refused(*BUILD, "--workload", key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("not json", "no JSON"),
        ("[]", "an object"),
        ('{"task": "x"}', "no field"),
    ],
)
def test_a_log_line_that_is_no_record_is_refused(refused, run_cli, tmp_path, line, why):
    log = tmp_path / "logs/host/winograd_conv2d.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(line + "\n")
    message = refused(*BUILD, "--workload", KEY, "--logs", "logs")
    assert "winograd_conv2d.jsonl:1: " in message
    assert why in message
    assert not (tmp_path / "out").exists()
    tune = run_cli("tune", *BUILD[1:4], "--workload", KEY, "--logs", "logs")
    assert tune.returncode == 2
    assert tune.stderr == message
    assert log.read_text() == line + "\n"


def test_a_log_line_with_an_unknown_knob_is_refused(refused, tmp_path):
    record = {
        "task": KEY,
        "target": "host",
        "knobs": {"sketch": "packed", "colour": "blue"},
        "seconds": [1.0],
        "cycles": None,
        "board": "host",
        "error": None,
        "checked": True,
        "max_error": 1e-6,
        "tvm": "0",
        "time": "2026-01-01T00:00:00+00:00",
    }
    log = tmp_path / "logs/host/winograd_conv2d.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps(record) + "\n")
    assert "colour" in refused(*BUILD, "--workload", KEY, "--logs", "logs")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["tune", OPERATOR, "--target", "rpi4", "--board", "host"], "allowed for it: modelled"),
        (["tune", OPERATOR, "--target", "rpi3-armv7", "--board", "modelled"], "not modelled yet"),
        (["tune", OPERATOR, "--target", "rpi4", "--trials", "0"], "whole number from 1 on"),
        (["tune", OPERATOR, "--target", "rpi4", "--trials", "many"], "whole number"),
        (["tune", OPERATOR, "--target", "rpi4", "--seed", "-1"], "--seed"),
        (["tune", OPERATOR, "--target", "rpi4", "--bound", "2"], "between 0 and 1"),
        (["tune", OPERATOR], "--target"),
        ([*BUILD, "--logs", "nowhere"], "no such folder"),
        (["build", OPERATOR, "--target", "host"], "-o"),
        (["bundle", OPERATOR, "--target", "host", "-o", "nowhere/b.tar.gz"], "cannot write"),
        ([*BUILD, "--workload", KEY, "--workload", KEY], "twice"),
        (["run", "nowhere.tar.gz"], "no such file"),
        (["run", "."], "folder"),
        (["board", "exec", "rpi4"], "after --"),
        (["board", "exec", "host", "--", "./x"], "no timing model"),
        (["board", "exec", "rpi4", "--", sys.executable], "x86-64; AArch64 is needed"),
        (["board", "exec", "rpi4", "--", "./nowhere"], "no program './nowhere'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(refused, tmp_path, arguments, why):
    assert why in refused(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x1f\x8b\x08\x00nonsense"])
def test_a_file_that_is_no_bundle_is_refused(refused, tmp_path, content):
    (tmp_path / "b.tar.gz").write_bytes(content)
    assert "b.tar.gz" in refused("run", "b.tar.gz")


def test_a_program_runs_on_the_modelled_board(run_cli, tmp_path):
    (tmp_path / "p.c").write_text(
        '#include <stdio.h>\nint main(int n) { puts("hi"); return n > 1; }'
    )
    compiler = ["aarch64-linux-gnu-gcc", "-O2", "-static", "p.c", "-o", "p"]
    subprocess.run(compiler, cwd=tmp_path, check=True)
    exec_json = ["board", "exec", "rpi4", "--json", "facts.json", "--", "./p"]
    done = run_cli(*exec_json)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hi\nmodelled cortex-a72")
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["target"], facts["exit_code"]) == ("rpi4", 0)
    (region,) = facts["regions"]
    assert region["cycles"] > region["instructions"] / 3 > 0  # the A72 dispatches three at most
    failed = run_cli(*exec_json, "--an-option-of-its-own")
    assert failed.returncode == 1
    assert "exit code 1" in failed.stderr


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


def test_the_listed_peers_are_those_of_compare(run_cli, refused):
    listed = [line.split()[0] for line in run_cli("list", "peers").stdout.splitlines()[1:]]
    assert {"ncnn", "xnnpack", "mnn", "onnxruntime", "handwritten"} <= set(listed)
    line = refused("compare", OPERATOR, "--target", "rpi4", "--against", "nobody")
    assert f"known: {', '.join(listed)}" in line


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
