"""The sets that belong together, held against each other; and what no file may contain."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT, project_files

from tvm_ops.operators import operator_names

SOURCES = [
    path
    for folder in ("tvm_ops", "schedules", "examples")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".c", ".h", ".cc", ".cpp")
]
SCHEDULE_MODULES = sorted((ROOT / "schedules").glob("*.py"))
SHARED_SCHEDULES = {"__init__", "intrinsics"}  # no operators; nor are names with an underscore
# Spelt in parts, or this file would be the first hit.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:wor" r"k|tm" r"p|roo" r"t|hom" r"e)/")
REGISTRIES = re.compile(r"pypi" r"\.org|deb\.debian" r"\.org|registry\.npmjs")


def relative(path) -> str:
    return str(path.relative_to(ROOT))


def test_each_operator_has_a_schedule():
    modules = {p.stem for p in SCHEDULE_MODULES if not p.stem.startswith("_")}
    assert modules - SHARED_SCHEDULES == set(operator_names())


def test_each_handwritten_peer_is_of_an_operator():
    peers = {p.stem for p in (ROOT / "tvm_ops/peers/handwritten").glob("*.c")}
    assert peers - {"handwritten_bench"} <= set(operator_names())


def test_each_operator_is_tested():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_operators.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in operator_names():
        assert name in done.stdout


def imports(path) -> set[str]:
    """Top-level names of all that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("schedules" if node.level else (node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", SCHEDULE_MODULES, ids=relative)
def test_schedules_import_tvm_only(path):
    assert imports(path) - set(sys.stdlib_module_names) <= {"tvm", "schedules"}


def test_files_are_of_a_size_to_read():
    lengths = {relative(p): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_no_file_names_a_machine_or_a_registry():
    hits = []
    for name in project_files():
        try:
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if MACHINE_PATHS.search(line) or REGISTRIES.search(line):
                hits.append(f"{name}:{number}: {line.strip()[:80]}")
    assert hits == []


def test_ci_runs_the_test_script():
    assert "scripts/test.sh" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize("name", sorted(relative(p) for p in (ROOT / "scripts").glob("*.sh")))
def test_shell_scripts_parse(name):
    subprocess.run(["bash", "-n", name], cwd=ROOT, check=True)


def test_tvm_serialises_a_function():
    """Guards the pin of apache-tvm-ffi; in a process of its own, because the fault is a crash."""
    code = """
import tvm
from tvm import te
x = te.placeholder((4,), name="x")
func = te.create_prim_func([x, te.compute((4,), lambda i: x[i] + 1, name="y")])
tvm.ir.assert_structural_equal(tvm.ir.load_json(tvm.ir.save_json(func)), func)
print("same")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr
