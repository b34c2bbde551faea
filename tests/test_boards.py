"""Boards and the bench program that they run."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from c_kernels import ARGUMENTS, COLUMNS, ROWS, compile_kernels, kernel

from tvm_ops.boards import default_board, get_board
from tvm_ops.build import link_kernels
from tvm_ops.errors import InputError
from tvm_ops.process import Finished, run_limited
from tvm_ops.targets import get_target

BOARDS = [
    ("host", "host"),
    ("emulated", "rpi4"),
    ("emulated", "rpi4-armv7"),
    ("modelled", "rpi3"),
    ("modelled", "rpi5"),
]
NAMES = ["rows", "nested", "greedy", "crash", "hang"]
Y = ARGUMENTS[-1]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bench with the kernels written by hand, for one target of each architecture."""
    folder, linked = tmp_path_factory.mktemp("programs"), {}
    for name in ("host", "rpi4", "rpi4-armv7"):
        target = get_target(name)
        obj = compile_kernels(target, folder)
        kernels = [kernel(n) for n in NAMES]
        linked[target.isa] = link_kernels([obj], kernels, target, folder / f"bench-{name}")
    return linked


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {a.name: rng.standard_normal(a.shape, np.float32) for a in ARGUMENTS[:-1]}


@pytest.mark.parametrize(("board", "target"), BOARDS)
def test_run_gives_times_and_output(programs, board: str, target: str) -> None:
    chosen = get_board(board, get_target(target))
    given = arrays()
    result = chosen.run(
        programs[chosen.target.isa],
        task="rows",
        inputs=given,
        output=(Y.name, Y.shape, Y.dtype),
        warmup=2,
        repeat=3,
    )
    assert (result.board, result.error, result.cut_off) == (board, None, False)
    expected = given["bias"][:, None] + np.cumsum(given["x"] * given["weights"], axis=1)
    np.testing.assert_allclose(result.outputs["y"], expected, rtol=1e-5, atol=1e-5)
    if board == "emulated":
        assert result.seconds is result.cycles is None
    else:
        assert result.seconds and len(result.seconds) == 3 and min(result.seconds) > 0
    if board == "modelled":
        assert result.cycles and len(result.cycles) == 3
        # Each row is a chain of additions that take three cycles or more.
        assert min(result.cycles) > 3 * ROWS * COLUMNS
        clock = chosen.target.clock_ghz * 1e9
        assert result.seconds == pytest.approx([c / clock for c in result.cycles])


@pytest.mark.parametrize(("board", "target"), [b for b in BOARDS if b[0] != "modelled"])
def test_threads_give_the_same_bits(programs, board: str, target: str) -> None:
    chosen = get_board(board, get_target(target))
    program, given = programs[chosen.target.isa], arrays()
    outputs = []
    for threads in (1, 2, 4):
        result = chosen.run(
            program, task="rows", inputs=given, output=("y", Y.shape, Y.dtype), threads=threads
        )
        assert result.error is None
        outputs.append(result.outputs["y"].tobytes())
    assert outputs[0] == outputs[1] == outputs[2]


def test_cycles_depend_on_no_path(programs, tmp_path: Path, monkeypatch) -> None:
    board = get_board("modelled", get_target("rpi4"))
    cycles = []
    for name in ("b", "b" * 50, "b" * 99):
        program = shutil.copy(programs["aarch64"], tmp_path / name)
        cycles.append(board.run(Path(program), task="rows", repeat=2).cycles)
        monkeypatch.setenv("SOME_" + name.upper(), name)
    assert cycles[0] is not None
    assert cycles[0] == cycles[1] == cycles[2]


def test_files_as_inputs(programs, tmp_path: Path) -> None:
    board = get_board("host", get_target("host"))
    given, file = arrays(), tmp_path / "x with = in it.bin"
    given["x"].tofile(file)
    wanted = {"task": "rows", "output": ("y", Y.shape, Y.dtype)}
    one = board.run(programs["x86_64"], inputs=given, **wanted)
    two = board.run(programs["x86_64"], inputs=given | {"x": file}, **wanted)
    assert one.outputs["y"].tobytes() == two.outputs["y"].tobytes()


@pytest.mark.parametrize(("board", "target"), BOARDS)
@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("crash", "crashed: SIGSEGV"),
        ("greedy", "exit code 1: bench: greedy: no memory for its workspace"),
        ("nothing", "exit code 2: bench: --task 'nothing': this library has no such task (--list)"),
    ],
)
def test_failures_are_named(programs, board: str, target: str, task: str, message: str) -> None:
    chosen = get_board(board, get_target(target))
    result = chosen.run(programs[chosen.target.isa], task=task)
    assert result.error is not None and result.error.startswith(message)
    assert (result.seconds, result.cycles, result.outputs) == (None, None, {})


@pytest.mark.parametrize(("board", "target"), BOARDS)
def test_a_hang_is_ended(programs, board: str, target: str) -> None:
    chosen = get_board(board, get_target(target))
    start = time.monotonic()
    result = chosen.run(programs[chosen.target.isa], task="hang", timeout=2)
    assert result.error == "timed out after 2 s"
    assert time.monotonic() - start < 20


