"""Bundles: the same bytes for the same input, and nothing unsound is ever unpacked."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from sound_bundles import KEYS, entries, sound_bundle, weights_of

from tvm_ops.bundle import library_name, load_weights, open_bundle, write_bundle
from tvm_ops.errors import InputError
from tvm_ops.operators import get_operator
from tvm_ops.run import run_bundle
from tvm_ops.targets import get_target


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound_bundle(tmp_path_factory.mktemp("sound") / "demo.tar.gz")


def test_the_same_input_gives_the_same_bytes(sound: Path, tmp_path: Path) -> None:
    again = tmp_path / "another name.tgz"
    write_bundle(entries("host"), get_target("host"), again, weights_of("host"), name="demo")
    assert again.read_bytes() == sound.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == [again.name]


def test_what_is_in_it(sound: Path, tmp_path: Path) -> None:
    bundle = open_bundle(sound, tmp_path / "b")
    found = sorted(p.relative_to(bundle.folder).as_posix() for p in bundle.folder.rglob("*.*"))
    weights = [f"weights/{key}.{part}.bin" for key in sorted(KEYS) for part in ("bias", "weights")]
    headers = ["include/demo.h", "include/tvm_ops.h"]
    assert found == [*headers, "lib/libdemo.so", "manifest.json", *weights]
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    assert manifest == bundle.manifest
    assert [task["key"] for task in manifest["tasks"]] == KEYS
    assert manifest["target"]["name"] == bundle.target.name == "host"
    assert manifest["tools"]["tvm"].startswith("0.27")
    assert re.fullmatch(r"2\.\d+", manifest["glibc"])
    [(task, knobs), _] = entries("host")
    first = manifest["tasks"][0]
    assert first["knobs"] == knobs
    assert first["arguments"][0]["shape"] == list(task.workload.input_shape)
    parts = get_operator(task.operator).pack(task.workload, knobs, weights_of("host")[task.key])
    assert parts.keys() == {"weights", "bias"}
    packed = parts["weights"]
    assert (bundle.folder / first["arguments"][1]["file"]).read_bytes() == packed.tobytes()
    assert first["arguments"][1]["shape"] == list(packed.shape)
    for entry in manifest["files"]:
        content = (bundle.folder / entry["path"]).read_bytes()
        assert len(content) == entry["size"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_archive_has_no_times_and_no_owners(sound: Path) -> None:
    with tarfile.open(sound) as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
            assert member.mode == (0o755 if member.name == "bin/bench" else 0o644)


def test_packed_weights_are_used_when_it_runs(sound: Path, tmp_path: Path, monkeypatch) -> None:
    from tvm_ops.boards.host import HostBoard

    seen = []
    run = HostBoard.run

    def spy(self, program, **options):
        seen.append(options["inputs"])
        return run(self, program, **options)

    monkeypatch.setattr(HostBoard, "run", spy)
    rows = run_bundle(sound, repeat=1)
    assert [row.error for row in rows] == [None, None]
    assert all(set(inputs) == {"weights", "bias"} for inputs in seen)


def test_weights_of_a_file(tmp_path: Path) -> None:
    given = weights_of("host")
    arrays = {f"{key}.{name}": a for key, of in given.items() for name, a in of.items()}
    np.savez(tmp_path / "w.npz", **arrays)
    loaded = load_weights(tmp_path / "w.npz")
    assert loaded.keys() == given.keys()
    for key, of in given.items():
        assert loaded[key].keys() == of.keys()
        assert all((loaded[key][name] == of[name]).all() for name in of)
    for odd in (f"{KEYS[0]}.", "weights", ".weights"):
        np.savez(tmp_path / "w.npz", **arrays, **{odd: np.zeros(1)})
        with pytest.raises(InputError, match=f"'{odd}' is not of the form KEY.weights"):
            load_weights(tmp_path / "w.npz")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 no zip"])
def test_unreadable_weights(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"no readable \.npz file"):
        load_weights(tmp_path / "w.npz")


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    good, path = weights_of("host"), tmp_path / "b.tar.gz"
    kernel, bias = good[KEYS[0]]["weights"], good[KEYS[0]]["bias"]
    both = {"weights": kernel, "bias": bias}
    cases = [
        ({"conv-9": both}, "weights of 'conv-9': no such task; the tasks are winograd"),
        ({KEYS[0]: both | {"weights": kernel[:, :-1]}}, "'weights' has shape (6, 4, 3, 3)"),
        ({KEYS[0]: both | {"bias": bias[:-1]}}, "'bias' has shape (5,)"),
        ({KEYS[0]: {"weights": kernel}}, "weights, bias needed; 'bias' is missing"),
        ({KEYS[0]: both | {"slope": bias}}, "weights, bias needed; 'slope' is not one of them"),
    ]
    for weights, message in cases:
        with pytest.raises(InputError, match=re.escape(message)):
            write_bundle(entries("host"), get_target("host"), path, weights)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [("rpi4.tar.gz", "rpi4"), ("my-ops v2.tgz", "my_ops_v2_tgz"), ("4.tar.gz", "ops_4")],
)
def test_library_names(file: str, name: str) -> None:
    assert library_name(Path("some.folder") / file) == name
