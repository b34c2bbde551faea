"""Bundles of tasks with slopes and a residual: from an .npz to a call from C."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sound_bundles import arrays_of, entries, weights_of

from tvm_ops import toolchain
from tvm_ops.bundle import open_bundle, write_bundle
from tvm_ops.correctness import largest_error
from tvm_ops.operators import get_operator
from tvm_ops.process import run_limited
from tvm_ops.run import run_bundle
from tvm_ops.targets import get_target

EXAMPLE = Path(__file__).parents[1] / "examples" / "call_bundle.c"
PLAIN = "winograd_conv2d-n1_ci5_h6_w7_co6_k3_s1_p1-f32"
PRELU = "winograd_conv2d-n1_ci5_h6_w7_co6_k3_s1_p1_prelu-f32"
RESIDUAL = "conv2d-n1_ci5_h9_w7_co6_k3_s2_p1_res-f32"
BOTH = "conv2d-n1_ci12_h6_w7_co20_k1_s1_p0_prelu_res_c4-f32"
DENSE = "dense-n1_ci20_co9_prelu_res-f32"
KEYS = [PRELU, RESIDUAL, BOTH, DENSE]


def save(path: Path, weights: dict[str, dict[str, np.ndarray]]) -> Path:
    np.savez(path, **{f"{key}.{n}": a for key, of in weights.items() for n, a in of.items()})
    return path


@pytest.mark.parametrize("target", ["rpi4", "rpi4-armv7"])
@pytest.mark.parametrize("key", [PLAIN, *KEYS])
def test_the_example_runs(target: str, key: str, tmp_path: Path) -> None:
    """Packed weights of the bundle, the library and the header, from a program of our own."""
    board, [(task, knobs)] = get_target(target), entries(target, [key])
    weights = weights_of(target, [key])
    path = write_bundle([(task, knobs)], board, tmp_path / "demo.tar.gz", weights)
    root = open_bundle(path, tmp_path / "demo").folder
    program = tmp_path / "call_bundle"
    toolchain.run_tool(
        [board.compiler, *board.c_flags, "-Wall", "-Wextra", "-Werror", EXAMPLE,
         f"-I{root / 'include'}", f"-L{root / 'lib'}", "-ldemo", "-Wl,-rpath,$ORIGIN/demo/lib",
         "-o", program]
    )  # fmt: skip
    operator, w = get_operator(task.operator), task.workload
    arrays = arrays_of(task, 3) | weights[key]
    packed = operator.pack(w, knobs, arrays)
    (tmp_path / "x").write_bytes(packed["x"].tobytes())
    files = [root / "weights" / f"{key}.{n}.bin" for n in w.parameters]
    if "residual" in packed:
        files.append(tmp_path / "residual")
        files[-1].write_bytes(packed["residual"].tobytes())
    emulator = [board.emulator, "-L", toolchain.sysroot(board)]
    command = ["sh", "-c", '"$@" < x > y', "sh", *emulator, program, *files]
    done = run_limited(command, timeout=60, cwd=tmp_path)
    assert done.failure is None, done.stderr
    y = operator.unpack_output(w, np.fromfile(tmp_path / "y", np.float32))
    expected = operator.reference(w, arrays)
    assert largest_error(y, expected) <= operator.ERROR_BOUND * np.abs(expected).max()
    missing = run_limited(command[:-1], timeout=60, cwd=tmp_path)
    assert (missing.exit_code, missing.stderr) == (
        1, f"{w.arguments[-1]} is missing or too short\n"
    )  # fmt: skip


def test_the_header_has_a_pointer_for_each_argument(tmp_path: Path) -> None:
    path = write_bundle(entries("host", KEYS), get_target("host"), tmp_path / "demo.tar.gz")
    bundle = open_bundle(path, tmp_path / "demo")
    header = (bundle.folder / "include" / "demo.h").read_text()
    found = re.findall(r"TVM_OPS_API int (\w+)\(([^)]*)\);", header)
    names = {symbol: re.findall(r"(\w+)(?:,|$)", text) for symbol, text in found}
    for task, _ in entries("host", KEYS):
        assert names[task.symbol] == [*task.workload.arguments, "y"]


@pytest.mark.parametrize(
    ("target", "board"), [("host", None), ("rpi4", "emulated"), ("rpi4-armv7", None)]
)
def test_run_checks_tasks_with_weights(target: str, board: str | None, tmp_path: Path) -> None:
    weights = weights_of(target, KEYS)
    path = write_bundle(entries(target, KEYS), get_target(target), tmp_path / "b.tar.gz", weights)
    bundle = open_bundle(path, tmp_path / "b")
    for task in bundle.manifest["tasks"]:
        files = {a["name"]: a["file"] for a in task["arguments"] if "file" in a}
        names = ["weights", "bias", *(["slope"] if "prelu" in task["key"] else [])]
        assert files == {name: f"weights/{task['key']}.{name}.bin" for name in names}
    for task in bundle.manifest["tasks"]:
        shapes = {a["name"]: a["shape"] for a in task["arguments"]}
        assert shapes["y"] == shapes.get("residual", shapes["y"])
    both = bundle.manifest["tasks"][2]["arguments"]
    assert [both[0]["shape"], both[-1]["shape"]] == [[1, 3, 6, 7, 4], [1, 5, 6, 7, 4]]
    layouts = [[a["layout"] for a in task["arguments"]] for task in bundle.manifest["tasks"]]
    blocked = "n co/4 h w 4"
    assert layouts[0][::4] == ["n ci h w", "n co h w"]
    assert layouts[2][::5] == ["n ci/4 h w 4", blocked] and layouts[2][4] == blocked
    assert layouts[3][::5] == ["n ci", "n co"]
    for check in (True, False):
        rows = run_bundle(path, board=board, check=check, repeat=1)
        assert [(row.task, row.error) for row in rows] == [(key, None) for key in KEYS]
        assert all((row.max_abs_error is not None) == check for row in rows)


def test_by_the_command_line(run_cli, tmp_path: Path) -> None:
    """A prelu's slope has to be in the .npz; the bundle that has it runs and is right."""
    weights = weights_of("host", [PRELU])
    complete = save(tmp_path / "complete.npz", weights)
    bundle = ["bundle", "winograd_conv2d", "--target", "host", "--workload", PRELU]
    bundle += ["-o", "b.tar.gz", "--weights"]

    def refused(name: str, given: dict[str, np.ndarray]) -> str:
        done = run_cli(*bundle, save(tmp_path / name, {PRELU: given}))
        assert done.returncode == 2
        assert not (tmp_path / "b.tar.gz").exists()
        return str(done.stderr.splitlines()[-1])

    cases = {
        "slope": "weights, bias, slope needed; 'slope' is missing",
        "bias": "weights, bias, slope needed; 'bias' is missing",
    }
    for name, message in cases.items():
        rest = {n: a for n, a in weights[PRELU].items() if n != name}
        said = refused(f"no_{name}.npz", rest)
        assert said == f"tvm-ops: error: weights of {PRELU}: {message}"
    short = weights[PRELU] | {"slope": np.zeros(5, np.float32)}
    assert "'slope' has shape (5,), n1_" in refused("short.npz", short)
    words = weights[PRELU] | {"slope": np.array(["0.25"] * 6)}
    assert "'slope' is of type <U4, not of numbers" in refused("words.npz", words)
    made = run_cli(*bundle, complete)
    assert made.returncode == 0, made.stderr
    done = run_cli("run", "b.tar.gz", "--check")
    assert done.returncode == 0, done.stderr
    assert PRELU in done.stdout and " ok" in done.stdout
