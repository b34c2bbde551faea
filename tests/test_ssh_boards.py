"""Boards over ssh, against a real sshd on loopback."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from c_kernels import ARGUMENTS, compile_kernels, kernel
from ssh_server import (
    Server,
    client_of,
    meeting_prefix,
    running_server,  # noqa: F401 - fixtures
    ssh_client,  # noqa: F401
    ssh_server,
    wait_for,
)

from tvm_ops.boards import get_board, ssh
from tvm_ops.build import link_kernels
from tvm_ops.peers import get_peer
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs
from tvm_ops.tuning import log
from tvm_ops.tuning.measure import Measurer
from tvm_ops.tuning.session import tune

HOST = get_target("host")
KEY = "conv2d-n1_ci4_h6_w6_co8_k1_s1_p0-f32"
Y = ARGUMENTS[-1]
PREFIX = "qemu-aarch64 -L /usr/aarch64-linux-gnu"


@pytest.fixture
def server(running_server: Server) -> Server:  # noqa: F811
    return running_server


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, linked = tmp_path_factory.mktemp("programs"), {}
    for name in ("host", "rpi4"):
        target = get_target(name)
        kernels = [kernel(n) for n in ("rows", "crash", "hang")]
        obj = compile_kernels(target, folder)
        linked[name] = link_kernels([obj], kernels, target, folder / f"bench-{name}")
    return linked


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {a.name: rng.standard_normal(a.shape, np.float32) for a in ARGUMENTS[:-1]}


def expected(given: dict[str, np.ndarray]) -> np.ndarray:
    return given["bias"][:, None] + np.cumsum(given["x"] * given["weights"], axis=1)


def test_a_run_gives_all_samples_and_leaves_nothing(server, programs) -> None:
    board = get_board(server.address, HOST)
    board.connect()
    given = arrays()
    result = board.run(
        programs["host"], task="rows", inputs=given, output=(Y.name, Y.shape, Y.dtype), repeat=3
    )
    assert (result.board, result.error, result.cycles) == (server.address, None, None)
    assert result.seconds and len(result.seconds) == 3 and min(result.seconds) > 0
    np.testing.assert_allclose(result.outputs["y"], expected(given), rtol=1e-5, atol=1e-5)
    assert list(server.temporary.iterdir()) == []
    # All of it went over one connection.
    assert (server.folder / "sshd.log").read_text().count("Accepted publickey") == 1


def test_programs_under_an_emulator(server, programs) -> None:
    spec = f"{server.address}?exec_prefix={PREFIX.replace(' ', '%20').replace('/', '%2F')}"
    board = get_board(spec, get_target("rpi4"))
    assert board.spec == spec and board.name == server.address
    board.prepare()
    assert board.label.startswith(f"{server.address}, wall clock, under qemu-aarch64")
    given = arrays()
    output = (Y.name, Y.shape, Y.dtype)
    result = board.run(programs["rpi4"], task="rows", inputs=given, output=output)
    np.testing.assert_allclose(result.outputs["y"], expected(given), rtol=1e-5, atol=1e-5)


def test_failures_are_the_programs_own(server, programs) -> None:
    board = get_board(server.address, HOST)
    result = board.run(programs["host"], task="crash")
    assert (result.error, result.board_failed) == ("crashed: SIGSEGV", False)
    result = board.run(programs["host"], task="nothing")
    assert result.error is not None and "no such task (--list)" in result.error
    start = time.monotonic()
    assert board.run(programs["host"], task="hang", timeout=1).error == "timed out after 1 s"
    assert time.monotonic() - start < 20
    assert list(server.temporary.iterdir()) == []


def test_a_program_that_cannot_be_started_is_the_boards_fault(server, programs) -> None:
    prefix = server.folder / "bin/prefix"
    prefix.write_text("#!/no/such/interpreter\n")
    prefix.chmod(0o755)
    result = get_board(f"{server.address}?exec_prefix=prefix", HOST).run(programs["host"])
    assert result.board_failed and "failed to run command" in (result.error or "")
    prefix.unlink()


def test_two_runs_take_turns(server, programs) -> None:
    """The lock is the board's own, whoever asks: the first holds it until it may go on."""
    go, hold = server.folder / "go", server.folder / "bin/hold"
    hold.write_text(f'#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.05; done\nexec "$@"\n')
    hold.chmod(0o755)
    errors: list[str | None] = []

    def run(spec: str) -> None:
        errors.append(get_board(spec, HOST).run(programs["host"], task="rows").error)

    first = threading.Thread(target=run, args=[f"{server.address}?exec_prefix=hold"])
    first.start()
    try:
        wait_for(lambda: get_probe(server).holders == 1)
        second = threading.Thread(target=run, args=[server.address])
        second.start()
        wait_for(lambda: get_probe(server).waiting == 1)
        assert first.is_alive() and errors == []
    finally:
        go.write_text("")
    for thread in (first, second):
        thread.join()
    probe = get_probe(server)
    assert (probe.holders, probe.waiting, errors) == (0, 0, [None, None])


