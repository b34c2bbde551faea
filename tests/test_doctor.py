from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from tvm_ops.doctor import Finding, examine, requirements


def find(name: str) -> Finding:
    return next(f for f in examine() if f.name == name)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_everything_is_there_where_the_tests_run(run_cli, tmp_path):
    done = run_cli("doctor", "--json", "facts.json")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("all there\n")
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["missing"] == []
    assert {"area": "system", "name": "qemu-aarch64"}.items() <= next(
        f for f in facts["findings"] if f["name"] == "qemu-aarch64"
    ).items()


def test_a_missing_program_is_named_with_its_package(run_cli, tmp_path):
    done = run_cli("doctor", env={"PATH": str(tmp_path), "TVM_OPS_CACHE": str(tmp_path / "c")})
    assert done.returncode == 1
    line = next(s for s in done.stdout.splitlines() if "arm-linux-gnueabihf-g++" in s)
    assert "missing" in line
    assert line.endswith("apt-get install g++-arm-linux-gnueabihf")
    assert "qemu-aarch64" in done.stdout.splitlines()[-1]


def test_a_program_that_does_not_run_is_missing(tmp_path, monkeypatch, cache):
    broken = tmp_path / "qemu-arm"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = find("qemu-arm")
    assert finding.state == "missing"
    assert "exit 3" in finding.found


@pytest.mark.parametrize("version", ["0.1.15", "0.1.15.post2", "0.2.0"])
def test_the_crashing_ffi_is_named(version, monkeypatch, cache):
    real = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: version if name == "apache-tvm-ffi" else real(name)
    )
    finding = find("apache-tvm-ffi")
    assert finding.state == "missing"
    assert version in finding.found
    assert "0.1.14.post1" in finding.found
    assert "crashes" in finding.found


def test_another_version_than_the_pinned_one_is_not_ok(monkeypatch, cache):
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.1")
    wanted, command = requirements()
    findings = {f.name: f for f in examine()}
    for requirement in wanted:
        assert findings[requirement.name].state == "missing"
        assert findings[requirement.name].hint == command


def test_every_requirement_is_pinned():
    wanted, _ = requirements()
    assert {"apache-tvm", "apache-tvm-ffi", "numpy", "xgboost", "onnx"} <= {r.name for r in wanted}
    for requirement in wanted:
        assert [s.operator for s in requirement.specifier] == ["=="], requirement


def test_the_cache_is_named_with_its_size(cache):
    name = "ARM libraries and peers"
    assert find(name).state == "later"
    folder = cache / "sysroot-common-0123456789ab"
    folder.mkdir(parents=True)
    (folder / "library").write_bytes(bytes(2_500_000))
    unfinished = cache / "sysroot-rpi4-0123456789ab.part-x"
    unfinished.mkdir()
    assert find(name).state == "ok"
    assert find(name).found == "2.5 MB"
    assert find("board sysroots").state == "later"
    assert find("all of it").found == f"{cache.resolve()} (2.5 MB)"


@pytest.mark.parametrize(("version", "state"), [("6.2.0", "missing"), ("8.2.2", "ok")])
def test_a_qemu_that_cannot_run_the_timing_model_is_missing(
    version, state, tmp_path, monkeypatch, cache
):
    program = tmp_path / "qemu-aarch64"
    program.write_text(f"#!/bin/sh\necho qemu-aarch64 version {version}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find("qemu-aarch64").state == state
