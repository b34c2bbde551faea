"""Signed bundles, and bundles installed on a board over ssh."""

from __future__ import annotations

import shutil
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace

import pytest
from sound_bundles import entries, sound_bundle, weights_of
from ssh_server import (
    Server,
    make_key,
    running_server,  # noqa: F401 - fixtures
    ssh_client,  # noqa: F401
)

from tvm_ops import deploy as deploying
from tvm_ops.boards.address import parse_address
from tvm_ops.bundle import write_bundle
from tvm_ops.bundle_reader import open_bundle
from tvm_ops.deploy import deploy, rollback
from tvm_ops.errors import CheckFailed, InputError
from tvm_ops.run import run_bundle
from tvm_ops.signature import sign, signature_path, trusted, verify
from tvm_ops.targets import get_target


@pytest.fixture
def server(running_server: Server) -> Server:  # noqa: F811
    return running_server


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three that differ, for the host; one for a board."""
    folder = tmp_path_factory.mktemp("bundles")
    target = get_target("host")
    weights = weights_of("host")
    return {
        "one": sound_bundle(folder / "one.tar.gz"),
        "two": write_bundle(entries("host")[:1], target, folder / "two.tar.gz", name="one"),
        "three": write_bundle(
            entries("host")[1:], target, folder / "three.tar.gz", name="one",
            weights={key: weights[key] for key in list(weights)[1:]},
        ),
        "rpi4": write_bundle(entries("rpi4")[:1], get_target("rpi4"), folder / "rpi4.tar.gz"),
    }  # fmt: skip


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return str(tmp_path / "opt")


def versions(prefix: str) -> set[str]:
    return {path.name for path in Path(prefix, "versions").iterdir()}


def test_versions(server, bundles, prefix: str) -> None:
    """Installed, replaced, kept, pruned, rolled back; the links are right after each step."""
    one = deploy(bundles["one"], server.address, prefix)
    assert (one.previous, one.changed, len(one.rows)) == (None, True, 2)
    assert all(row.error is None and row.max_abs_error is not None for row in one.rows)
    current = Path(prefix, "current")
    assert current.readlink() == Path("versions", one.current)
    assert (current / "bin/bench").is_file() and (current / "manifest.json").is_file()
    again = deploy(bundles["one"], server.address, prefix)
    assert (again.current, again.changed, versions(prefix)) == (one.current, False, {one.current})
    two = deploy(bundles["two"], server.address, prefix)
    assert two.previous == one.current and versions(prefix) == {one.current, two.current}
    three = deploy(bundles["three"], server.address, prefix)
    assert three.previous == two.current and versions(prefix) == {two.current, three.current}
    address = parse_address(server.address)
    back = rollback(address, prefix)
    assert (back.current, back.previous) == (two.current, three.current)
    assert current.readlink() == Path("versions", two.current)
    assert rollback(address, prefix).current == three.current
    assert list(server.temporary.iterdir()) == []


def test_a_version_that_is_damaged_is_made_anew(
    server, bundles, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the same second."""
    times = (datetime(2026, 1, 1, microsecond=n, tzinfo=timezone.utc) for n in (0, 1))

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return next(times)

    monkeypatch.setattr(deploying, "datetime", Clock)
    one = deploy(bundles["one"], server.address, prefix)
    (Path(prefix, "current/include/tvm_ops.h")).write_text("")
    again = deploy(bundles["one"], server.address, prefix)
    assert again.changed and Path(prefix, "current/include/tvm_ops.h").stat().st_size > 0
    assert again.previous == one.current
    with pytest.raises(InputError, match=r"the previous version .* has wrong checksums"):
        rollback(parse_address(server.address), prefix)


def test_a_failed_check_leaves_all_as_it_was(server, bundles, prefix: str, monkeypatch) -> None:
    one = deploy(bundles["one"], server.address, prefix)
    rows = deploying.run_tasks

    def wrong(*arguments, **options):
        first, *others = rows(*arguments, **options)
        return [type(first)(**{**vars(first), "error": "wrong result: 7"}), *others]

    monkeypatch.setattr(deploying, "run_tasks", wrong)
    with pytest.raises(CheckFailed, match=r"not installed on ssh:.*: wrong result: 7"):
        deploy(bundles["two"], server.address, prefix)
    assert versions(prefix) == {one.current}
    assert Path(prefix, "current").readlink() == Path("versions", one.current)


def test_damage_on_the_way_is_found_there(server, bundles, prefix: str, monkeypatch) -> None:
    packed = deploying.packed

    def damaged(files):
        data = bytearray(packed(files))
        at = data.find(b"tvm_ops_call(")
        data[at : at + 3] = b"TVM"
        return bytes(data)

    monkeypatch.setattr(deploying, "packed", damaged)
    with pytest.raises(InputError, match="what arrived has wrong checksums"):
        deploy(bundles["one"], server.address, prefix)
    assert versions(prefix) == set()


def test_what_cannot_be_deployed(server, bundles, prefix: str) -> None:
    address = parse_address(server.address)
    with pytest.raises(InputError, match="nothing was deployed to"):
        rollback(address, prefix)
    with pytest.raises(InputError, match="target rpi4 needs aarch64"):
        deploy(bundles["rpi4"], server.address, prefix)
    with pytest.raises(InputError, match="deploy needs one ssh board"):
        deploy(bundles["one"], "host", prefix)
    deploy(bundles["one"], server.address, prefix)
    with pytest.raises(InputError, match="there is no previous version"):
        rollback(address, prefix)