def test_a_cycle_limit_cuts_off(programs) -> None:
    board = get_board("modelled", get_target("rpi4"))
    program = programs["aarch64"]
    whole = board.run(program, task="rows")
    assert whole.cycles
    assert board.run(program, task="rows", cycle_limit=4 * whole.cycles[0]).cycles == whole.cycles
    cut = board.run(program, task="rows", cycle_limit=whole.cycles[0] // 2)
    assert (cut.cut_off, cut.cycles, cut.error) == (True, None, None)


def test_a_time_out_ends_the_children_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = run_limited(["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], timeout=1)
    assert done.timed_out
    child = int(pid.read_text())
    for _ in range(100):
        stat = Path(f"/proc/{child}/stat")
        if not stat.exists() or stat.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    os.kill(child, 9)
    pytest.fail("the child was left behind")


def test_memory_is_limited() -> None:
    python = "x = bytearray(1 << 29)"
    assert run_limited(["python3", "-c", python], timeout=60).failure is None
    # The limit is set from outside just after the start: the program must take a moment first.
    slow = f"import time; time.sleep(0.5); {python}"
    limited = run_limited(["python3", "-c", slow], timeout=60, memory=300 << 20)
    assert limited.failure == "exit code 1: MemoryError"


@pytest.mark.parametrize(
    ("code", "stderr", "failure"),
    [
        (0, "noise", None),
        (1, "first\nlast\n", "exit code 1: last"),
        (3, "", "exit code 3"),
        (-11, "", "crashed: SIGSEGV"),
        (132, "qemu: x\n", "crashed: SIGILL: qemu: x"),
        (200, "", "exit code 200"),
    ],
)
def test_failure_lines(code: int, stderr: str, failure: str | None) -> None:
    assert Finished(code, "", stderr, False).failure == failure


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--bogus"], 2, "unrecognized option"),
        (["stray"], 2, "'stray': no argument without an option"),
        (["--repeat", "0"], 2, "--repeat '0': a number from 1"),
        (["--warmup", "two"], 2, "--warmup 'two': a number from 0"),
        (["--threads", "65"], 2, "--threads '65': a number from 1 to 64"),
        (["--task", "rows", "--input", "x"], 2, "--input 'x': has to be NAME=FILE"),
        (["--task", "rows", "--input", "y=f"], 2, "--input 'y=f': has to be NAME=FILE"),
        (["--task", "rows", "--input", "x=none"], 2, "input x: cannot open none"),
        (["--task", "rows", "--input", "x=short"], 2, "input x: short has fewer than 19092 bytes"),
        (["--task", "rows", "--input", "x=long"], 2, "input x: long has more than 19092 bytes"),
        (["--task", "rows", "--output", "no/where"], 2, "output: cannot write no/where"),
        (["--task", "rows", "--json", "no/where"], 2, "--json: cannot write no/where"),
        (["--task", "rows", "--output", "/dev/full"], 1, "output: writing /dev/full failed"),
    ],
)
def test_bench_refuses(programs, tmp_path, arguments: list[str], code: int, message: str) -> None:
    (tmp_path / "short").write_bytes(b"\0" * 19091)
    (tmp_path / "long").write_bytes(b"\0" * 19093)
    done = run_limited([programs["x86_64"], *arguments], timeout=60, cwd=tmp_path)
    assert done.exit_code == code
    assert message in done.stderr


def test_bench_by_itself(programs, tmp_path: Path) -> None:
    """What a person sees: random finite inputs, a line to read, facts as JSON."""
    arguments = ["--task", "nested", "--repeat", "7", "--threads", "2"]
    files = ["--json", "facts.json", "--output", "y.bin"]
    done = run_limited([programs["x86_64"], *arguments, *files], timeout=60, cwd=tmp_path)
    assert done.stdout.startswith("nested: median ")
    assert "2 thread(s)" in done.stdout
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert (facts["task"], facts["threads"], len(facts["seconds"])) == ("nested", 2, 7)
    y = np.fromfile(tmp_path / "y.bin", np.float32)
    assert np.isfinite(y).all() and np.unique(y).size > 1000
    assert run_limited([programs["x86_64"], "--help"], timeout=60).stdout.startswith("usage: bench")


@pytest.mark.parametrize(
    ("board", "target", "message"),
    [
        ("modelled", "rpi4-armv7", "timing of ARMv7 is not modelled yet; .* emulated"),
        ("modelled", "host", "host has no timing model; use board host"),
        ("host", "rpi4", "board host runs the target host only, not rpi4"),
        ("emulated", "host", "board emulated is for ARM targets; host runs on board host"),
        ("ssh", "rpi4", "unknown board 'ssh'; known: modelled, host, emulated"),
    ],
)
def test_boards_that_do_not_fit(board: str, target: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_board(board, get_target(target))


def test_default_boards() -> None:
    defaults = {n: default_board(get_target(n)) for n in ("host", "rpi4", "rpi4-armv7")}
    assert defaults == {"host": "host", "rpi4": "modelled", "rpi4-armv7": "emulated"}
    assert get_board(None, get_target("rpi3")).label == "modelled cortex-a53 at 1.4 GHz, one thread"
