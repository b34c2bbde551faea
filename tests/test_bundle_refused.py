"""Unsound bundles: each is refused with one line, and nothing of it is left behind."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sound_bundles import sound_bundle

from tvm_ops import bundle_reader
from tvm_ops.bundle import open_bundle
from tvm_ops.errors import InputError
from tvm_ops.run import run_bundle

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound_bundle(tmp_path_factory.mktemp("sound") / "demo.tar.gz")


def unpacked(path: Path) -> Files:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def pack(files: Files, path: Path, change: Callable[[tarfile.TarInfo], Any] | None = None) -> Path:
    """``change`` alters a header before it is written."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change:
                change(info)
            tar.addfile(info, io.BytesIO(content))
    return path


def with_manifest(files: Files, change: Callable[[dict[str, Any]], Any]) -> Files:
    manifest = json.loads(files["manifest.json"])
    change(manifest)
    return files | {"manifest.json": json.dumps(manifest).encode()}


def relisted(files: Files, name: str, content: bytes) -> Files:
    """The files with one more or another one, and a manifest that lists it rightly."""
    entry = {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def change(manifest: dict[str, Any]) -> None:
        manifest["files"] = [f for f in manifest["files"] if f["path"] != name] + [entry]

    return with_manifest(files | {name: content}, change)


def without(files: Files, name: str) -> Files:
    return {n: c for n, c in files.items() if n != name}


def elf_of(isa: str) -> bytes:
    machine = bundle_reader._MACHINES[isa]
    return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + bytes(44)


BAD_FILES: dict[str, tuple[Callable[[Files], Files], str]] = {
    "no manifest": (lambda f: without(f, "manifest.json"), "the first file has to be manifest"),
    "manifest not first": (lambda f: dict(reversed(f.items())), "the first file has to be"),
    "empty": (lambda f: {}, "the first file has to be manifest"),
    "no JSON": (lambda f: f | {"manifest.json": b"{"}, "manifest.json is no JSON"),
    "not UTF-8": (lambda f: f | {"manifest.json": b'{"\xff": 1}'}, "manifest.json is no JSON"),
    "nested JSON": (lambda f: f | {"manifest.json": b"[" * 10**6}, "manifest.json is no JSON"),
    "JSON list": (lambda f: f | {"manifest.json": b"[]"}, "has to be a JSON object"),
    "damaged": (lambda f: f | {"include/demo.h": f["include/demo.h"][::-1]}, "wrong checksum"),
    "longer": (lambda f: f | {"include/demo.h": f["include/demo.h"] + b" "}, "another size"),
    "missing file": (lambda f: without(f, "include/demo.h"), "'include/demo.h' of the manifest is"),
    "unlisted": (lambda f: f | {"bin/extra": b"x"}, "'bin/extra' is not in the manifest"),
    "absolute": (lambda f: relisted(f, "/etc/passwd", b"x"), "would lie outside"),
    "dots": (lambda f: relisted(f, "../evil", b"x"), "would lie outside"),
    "inner dots": (lambda f: relisted(f, "lib/../../evil", b"x"), "would lie outside"),
    "top level": (lambda f: relisted(f, "evil", b"x"), "files may be in bin, include, lib"),
    "hidden": (lambda f: relisted(f, "bin/.evil", b"x"), "files may be in bin, include, lib"),
    "backslash": (lambda f: relisted(f, "bin\\..\\evil", b"x"), "files may be in"),
    "long name": (lambda f: relisted(f, "bin/" + "x" * 300, b"x"), "files may be in"),
    "wrong machine": (lambda f: relisted(f, "lib/libdemo.so", elf_of("aarch64")), "is no program"),
    "wrong bench": (lambda f: relisted(f, "bin/bench", elf_of("armv7")), "is no program for x86"),
    "no program": (lambda f: relisted(f, "bin/bench", b"#!/bin/sh\n" * 9), "is no program"),
    "empty library": (lambda f: relisted(f, "lib/libdemo.so", b""), "is no program"),
}  # fmt: skip


def file_of(argument: int, path: object) -> Callable[[dict[str, Any]], Any]:
    return lambda m: m["tasks"][0]["arguments"][argument].update(file=path)


BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format": (lambda m: m.update(format=99), "format 99 is unknown; this version reads format 2"),
    "no format": (lambda m: m.pop("format"), "format None is unknown"),
    "name": (lambda m: m.update(name="../x"), "'name' has to be a C identifier"),
    "no target": (lambda m: m.pop("target"), "'target' has to be an object"),
    "unknown target": (lambda m: m["target"].update(name="rpi9"), "unknown target 'rpi9'; known:"),
    "other isa": (lambda m: m["target"].update(isa="armv7"), "isa 'armv7': host has x86_64"),
    "no tasks": (lambda m: m.update(tasks=[]), "'tasks' has to be a list, not empty"),
    "odd task": (lambda m: m["tasks"].append(3), "each of 'tasks' has to have key"),
    "no knobs": (lambda m: m["tasks"][0].pop("knobs"), "each of 'tasks' has to have key"),
    "odd macs": (lambda m: m["tasks"][0].update(macs="many"), "each of 'tasks' has to have key"),
    "odd shape": (lambda m: m["tasks"][0]["arguments"][0].update(shape=[-1]), "each of 'tasks'"),
    "far weights": (file_of(1, "../../x"), "the file of 'weights' has to be one"),
    "odd weights": (file_of(1, [1]), "the file of 'weights' has to be one"),
    "far x": (file_of(0, "lib/x"), "the file of 'x' has to be one of 'files'"),
    "no files": (lambda m: m.pop("files"), "'files' has to be a list"),
    "odd file": (lambda m: m["files"].append({"path": "bin/x"}), "each of 'files' has to have"),
    "odd checksum": (lambda m: m["files"][0].update(sha256="0"), "each of 'files' has to have"),
    "huge": (lambda m: m["files"][0].update(size=1 << 40), "bytes in all are more than"),
    "negative": (lambda m: m["files"][0].update(size=-1), "each of 'files' has to have"),
    "twice": (lambda m: m["files"].append(m["files"][0]), "a path is there twice"),
    "size": (lambda m: m["files"][0].update(size=True), "each of 'files' has to have"),
    "infinite": (lambda m: m["tasks"][0].update(macs=1e999), "each of 'tasks' has to have"),
    "no arguments": (lambda m: m["tasks"][0].update(arguments=[]), "each of 'tasks' has to have"),
}  # fmt: skip
BAD_HEADERS: dict[str, tuple[Callable[[tarfile.TarInfo], Any], str]] = {
    "symbolic link": (lambda i: setattr(i, "type", tarfile.SYMTYPE), "is no plain file"),
    "hard link": (lambda i: setattr(i, "type", tarfile.LNKTYPE), "is no plain file"),
    "device": (lambda i: setattr(i, "type", tarfile.CHRTYPE), "is no plain file"),
    "pipe": (lambda i: setattr(i, "type", tarfile.FIFOTYPE), "is no plain file"),
    "folder": (lambda i: setattr(i, "type", tarfile.DIRTYPE), "is no plain file"),
    "giant": (lambda i: setattr(i, "size", 1 << 40), "are allowed|more than"),
    "giant name": (
        lambda i: setattr(i, "type", tarfile.GNUTYPE_LONGNAME),
        "readable|first file|outside|files may be in",
    ),
}