def test_under_an_emulator(server, bundles, prefix: str, run_cli) -> None:
    """As on a board of another kind, from the command line."""
    options = ["--exec-prefix", "qemu-aarch64 -L /usr/aarch64-linux-gnu", "--prefix", prefix]
    done = run_cli("deploy", bundles["rpi4"], "--board", server.address, *options)
    assert done.returncode == 0, done.stderr
    assert f"current: {prefix}/current, version " in done.stdout
    assert "previous: none" in done.stdout
    row = run_cli("run", bundles["rpi4"], "--check", "--board", server.address, *options[:2])
    assert row.returncode == 0 and "under qemu-aarch64" in row.stdout, row.stderr
    done = run_cli("deploy", "--rollback", "--board", server.address, "--prefix", prefix)
    assert done.returncode == 2 and "there is no previous version" in done.stderr


@pytest.fixture(scope="module")
def signed(bundles, tmp_path_factory) -> tuple[Path, Path]:
    """A signed bundle, and the file of who may sign."""
    folder = tmp_path_factory.mktemp("signed")
    key = make_key(folder / "releases")
    bundle = Path(shutil.copy(bundles["one"], folder / "one.tar.gz"))
    assert sign(bundle, key) == signature_path(bundle)
    signers = folder / "allowed_signers"
    signers.write_text(f"releases@example.org {key.with_suffix('.pub').read_text()}")
    return bundle, signers


def test_signatures(signed, tmp_path: Path) -> None:
    bundle, signers = signed
    assert verify(bundle, signers) == "releases@example.org"
    with trusted(bundle, signers) as copy:
        assert copy != bundle and copy.read_bytes() == bundle.read_bytes()
    [row, *_] = run_bundle(bundle, check=True, signers=signers)
    assert row.error is None


def refused_bundle(bundle: Path, signers: Path, monkeypatch) -> str:
    """Run and deploy refuse it; neither opens it."""

    def opened(*_):
        raise AssertionError("it was opened")

    monkeypatch.setattr("tvm_ops.run.open_bundle", opened)
    monkeypatch.setattr("tvm_ops.deploy.open_bundle", opened)
    messages = []
    for use in (
        lambda: run_bundle(bundle, signers=signers),
        lambda: deploy(bundle, "ssh:127.0.0.1:9", signers=signers),
    ):
        with pytest.raises(InputError) as caught:
            use()
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and "\n" not in messages[0]
    assert messages[0].startswith(f"bundle {bundle}: ")
    return messages[0]


def test_unsigned_altered_and_strange_bundles(signed, bundles, tmp_path: Path, monkeypatch) -> None:
    bundle, signers = signed
    copy = Path(shutil.copy(bundle, tmp_path / "one.tar.gz"))
    assert "it is not signed" in refused_bundle(copy, signers, monkeypatch)
    shutil.copy(signature_path(bundle), signature_path(copy))
    data = bytearray(bundle.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert "the signature does not fit" in refused_bundle(copy, signers, monkeypatch)
    shutil.copy(bundles["two"], copy)
    assert "the signature does not fit" in refused_bundle(copy, signers, monkeypatch)
    sign(copy, make_key(tmp_path / "somebody"))
    assert "its signer is not in" in refused_bundle(copy, signers, monkeypatch)
    signature_path(copy).write_text("no signature\n")
    assert "its signer is not in" in refused_bundle(copy, signers, monkeypatch)


def test_another_kind_of_signature_does_not_count(signed, tmp_path: Path, monkeypatch) -> None:
    bundle, signers = signed
    copy = Path(shutil.copy(bundle, tmp_path / "one.tar.gz"))
    with monkeypatch.context() as other:
        other.setattr("tvm_ops.signature.NAMESPACE", "git")
        sign(copy, signers.parent / "releases")
    with pytest.raises(InputError, match=r"not in|does not fit"):
        verify(copy, signers)


def test_signing_from_the_command_line(signed, run_cli, refused, tmp_path: Path) -> None:
    _, signers = signed
    key = signers.parent / "releases"
    make = ["bundle", "conv2d", "--target", "host", "--workload",
            "conv2d-n1_ci4_h6_w6_co8_k1_s1_p0-f32", "-o", "b.tar.gz"]  # fmt: skip
    assert "no such file; ssh-keygen" in refused(*make, "--sign", "no-key")
    done = run_cli(*make, "--sign", key)
    assert done.returncode == 0 and done.stdout.endswith("b.tar.gz.sig\n"), done.stderr
    required = ["--require-signature", "--allowed-signers", signers]
    assert run_cli("run", "b.tar.gz", "--check", *required).returncode == 0
    (tmp_path / "b.tar.gz.sig").unlink()
    assert "it is not signed" in refused("run", "b.tar.gz", "--check", *required)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    line = refused("run", "b.tar.gz", "--require-signature", env=env)
    assert f"allowed signers {tmp_path}/tvm_ops/allowed_signers: no such file" in line
    assert "goes with --require-signature" in refused("run", "b.tar.gz", *required[1:])


def test_an_old_board_is_refused(bundles, tmp_path: Path, monkeypatch) -> None:
    """An old glibc on the board is found before anything is copied."""
    from tvm_ops.boards.ssh import SshBoard

    bundle = open_bundle(bundles["one"], tmp_path / "bundle")
    board = SshBoard(bundle.target, parse_address("ssh:old"))
    monkeypatch.setattr(board, "_probe", SimpleNamespace(glibc="2.28"))
    with pytest.raises(InputError, match=r"its glibc is 2\.28, the bundle needs 2\.34"):
        board.check_glibc("2.34")
    board.check_glibc("2.17")