def get_probe(server: Server):
    from tvm_ops.boards.address import parse_address

    return ssh.probe_board(parse_address(server.address))


def test_tuning_on_two_boards(server, tmp_path, tmp_path_factory, monkeypatch) -> None:
    """Both at a time, the log says which, and a session that goes on knows what both have done."""
    task = parse_task("conv2d", KEY, HOST)
    with ssh_server(tmp_path_factory.mktemp("other")) as other:
        monkeypatch.setenv("TVM_OPS_SSH", client_of(tmp_path / "config", server, other))
        both = f"{server.address},{other.address}"
        meeting_prefix(tmp_path / "met", server, other)
        specs = ",".join(f"{name}?exec_prefix=meet" for name in both.split(","))
        done = tune(task, trials=6, board=specs, logs=tmp_path, workers=2)
        assert (tmp_path / "met").exists()
        assert done.best and done.best.board in both.split(",")
    records = log.read_task(log.log_path(tmp_path, "host", "conv2d"), task)
    assert {record.board for record in records} == {server.address, other.address}
    assert not any((record.error or "").startswith("environment") for record in records)
    again = tune(task, trials=6, board=both.replace(other.address, server.address).split(",")[0],
                 logs=tmp_path, workers=1)  # fmt: skip
    assert 0 < again.measured < 6


def test_a_board_that_goes_away_leaves_its_work_to_the_other(
    server, programs, tmp_path, tmp_path_factory, monkeypatch
) -> None:
    with ssh_server(tmp_path_factory.mktemp("gone")) as other:
        monkeypatch.setenv("TVM_OPS_SSH", client_of(tmp_path / "config", server, other))
        group = get_board(f"{other.address},{server.address}", HOST)
        group.connect()
        assert group.run_in_turn(tmp_path, programs["host"], task="rows").board == other.address
    for _ in range(2):
        result = group.run_in_turn(tmp_path, programs["host"], task="rows")
        assert (result.board, result.error) == (server.address, None)
    alone = get_board(other.address, HOST).run(programs["host"], task="rows")
    assert alone.board_failed and "nothing listens there" in (alone.error or "")


def test_a_trial_is_checked(server, tmp_path) -> None:
    task = parse_task("conv2d", KEY, HOST)
    measurer = Measurer(task, server.address, tmp_path)
    outcome = measurer.measure(default_knobs(task))
    assert (outcome.error, outcome.board, len(outcome.seconds)) == (None, server.address, 15)


def test_the_handwritten_peer_runs_there(server) -> None:
    task = parse_task("conv2d", KEY, HOST)
    board = get_board(server.address, HOST)
    data = Measurer(task, "host", Path()).arrays
    there = get_peer("handwritten").measure(task, board, data)
    here = get_peer("handwritten").measure(task, get_board("host", HOST), data)
    assert there.output is not None and here.output is not None and there.seconds
    assert np.array_equal(there.output, here.output)
