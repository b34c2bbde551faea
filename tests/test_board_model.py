"""Programs on the modelled board: regions, limits, threads, ends, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from micro_kernels import COMPILER, Kernel, regions

from tvm_ops.board_model import Execution, board_exec, execute
from tvm_ops.board_model import plugin as plugin_module
from tvm_ops.board_model import region as region_module
from tvm_ops.board_model.sysroot import PYTHON_ENVIRONMENT, sysroot
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target

TARGETS = ["rpi3", "rpi4", "rpi5"]


def build_c(source: str, path: Path, *flags: str, compiler: str = COMPILER) -> str:
    path.with_suffix(".c").write_text('#include "tvm_ops_region.h"\n' + source)
    include = f"-I{ROOT / 'tvm_ops/runtime'}"
    command = [compiler, "-O1", "-static", include, *flags, f"{path}.c", "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return str(path)


WORK = "static void work(int n) { for (volatile int i = 0; i < n; i++) {} }\n"
MARKED = (
    "#include <stdio.h>\n"
    + WORK
    + """
int main(void) {
  tvm_ops_region_start(); work(500);
  tvm_ops_region_start(); work(1000); tvm_ops_region_stop(1);
  work(100000);
  tvm_ops_region_start(); work(2000); tvm_ops_region_stop(42);
  tvm_ops_region_flush();
  puts("done");
  return 3;
}
"""
)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_c(MARKED, tmp_path_factory.mktemp("marked") / "marked")


def run(program: str, *arguments: str, target: str = "rpi4", **options: object) -> Execution:
    return execute(get_target(target), [program, *arguments], **options)


def test_regions_of_a_c_program(marked: str) -> None:
    done = run(marked)
    assert (done.exit_code, done.stdout) == (3, "done\n")
    assert not done.cut_off
    assert not done.timed_out
    assert [region.id for region in done.regions] == [1, 42]
    first, second = done.regions
    assert 1.9 < second.instructions / first.instructions < 2.1
    assert first.instructions < 10_000  # work(100000) is in no region
    assert first.ms == pytest.approx(first.cycles / 1.8e6)


@pytest.mark.parametrize("target", TARGETS)
def test_two_runs_give_the_same_cycles(marked: str, target: str) -> None:
    assert run(marked, target=target).regions == run(marked, target=target).regions


def test_a_promise_of_marks_changes_no_result(marked: str) -> None:
    assert run(marked, marked=True).regions == run(marked, marked=False).regions


def test_without_marks_the_whole_program_is_one_region(tmp_path: Path) -> None:
    program = build_c(WORK + "int main(void) { work(5000); return 0; }", tmp_path / "p")
    (region,) = run(program).regions
    assert region.id == 0
    assert region.instructions > 5 * 5000
    assert run(program, marked=True).regions == []


def test_the_rest_of_the_environment_changes_nothing(
    marked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(marked).regions
    monkeypatch.setenv("SOME_VARIABLE", "x" * 1000)
    assert run(marked).regions == before


@pytest.mark.parametrize(
    ("compiler", "flags", "emulator"),
    [
        ("aarch64-linux-gnu-gcc", [], ["qemu-aarch64"]),
        ("arm-linux-gnueabihf-gcc", ["-marm"], ["qemu-arm"]),
        ("arm-linux-gnueabihf-gcc", ["-mthumb", "-fno-omit-frame-pointer"], ["qemu-arm"]),
        ("gcc", [], []),
    ],
)
def test_marks_do_nothing_elsewhere(
    compiler: str, flags: list[str], emulator: list[str], tmp_path: Path
) -> None:
    program = build_c(MARKED, tmp_path / "p", *flags, compiler=compiler)
    done = subprocess.run([*emulator, program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "done\n", "")


def test_python_marks_do_nothing_here() -> None:
    with region_module.measured(1):
        region_module.flush()


def test_python_marks_on_the_board(tmp_path: Path) -> None:
    """With the board's own Python, which knows nothing of this package but one copied file."""
    shutil.copy(region_module.__file__, tmp_path)
    (tmp_path / "script.py").write_text(
        "import region\n"
        "for n in (1000, 2000):\n"
        "    with region.measured(n):\n"
        "        sum(range(n))\n"
    )
    target = get_target("rpi4")
    argv = ["python3", "-s", "-B", str(tmp_path / "script.py")]
    done = execute(target, argv, sysroot=sysroot(target), marked=True, env=PYTHON_ENVIRONMENT)
    assert (done.exit_code, done.stderr) == (0, "")
    assert [region.id for region in done.regions] == [1000, 2000]
    assert done.regions[0].instructions < done.regions[1].instructions


def test_cycle_limit(tmp_path: Path) -> None:
    source = WORK + (
        "int main(void) { tvm_ops_region_start(); work(1000); tvm_ops_region_stop(1);"
        " tvm_ops_region_start(); work(1000000000); tvm_ops_region_stop(2); return 0; }"
    )
    program = build_c(source, tmp_path / "p")
    done = run(program, cycle_limit=1_000_000, timeout=60)
    assert (done.exit_code, done.cut_off, done.timed_out) == (93, True, False)
    assert [region.id for region in done.regions] == [1]
    generous = run(build_c(MARKED, tmp_path / "q"), cycle_limit=1_000_000)
    assert (generous.exit_code, generous.cut_off, len(generous.regions)) == (3, False, 2)


