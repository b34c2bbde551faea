"""The boards' sysroots: their Python runs, and sees the board instead of this machine."""

import json
import subprocess
import threading
from pathlib import Path

import pytest

from tvm_ops.board_model import sysroot as module
from tvm_ops.board_model.board_files import board_files
from tvm_ops.board_model.sysroot import python_argv, sysroot
from tvm_ops.cache import cached_folder
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target

CODE = """
import json, os, platform, sys
from importlib.metadata import version
read = lambda path: open(path).read()
cache = "/sys/devices/system/cpu/cpu0/cache/index%d/%s"
print(json.dumps({
    "machine": platform.machine(),
    "prefix": sys.prefix,
    "cpuinfo": read("/proc/cpuinfo"),
    "l2": read(cache % (2, "size")).strip(),
    "l3": read(cache % (3, "size")).strip(),
    "versions": {name: version(name) for name in ("ncnn", "mnn", "ai-edge-litert", "onnxruntime")},
}))
"""


@pytest.mark.parametrize(
    ("name", "part", "l2", "l3"),
    [
        ("rpi3", "0xd03", "512K", ""),
        ("rpi4", "0xd08", "1024K", ""),
        ("rpi5", "0xd0b", "512K", "2048K"),
    ],
)
def test_python_in_the_sysroot_sees_the_board(name, part, l2, l3):
    target = get_target(name)
    root = sysroot(target)
    command = ["qemu-aarch64", "-cpu", target.core, "-L", str(root), *python_argv(target)]
    done = subprocess.run([*command, "-c", CODE], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["machine"] == "aarch64"
    assert seen["prefix"] == str(root / "usr")
    assert seen["cpuinfo"].count("processor\t") == 4
    assert seen["cpuinfo"].count(f"CPU part\t: {part}") == 4
    assert (seen["l2"], seen["l3"]) == (l2, l3)
    assert all(seen["versions"].values())


def test_the_second_call_finds_it_made():
    lines: list[str] = []
    target = get_target("rpi4")
    first = sysroot(target)
    assert sysroot(target, lines.append) == first
    assert lines == []


def test_boards_share_the_large_part():
    usr = {(sysroot(get_target(name)) / "usr").resolve() for name in ("rpi3", "rpi4", "rpi5")}
    assert len(usr) == 1


def test_board_files_name_core_clock_and_caches():
    files = board_files(get_target("rpi5"))
    cpu = "sys/devices/system/cpu/cpu3/"
    assert files[cpu + "regs/identification/midr_el1"] == "0x00000000414fd0b1"
    assert files[cpu + "cpufreq/cpuinfo_max_freq"] == "2400000"
    assert files[cpu + "cache/index2/shared_cpu_list"] == "3"
    assert files[cpu + "cache/index3/shared_cpu_map"] == "f"
    sizes = {files[f"{cpu}cache/index{i}/size"] for i in (0, 1)}
    assert sizes == {"64K"}
    ways = int(files[cpu + "cache/index3/ways_of_associativity"])
    assert int(files[cpu + "cache/index3/number_of_sets"]) * ways * 64 == 2048 * 1024


@pytest.mark.parametrize("name", ["rpi3-armv7", "host"])
def test_other_targets_have_no_sysroot(name):
    with pytest.raises(InputError, match="only AArch64"):
        sysroot(get_target(name))


def test_sources_without_arm64_say_what_to_add(tmp_path, monkeypatch):
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path / "cache"))
    sources = tmp_path / "empty.list"
    sources.write_text("")
    monkeypatch.setenv(module.SOURCES_VARIABLE, str(sources))
    with pytest.raises(InputError, match=r"arm64 .*TVM_OPS_APT_SOURCES") as caught:
        sysroot(get_target("rpi4"))
    assert "\n" not in str(caught.value)
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_missing_sources_file_is_an_input_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path))
    monkeypatch.setenv(module.SOURCES_VARIABLE, str(tmp_path / "nowhere.list"))
    with pytest.raises(InputError, match="no such file"):
        sysroot(get_target("rpi4"))


def test_cached_folder_is_made_once_by_several_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("complete")

    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(cached_folder("x", {"a": 1}, make)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(found)) == 1
    assert (found[0] / "file").read_text() == "complete"
    assert cached_folder("x", {"a": 2}, make) != found[0]


def test_cached_folder_leaves_nothing_of_a_failure(tmp_path, monkeypatch):
    monkeypatch.setenv("TVM_OPS_CACHE", str(tmp_path))
    (tmp_path / "other").mkdir()

    def make(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise InputError("no network")

    with pytest.raises(InputError, match="no network"):
        cached_folder("x", {}, make)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["other"]
