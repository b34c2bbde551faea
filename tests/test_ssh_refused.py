"""Boards over ssh that cannot be used: the cause and the cure in one line, before any tuning."""

from __future__ import annotations

import getpass

import pytest
from ssh_server import (
    Server,
    make_key,
    running_server,  # noqa: F401 - fixtures
    ssh_client,  # noqa: F401
)

from tvm_ops.boards import get_board
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target


@pytest.fixture
def server(running_server: Server) -> Server:  # noqa: F811
    return running_server


def refusal(address: str, target: str = "host") -> str:
    with pytest.raises(InputError) as caught:
        get_board(address, get_target(target)).prepare()
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"board {address}: ")
    return message.removeprefix(f"board {address}: ")


def test_another_architecture_is_refused(server) -> None:
    assert refusal(server.address, "rpi4").startswith(
        "its programs are 64-bit x86_64, its kernel x86_64; target rpi4 needs aarch64: "
    )
    missing = f"{server.address}?exec_prefix=qemu-none"
    with pytest.raises(InputError, match="it has no qemu-none; install that on the board"):
        get_board(missing, get_target("rpi4")).prepare()


def test_boards_that_cannot_be_reached(server, tmp_path, monkeypatch) -> None:
    user = getpass.getuser()
    assert refusal("ssh:127.0.0.1:9").startswith("nothing listens there")
    assert refusal("ssh:no-such-host.invalid").startswith("no such host")
    # Another server's keys, in turn: the client's, then the host's.
    config = (server.folder / "config").read_text()
    strange = make_key(tmp_path / "strange")

    def connect_with(text: str) -> str:
        (tmp_path / "config").write_text(text + " ControlPath none\n")
        monkeypatch.setenv("TVM_OPS_SSH", f"ssh -F {tmp_path / 'config'} -S none")
        return refusal(server.address)

    assert connect_with(config.replace(str(server.folder / "key"), str(strange))).startswith(
        "it accepts none of your keys"
    )
    hosts = tmp_path / "known_hosts"
    hosts.write_text("")
    text = config.replace(str(server.folder / "known_hosts"), str(hosts))
    assert connect_with(text) == (
        "its host key is not known yet; look at it and accept it once, by hand: "
        f"ssh -p {server.port} {user}@127.0.0.1"
    )
    kind, value, *_ = strange.with_suffix(".pub").read_text().split()
    hosts.write_text(f"[127.0.0.1]:{server.port} {kind} {value}\n")
    changed = connect_with(text)
    assert changed.startswith("its host key has changed")
    assert changed.endswith(f"ssh-keygen -R '[127.0.0.1]:{server.port}'")
