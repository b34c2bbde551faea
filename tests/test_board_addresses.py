"""Addresses of boards, the file of boards, and what a condition means."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_ops.boards import get_board, resolve
from tvm_ops.boards.address import Address, is_loopback, parse_address
from tvm_ops.boards.condition import Condition, Probe, disturbance, read_facts
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh:pi4", Address("ssh", "pi4")),
        ("ssh:pi@pi4.lan", Address("ssh", "pi4.lan", "pi")),
        ("ssh:pi@10.0.0.7:2222", Address("ssh", "10.0.0.7", "pi", 2222)),
        ("ssh:pi@[fe80::1]:22", Address("ssh", "fe80::1", "pi", 22)),
        ("rpc:rpi4@127.0.0.1:9190", Address("rpc", "127.0.0.1", "rpi4", 9190)),
        ("ssh:a?exec_prefix=qemu-arm%20-L%20%2Fx%2Cy",
         Address("ssh", "a", exec_prefix=("qemu-arm", "-L", "/x,y"))),
        ("rpc:k@farm:9190?insecure=yes", Address("rpc", "farm", "k", 9190, insecure=True)),
    ],
)  # fmt: skip
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(address.spec) == address
    assert address.spec == text and address.name == text.partition("?")[0]


@pytest.mark.parametrize(
    "text",
    ["ssh:", "ssh:-oProxyCommand=x", "ssh:a@-b", "ssh:a b", "ssh:a:0", "ssh:a:65536", "ssh:a:b",
     "rpc:host:9190", "rpc:k@host", "rpc:@host:1"],
)  # fmt: skip
def test_bad_addresses(text: str) -> None:
    with pytest.raises(InputError, match=r"has to be (ssh:\[USER@\]HOST|rpc:KEY@HOST:PORT)"):
        parse_address(text)


def test_bad_options() -> None:
    with pytest.raises(InputError, match="options of ssh are exec_prefix"):
        parse_address("ssh:a?insecure=yes")
    with pytest.raises(InputError, match="no closing quotation"):
        parse_address("ssh:a?exec_prefix=%27")


def test_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("10.0.0.1", "localhost.example.org", "0.0.0.0", "farm")))


@pytest.fixture
def boards_file(tmp_path: Path, monkeypatch) -> Path:
    path = tmp_path / "boards.yaml"
    monkeypatch.setenv("TVM_OPS_BOARDS", str(path))
    return path


def test_the_file_of_boards(boards_file: Path) -> None:
    boards_file.write_text(
        "boards:\n"
        "  pi4-a: {address: 'ssh:pi@pi4-a', target: rpi4}\n"
        "  slow: {address: 'ssh:x', exec_prefix: nice -n 19}\n"
    )
    board = get_board("pi4-a", get_target("rpi4"))
    assert (board.name, board.label) == ("ssh:pi@pi4-a", "ssh:pi@pi4-a, wall clock")
    assert resolve("slow").exec_prefix == ("nice", "-n", "19")
    assert get_board("pi4-a,slow", get_target("rpi4")).names == ["ssh:pi@pi4-a", "ssh:x"]
    with pytest.raises(InputError, match="board 'pi4-a' is a rpi4, not a rpi3"):
        get_board("pi4-a", get_target("rpi3"))
    with pytest.raises(
        InputError,
        match=r"unknown board 'pi5', did you mean 'pi4-a'\? known: modelled, host, .*slow",
    ):
        resolve("pi5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("boards: [", "no YAML"),
        ("board: {}", "one mapping, 'boards'"),
        ("boards: [a]", "map names to boards"),
        ("boards: {a b: {address: 'ssh:a'}}", "board 'a b': letters"),
        ("boards: {a: {address: 7}}", "board 'a' has to be a mapping of texts"),
        ("boards: {a: {adress: 'ssh:a'}}", "unknown key 'adress'; known: address, target"),
        ("boards: {a: {address: host}}", "address has to be ssh:"),
        ("boards: {a: {address: 'ssh:a', target: rpi9}}", "unknown target 'rpi9'"),
        ("boards: {a: {address: 'rpc:k@h:1', exec_prefix: x}}", "exec_prefix is for ssh boards"),
    ],
)
def test_bad_files_of_boards(boards_file: Path, text: str, message: str) -> None:
    boards_file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        resolve("a")
    assert str(caught.value).startswith(f"boards file {boards_file}: ")
    assert "\n" not in str(caught.value)


def test_groups_are_of_boards_with_a_clock() -> None:
    with pytest.raises(InputError, match="board modelled cannot share work"):
        get_board("ssh:a,modelled", get_target("rpi4"))
    with pytest.raises(InputError, match="one is there twice"):
        get_board("ssh:a,ssh:a", get_target("rpi4"))


COOL = Condition(50.0, 0, 1_800_000)


@pytest.mark.parametrize(
    ("before", "after", "pinned", "reason"),
    [
        (COOL, COOL, True, None),
        (COOL, Condition(None, None, None), True, None),
        (COOL, Condition(80.0, 0, None), False, "80 degrees"),
        (COOL, Condition(50.0, 0x4, None), False, "it was throttled"),
        # Was throttled since the start, but before; and has been in between.
        (Condition(50.0, 0x40000, None), Condition(50.0, 0x40000, None), False, None),
        (COOL, Condition(50.0, 0x40000, None), False, "it was throttled"),
        (COOL, Condition(50.0, 0, 600_000), True, "its clock fell from 1800 to 600 MHz"),
        (COOL, Condition(50.0, 0, 600_000), False, None),
    ],
)
def test_disturbances(before, after, pinned: bool, reason: str | None) -> None:
    assert disturbance(before, after, pinned) == reason


def elf(bits: int, machine: int) -> str:
    return bytes([0x7F, *b"ELF", bits, *[0] * 13, machine, 0]).hex()


@pytest.mark.parametrize(
    ("machine", "header", "target", "fits"),
    [
        ("aarch64", elf(2, 183), "rpi4", True),
        ("aarch64", elf(1, 40), "rpi4", False),  # Raspberry Pi OS of 32 bits on its 64-bit kernel
        ("aarch64", elf(1, 40), "rpi4-armv7", True),
        ("armv7l", elf(1, 40), "rpi3-armv7", True),
        ("armv6l", elf(1, 40), "rpi3-armv7", False),
        ("aarch64", elf(2, 183), "rpi4-armv7", False),
        ("x86_64", elf(2, 62), "host", True),
    ],
)
def test_architectures(machine: str, header: str, target: str, fits: bool) -> None:
    text = f"machine={machine}\nelf={header}\nglibc=glibc 2.36\ngovernor=\npin=absent\n"
    probe = Probe.of(read_facts(text + "holders=0\nwaiting=0\n"))
    if fits:
        probe.check(get_target(target), emulated=False)
        return
    with pytest.raises(InputError, match=f"its programs are .*, its kernel {machine}; target"):
        probe.check(get_target(target), emulated=False)
    probe.check(get_target(target), emulated=True)


def test_no_sound_answer() -> None:
    with pytest.raises(InputError, match="no sound answer"):
        Probe.of(read_facts("Welcome to the router\n"))