def test_timeout(tmp_path: Path) -> None:
    program = build_c("int main(void) { for (;;) {} }", tmp_path / "p")
    done = run(program, timeout=1.0)
    assert (done.timed_out, done.cut_off, done.regions) == (True, False, [])


def test_hot_blocks(tmp_path: Path) -> None:
    body = "fmla v8.4s, v1.4s, v2.4s\n" * 16
    loop = Kernel(body, iterations=1000)
    (region,) = regions("rpi4", [loop], tmp_path / "p", hot_blocks=3)
    hottest = region.hot_blocks[0]
    assert hottest.instructions == 16 + 2
    assert hottest.executions == pytest.approx(1000, abs=2)
    assert hottest.cycles == pytest.approx(region.cycles, rel=0.05)
    assert hottest.code[:4] == (0x4E22CC28).to_bytes(4, "little")  # fmla v8.4s, v1.4s, v2.4s
    assert len(region.hot_blocks) <= 3


@pytest.mark.parametrize(
    ("body", "code"),
    [("return 42;", 42), ("*(volatile int*)0 = 1;", -11), ("__builtin_trap();", -5)],
)
def test_exit_codes_and_death_by_signal(body: str, code: int, tmp_path: Path) -> None:
    source = "int main(void) { tvm_ops_region_start(); tvm_ops_region_stop(7); " + body + " }"
    done = run(build_c(source, tmp_path / "p"))
    assert done.exit_code == code
    assert [region.id for region in done.regions] == [7]


THREADS = (
    "#include <pthread.h>\n"
    + WORK
    + """
static void* busy(void* p) { work(300000); return p; }
static void* owner(void* p) {
  tvm_ops_region_start(); work(10000); tvm_ops_region_stop((int)(long)p);
  return p;
}
int main(int argc, char** argv) {
  pthread_t threads[4];
  if (argc > 1) {
    for (long i = 0; i < 4; i++) {
      pthread_create(threads + i, 0, owner, (void*)i);
      pthread_join(threads[i], 0);
    }
    return 0;
  }
  for (int i = 0; i < 4; i++) pthread_create(threads + i, 0, busy, 0);
  tvm_ops_region_start(); work(10000); tvm_ops_region_stop(1);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  return 0;
}
"""
)


@pytest.mark.parametrize("promised", [True, False])
def test_threads(promised: bool, tmp_path: Path) -> None:
    """The thread that starts a region is modelled, whatever the others do meanwhile."""
    program = build_c(THREADS, tmp_path / "p", "-pthread")
    beside_others = run(program, marked=promised)
    assert beside_others.exit_code == 0
    (region,) = beside_others.regions
    assert region.instructions == pytest.approx(60_000, rel=0.01)
    each_its_own = run(program, "own", marked=promised)
    assert [region.id for region in each_its_own.regions] == [0, 1, 2, 3]


def test_a_forked_child_is_not_modelled(tmp_path: Path) -> None:
    source = (
        "#include <sys/wait.h>\n#include <unistd.h>\n"
        + WORK
        + """
int main(void) {
  tvm_ops_region_start();
  if (fork() == 0) { work(100000); tvm_ops_region_stop(9); _exit(0); }
  wait(0);
  tvm_ops_region_stop(1);
  return 0;
}
"""
    )
    (region,) = run(build_c(source, tmp_path / "p")).regions
    assert region.id == 1
    assert region.instructions < 50_000


def test_a_forked_child_may_open_regions_of_its_own(tmp_path: Path) -> None:
    source = (
        "#include <stdlib.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
        + WORK
        + """
int main(void) {
  for (int i = 1; i < 4; i++) {
    if (fork() == 0) {
      tvm_ops_region_start();
      if (i == 2) abort();
      work(100000);
      tvm_ops_region_stop(i);
      _exit(0);
    }
    wait(0);
  }
  return 0;
}
"""
    )
    first, third = run(build_c(source, tmp_path / "p"), marked=True).regions
    assert (first.id, third.id) == (1, 3)
    assert first.instructions > 100_000
    assert replace(third, id=1) == first


def test_stdin_arguments_environment_and_folder(tmp_path: Path) -> None:
    source = (
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
        "int main(int c, char** v) { char b[99], d[999]; fgets(b, 99, stdin);"
        ' printf("%s %s %s %s", v[1], getenv("WORD"), getcwd(d, 999), b); return c - 2; }'
    )
    program = build_c(source, tmp_path / "p")
    done = run(program, "a,b", stdin="line\n", env={"WORD": "w,x"}, cwd=tmp_path)
    assert (done.exit_code, done.stdout) == (0, f"a,b w,x {tmp_path} line\n")