def refuse(path: Path, message: str) -> None:
    """Opening raises one line with that message, and leaves nothing behind."""
    folder = path.parent / "into" / "bundle"
    with pytest.raises(InputError) as caught:
        open_bundle(path, folder)
    text = str(caught.value)
    assert text.startswith(f"bundle {path}: ")
    assert re.search(message, text), text
    assert "\n" not in text
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(sound: Path, tmp_path: Path, case: str) -> None:
    change, message = BAD_FILES[case]
    refuse(pack(change(unpacked(sound)), tmp_path / "bad.tar.gz"), re.escape(message))


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_bad_manifests(sound: Path, tmp_path: Path, case: str) -> None:
    change, message = BAD_MANIFESTS[case]
    files = with_manifest(unpacked(sound), change)
    refuse(pack(files, tmp_path / "bad.tar.gz"), re.escape(message))


@pytest.mark.parametrize("which", ["include/demo.h", "manifest.json"])
@pytest.mark.parametrize("case", BAD_HEADERS)
def test_bad_headers(sound: Path, tmp_path: Path, case: str, which: str) -> None:
    change, message = BAD_HEADERS[case]

    def one(info: tarfile.TarInfo) -> None:
        if info.name == which:
            info.linkname = "/etc/passwd"
            change(info)

    files = unpacked(sound)
    path = tmp_path / "bad.tar.gz"
    with gzip.open(path, "wb") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            one(info)
            file.write(info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512))
        file.write(bytes(1024))
    refuse(path, message)


