"""Boards over TVM's RPC: a tracker and a server in processes of their own, on loopback."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import psutil
import pytest

from tvm_ops.boards import get_board, rpc, rpc_tracker
from tvm_ops.boards.listing import board_states
from tvm_ops.boards.rpc_farm import local_farm
from tvm_ops.build import link_module
from tvm_ops.errors import InputError
from tvm_ops.run import run_bundle
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.tuning import log
from tvm_ops.tuning.session import tune

HOST = get_target("host")
KEY = "conv2d-n1_ci4_h6_w6_co8_k1_s1_p0-f32"


@pytest.fixture(scope="module")
def farm():
    with local_farm("lab-host") as address:
        yield address


@pytest.fixture(autouse=True)
def known_boards(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TVM_OPS_BOARDS", str(tmp_path / "boards.yaml"))


def test_what_we_start_listens_on_loopback_only(farm) -> None:
    family = psutil.Process().children(recursive=True)
    ports = [c.laddr for p in family for c in p.net_connections("inet") if c.status == "LISTEN"]
    assert farm.port in {port for _ip, port in ports}
    assert {ip for ip, _port in ports} == {"127.0.0.1"}


def test_tuning_on_a_farm(farm, tmp_path: Path) -> None:
    task = parse_task("conv2d", KEY, HOST)
    done = tune(task, trials=4, board=farm.name, logs=tmp_path, workers=2)
    assert done.best and done.best.board == farm.name
    records = log.read_task(log.log_path(tmp_path, "host", "conv2d"), task)
    assert [record.error for record in records] == [None] * 4
    assert all(record.checked and len(record.seconds) == 15 for record in records)
    deadline = time.monotonic() + 20
    while True:  # a server offers itself again some time after its session has ended
        [state] = board_states([farm.name])
        if state.state == "free" or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert (state.state, state.waiting, state.note) == ("free", 0, "1 of 1 servers free")
    assert board_states()[0].address == farm.name  # it was seen


def refusal(name: str, target: str = "host") -> str:
    with pytest.raises(InputError) as caught:
        get_board(name, get_target(target)).prepare()
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"board {name}: ")
    return message.removeprefix(f"board {name}: ")


def test_another_architecture_is_refused(farm) -> None:
    assert refusal(farm.name, "rpi4").startswith("it does not load a program of aarch64")


def test_unknown_keys_and_no_tracker(farm) -> None:
    other = farm.name.replace("lab-host", "rpi9")
    assert refusal(other) == "the tracker has only these keys: lab-host"
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        name = f"rpc:rpi4@127.0.0.1:{deaf.getsockname()[1]}"
        assert refusal(name).startswith("no tracker answers (")
    [state] = board_states([name])
    assert state.state == "gone" and state.last_seen is None


def test_beyond_this_machine_is_refused(run_cli, refused) -> None:
    """Without a word to the network; with the option, it is tried, and why not is printed."""
    arguments = ["tune", "conv2d", "--target", "host", "--workload", KEY, "--trials", "1"]
    address = "rpc:rpi4@192.0.2.1:9190"  # of the documentation's network: nobody is there
    line = refused(*arguments, "--board", address)
    assert "TVM's RPC has no authentication" in line and "--insecure-rpc" in line
    assert "no --board is one" in refused(*arguments, "--insecure-rpc")


def test_insecure_rpc_says_why(run_cli) -> None:
    arguments = ["--board", "rpc:rpi4@localhost:1", "--insecure-rpc"]
    done = run_cli("boards", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("tvm-ops: warning: --insecure-rpc: TVM's RPC has no authenti")


def test_a_server_elsewhere_is_refused_too(monkeypatch) -> None:
    """A tracker at the end of a tunnel may name servers that are beyond it."""
    from tvm_ops.boards import rpc_tracker
    from tvm_ops.boards.address import parse_address

    address = parse_address("rpc:k@127.0.0.1:9190")
    with pytest.raises(InputError, match=r"10\.0\.0\.3 is not this machine"):
        rpc_tracker.check_allowed(address, "10.0.0.3")


def test_bundles_need_another_board(farm, tmp_path: Path) -> None:
    from sound_bundles import sound_bundle

    with pytest.raises(InputError, match="runs what tune builds, no other programs"):
        run_bundle(sound_bundle(tmp_path / "b.tar.gz"), board=farm.name)


def module(folder: Path, name: str, body: str) -> Path:
    """What ``build`` makes, of one function that does not end well."""
    source = folder / f"{name}.c"
    source.write_text(f"int __tvm_ffi_k(void* s, void* a, int n, void* y) {{ {body} return 0; }}\n")
    built = link_module(source, HOST, folder / f"{name}.so")
    facts = {"symbol": "k", "arguments": {"y": [[4], "float32"]}}
    built.with_suffix(".json").write_text(json.dumps(facts))
    return built


def test_a_hang_and_a_crash(tmp_path: Path, monkeypatch) -> None:
    """A hang costs its time; a crash ends TVM's server, and whoever waits for it is told."""
    monkeypatch.setattr(rpc, "GRACE", 1.0)
    monkeypatch.setattr(rpc_tracker, "LOOK_EVERY", 0.1)
    with local_farm("frail") as address:
        board = get_board(address.name, HOST)
        result = board.run(module(tmp_path, "hang", "for (;;) {}"), timeout=1)
        assert (result.error, result.board_failed) == ("timed out after 1 s", False)
        good = module(tmp_path, "good", "")
        assert board.run(good, repeat=3).error is None
        crash = module(tmp_path, "crash", "*(volatile int*)8 = 1;")
        assert board.run(crash).error == "crashed: the server's process has ended"
        gone = board.run(good)
        assert gone.board_failed and "the tracker has only these keys: none" in (gone.error or "")