def test_board_exec_gives_the_documented_facts(marked: str) -> None:
    facts = board_exec(get_target("rpi3"), [marked])
    assert set(facts) == {"target", "regions", "exit_code"}
    assert (facts["target"], facts["exit_code"]) == ("rpi3", 3)
    names = {"id", "cycles", "ms", "instructions", "l1_misses", "l2_misses"}
    assert [set(region) for region in facts["regions"]] == [names, names]


def test_what_cannot_be_run(marked: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program, but long enough to hold a header")
    for argv, message in [
        ([], "no program was given"),
        (["absent"], "no program 'absent'"),
        ([str(tmp_path)], "no program"),
        ([str(tmp_path / "text")], "no program .ELF file. for AArch64"),
        (["/bin/sh"], "is a program for x86-64; AArch64 is needed"),
    ]:
        with pytest.raises(InputError, match=message):
            execute(get_target("rpi4"), argv)
    with pytest.raises(InputError, match=r"absent.*nor in the sysroot"):
        execute(get_target("rpi4"), ["absent"], sysroot=tmp_path)
    with pytest.raises(InputError, match="'rpi4-armv7' has no timing model"):
        execute(get_target("rpi4-armv7"), [marked])
    with pytest.raises(InputError, match="cycle limit 0"):
        run(marked, cycle_limit=0)


def test_programs_are_looked_up_in_the_sysroot(marked: str, tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    shutil.copy(marked, tmp_path / "usr/bin/real")
    (tmp_path / "usr/bin/link").symlink_to("/usr/bin/real")  # absolute: from the sysroot's root
    for name in ["real", "/usr/bin/real", "link"]:
        assert run(name, sysroot=tmp_path).stdout == "done\n"


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"qemu-aarch64 is missing.*qemu-user"):
        plugin_module.qemu()
    plugin_module.plugin.cache_clear()
    with pytest.raises(InputError, match=r"g\+\+ is missing"):
        plugin_module.plugin()


def test_a_compiler_without_capstone_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo fake 1 && exit 0\n'
        'echo "decode.h:4:10: fatal error: capstone/capstone.h: No such file" >&2\nexit 1\n'
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path / "cache"))
    plugin_module.plugin.cache_clear()
    with pytest.raises(InputError, match=r"libcapstone is missing.*libcapstone-dev"):
        plugin_module.plugin()
    plugin_module.plugin.cache_clear()


@pytest.mark.parametrize(("version", "number"), [("7.2.22 (Debian)", 702), ("10.0.2", 1000)])
def test_version_of_qemu(version: str, number: int) -> None:
    assert plugin_module.version_number(f"qemu-aarch64 version {version}") == number


def test_an_old_qemu_is_refused() -> None:
    with pytest.raises(InputError, match=r"needs QEMU 7\.2 or newer"):
        plugin_module.version_number("qemu-aarch64 version 6.2.0 (Debian)")


@pytest.mark.parametrize("number", [702, 802, 900, 901])
def test_the_plugin_compiles_for_other_versions_of_qemu(number: int) -> None:
    source = plugin_module.SOURCES / "plugin.cpp"
    define = f"-DTVM_OPS_QEMU_VERSION={number}"
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", define]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("issue_width", "issue_breadth"), "columns"),
        (("fmla.128 ", "fmla.256 "), "no row for 'fmla.128'"),
        (("l2_latency ", "# "), "parameter 'l2_latency' is missing"),
        (("l1_ways                 2", "l1_ways                 3"), "no power of two"),
        (("I0,I1", "I0,I9"), "unknown pipe 'I9'"),
        (("L0       1  V0,V1  3", "L0       1  V0,V1"), "expected 5 columns, or 8"),
        (("L0       1  V0,V1  3", "L0       1  -  3"), "no pipe for the data"),
        (("L0       1  V0,V1  3", "L0       1  V0,V1  9"), "does not include"),
        (("1  V0,V1\nvector_alu.128", "1  V0,V1  1  V0  1\nvector_alu.128"), "expected 5 columns"),
    ],
)
def test_mistakes_in_a_core_description(
    change: tuple[str, str], message: str, marked: str, tmp_path: Path, monkeypatch
) -> None:
    text = plugin_module.core_file("cortex-a72").read_text()
    assert change[0] in text
    (tmp_path / "cortex-a72.txt").write_text(text.replace(*change))
    monkeypatch.setattr(plugin_module, "CORES", tmp_path)
    with pytest.raises(InputError, match=message):
        run(marked)


def test_unknown_core(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no core 'cortex-x9'; it has: cortex-a53, cortex-a72"):
        plugin_module.core_file("cortex-x9")


def test_the_model_is_compiled_once(tmp_path: Path) -> None:
    """Two processes at once on an empty cache: both work, one plugin is left."""
    code = "from tvm_ops.board_model.plugin import plugin; print(plugin())"
    env = os.environ | {"TVM_OPS_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in both}
    assert len(paths) == 1
    assert Path(paths.pop()).is_file()
    assert len(list(tmp_path.glob("board-model-*/"))) == 1