def test_a_giant_header_is_not_read(tmp_path: Path) -> None:
    """A gigabyte of zeros packs to a megabyte: it must not be expanded into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))
    refuse(path, "a header of the archive is too large")


def test_a_file_twice(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in [*unpacked(sound).items(), ("include/demo.h", b"other")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    refuse(path, "'include/demo.h' is not in the manifest, or is there twice")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no readable .tar.gz"),
        (b"not a tar at all", "no readable .tar.gz"),
        (gzip.compress(b"not a tar at all" * 100, mtime=0), "no readable .tar.gz"),
        (gzip.compress(b"", mtime=0), "no readable .tar.gz|first file"),
    ],
    ids=["empty", "text", "zipped text", "zipped nothing"],
)
def test_no_archive(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(content)
    refuse(path, message)


def test_cut_short(sound: Path, tmp_path: Path) -> None:
    whole = sound.read_bytes()
    path = tmp_path / "bad.tar.gz"
    for length in [5, 12, 200, len(whole) // 2, len(whole) - 20]:
        path.write_bytes(whole[:length])
        refuse(path, "no readable .tar.gz|is missing")


def test_flipped_bits(sound: Path, tmp_path: Path) -> None:
    """Whatever byte is damaged: refused, or (in a padding or a header's spare part) the same."""
    whole = sound.read_bytes()
    good = open_bundle(sound, tmp_path / "good").manifest
    path = tmp_path / "bad.tar.gz"
    for at in range(20, len(whole), len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            assert open_bundle(path, tmp_path / f"at{at}").manifest == good
        except InputError:
            assert not (tmp_path / f"at{at}").exists()


def test_no_file_and_no_room(sound: Path, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    refuse(tmp_path / "none.tar.gz", "no such file")
    refuse(tmp_path / "into", "is a folder")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="a bundle is unpacked into a new or empty folder"):
        open_bundle(sound, tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["file"]
    (tmp_path / "empty").mkdir()
    assert open_bundle(sound, tmp_path / "empty").bench.is_file()


def test_knobs_that_do_not_fit(sound: Path, tmp_path: Path) -> None:
    files = with_manifest(unpacked(sound), lambda m: m["tasks"][0].update(knobs={"sketch": "x"}))
    with pytest.raises(InputError, match="the manifest's knobs do not fit"):
        run_bundle(pack(files, tmp_path / "bad.tar.gz"), check=True)
    files = with_manifest(
        unpacked(sound), lambda m: m["tasks"][0]["arguments"][1].update(shape=[1, 2])
    )
    with pytest.raises(InputError, match=re.escape("'weights' (1, 2) does not fit its knobs")):
        run_bundle(pack(files, tmp_path / "bad.tar.gz"), check=True)
    for odd in ({"shape": [1, 6, 6, 8]}, {"shape": [1 << 60]}, {"dtype": "float"}, {"dtype": "?x"}):
        files = with_manifest(
            unpacked(sound), lambda m, odd=odd: m["tasks"][0]["arguments"][-1].update(odd)
        )
        with pytest.raises(InputError, match=r"the manifest's 'y' .* does not fit its knobs"):
            run_bundle(pack(files, tmp_path / "bad.tar.gz"), check=True)


def test_more_after_the_end(sound: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar.gz"
    for extra in (b"more", bytes(10**6)):
        path.write_bytes(sound.read_bytes() + gzip.compress(extra))
        refuse(path, "there is more in the archive after its end")
