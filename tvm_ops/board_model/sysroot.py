"""A board's root folder for ``qemu-aarch64 -L``: ARM libraries, Python, peers, board files.

The libraries and Python are this machine's distribution's own arm64 packages, the other libraries
(peers) are their makers' wheels. All of it, 295 MB, is shared by the targets; a target's own folder
links to it and adds what Linux says about that board's processor (``board_files``).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from tvm_ops.board_model.board_files import board_files, write_board_files
from tvm_ops.cache import cached_folder
from tvm_ops.errors import InputError
from tvm_ops.targets import Target

Progress = Callable[[str], None]

PACKAGES = (
    "libc6",
    "libstdc++6",
    "libgcc-s1",
    "libgomp1",
    "zlib1g",
    "python3-minimal",
    "libpython3-stdlib",
)
# "<=": where a library has no wheel of that version for the distribution's Python, an older one
# is better than none; versions are read from what was installed, never from here.
WHEELS = (
    "numpy<=2.4.6",
    "ncnn<=1.0.20261020",
    "MNN<=3.6.1",
    "ai-edge-litert<=2.3.0",
    "onnxruntime<=1.31.1",
)
IMPORTS = ("numpy", "ncnn", "MNN", "ai_edge_litert.interpreter", "onnxruntime")
# Also compiled once, at the same time; email.parser is what reads a package's version.
STANDARD_IMPORTS = ("importlib.metadata", "email.parser", "json", "statistics", "ctypes", "zipfile")
GLIBC_TAGS = ("2_28", "2_27", "2_24", "2_17")  # manylinux tags a glibc of 2.28 or newer satisfies
SOURCES_VARIABLE = "TVM_OPS_APT_SOURCES"
PYTHON_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONPATH": "", "PYTHONHOME": ""}
"""What makes two runs of the sysroot's Python alike, and keeps this machine's packages out."""
SITE = "usr/lib/python3/dist-packages"  # on the path of Debian's and Ubuntu's python3
_LAYOUT = 1  # raise it when the steps below change, so that older folders are not used


def sysroot(target: Target, progress: Progress | None = None) -> Path:
    """The sysroot of an AArch64 board, made on first use (95 MB of downloads) and then cached.

    ``progress`` is told each step in a line. Raises ``InputError`` where the target is no AArch64
    board, or where apt or pip cannot get the packages.
    """
    if target.isa != "aarch64":
        raise InputError(f"target {target.name}: only AArch64 boards have a sysroot")
    tell = progress or (lambda line: None)
    common = common_sysroot(tell)

    def make(folder: Path) -> None:
        for entry in sorted(common.iterdir()):
            (folder / entry.name).symlink_to(Path("..") / common.name / entry.name)
        write_board_files(target, folder)
        tell(f"sysroot of {target.name}: importing each library in its Python")
        _try_imports(target, folder)

    tried = [*IMPORTS, *STANDARD_IMPORTS]
    recipe = {"common": common.name, "board files": board_files(target), "tried": tried}
    return cached_folder(f"sysroot-{target.name}", recipe, make)


def python_argv(target: Target, progress: Progress | None = None) -> list[str]:
    """How to start the sysroot's own ARM Python on the board, to be followed by a script.

    Outside of ``execute`` it has to run with ``PYTHON_ENVIRONMENT``. ``-s`` keeps the user's
    packages out, and ``-B`` keeps compiled modules from being written beside the script.
    """
    return [str(python_of(sysroot(target, progress))), "-s", "-B"]


def python_of(root: Path) -> Path:
    """The Python program in a sysroot, by its full version: ``usr/bin/python3.11``."""
    return _only(root / "usr/bin", "python3.[0-9]*")


def common_sysroot(tell: Progress) -> Path:
    """The part that all AArch64 boards share: Debian packages and wheels, tried out."""
    recipe = {
        "layout": _LAYOUT,
        "packages": PACKAGES,
        "wheels": WHEELS,
        "distribution": _distribution(),
        "sources": os.environ.get(SOURCES_VARIABLE),
    }

    def make(folder: Path) -> None:
        scratch = folder / "scratch"
        tell("sysroot: fetching the distribution's arm64 packages (16 MB)")
        debs = fetch_packages(scratch / "apt")
        unpack_packages(debs, folder)
        version = python_of(folder).name.removeprefix("python")
        tell(f"sysroot: fetching the peers' wheels for Python {version} (75 MB)")
        wheels = fetch_wheels(scratch / "wheels", version)
        tell(f"sysroot: unpacking {len(wheels)} wheels")
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder / SITE)
        shutil.rmtree(scratch)

    return cached_folder("sysroot-common", recipe, make)


def fetch_packages(scratch: Path) -> list[Path]:
    """The arm64 .deb files of ``PACKAGES`` and all they depend on, in a private apt state.

    apt checks the signatures with the system's keys as always; nothing of the system changes.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        (scratch / name).mkdir(parents=True)
    (scratch / "state/status").touch()
    (scratch / "apt.conf").write_text(_apt_configuration(scratch))
    apt = ["apt-get", "-q", "-c", str(scratch / "apt.conf")]
    update = _run([*apt, "update"])
    install = _run([*apt, "-y", "--no-install-recommends", "--download-only", "install", *PACKAGES])
    if install.returncode:
        lines = (update.stderr + install.stderr).splitlines()
        reason = next((line for line in reversed(lines) if line.startswith("E:")), "no reason")
        raise InputError(
            f"apt cannot get arm64 packages ({reason}); name in {SOURCES_VARIABLE} an apt sources "
            "file with an entry for arm64 of this release (Ubuntu: its 'ports' archive)"
        )
    return sorted((scratch / "cache/archives").glob("*.deb"))


def _apt_configuration(scratch: Path) -> str:
    sources = os.environ.get(SOURCES_VARIABLE)
    if sources and not Path(sources).is_file():
        raise InputError(f"{SOURCES_VARIABLE}={sources}: no such file")
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",  # the user _apt may not enter a home folder
        "Acquire::Languages": "none",
        "Dir::State": str(scratch / "state"),
        "Dir::State::status": str(scratch / "state/status"),
        "Dir::Cache": str(scratch / "cache"),
    }
    if sources:
        options |= {
            "Dir::Etc::sourcelist": str(Path(sources).resolve()),
            "Dir::Etc::sourceparts": "/dev/null",
        }
    # Hooks of the system's apt would work on the system's state (docker images clear its cache).
    hooks = ["APT::Update::Pre-Invoke", "APT::Update::Post-Invoke"]
    hooks += ["APT::Update::Post-Invoke-Success", "DPkg::Post-Invoke", "DPkg::Pre-Install-Pkgs"]
    lines = [f"#clear {hook};" for hook in hooks]
    lines += [f'{key} "{value}";' for key, value in options.items()]
    return "\n".join(lines) + "\n"


def unpack_packages(debs: list[Path], root: Path) -> None:
    """Unpack into ``root`` with /bin, /sbin, /lib merged into /usr, as on an installed system."""
    for deb in debs:
        _check(["dpkg-deb", "-x", str(deb), str(root)], f"unpacking {deb.name}")
    for name in ("bin", "sbin", "lib"):
        old, new = root / name, root / "usr" / name
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
        if not old.exists():
            old.symlink_to(f"usr/{name}")
    (root / SITE).mkdir(parents=True, exist_ok=True)
    # Links to absolute paths would lead out of the sysroot, into this machine's own files.
    for path in root.rglob("*"):
        if path.is_symlink() and path.readlink().is_absolute():
            path.unlink()


def fetch_wheels(folder: Path, python_version: str) -> list[Path]:
    """Download the AArch64 wheels for that Python ("3.11") from the index that pip is set to."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--python-version", python_version]
    for tag in GLIBC_TAGS:
        command += ["--platform", f"manylinux_{tag}_aarch64"]
    command += ["--platform", "manylinux2014_aarch64", "--dest", str(folder), *WHEELS]
    _check(command, f"pip download of {', '.join(WHEELS)} for Python {python_version}, AArch64")
    return sorted(folder.glob("*.whl"))


def _try_imports(target: Target, root: Path) -> None:
    """Import the libraries once: tries them out, and leaves their modules compiled for later runs.

    It needs the board files: ONNX Runtime crashes on an unknown processor.
    """
    names = (*IMPORTS, *STANDARD_IMPORTS)
    code = "".join(f"import {name}; print({name!r}, flush=True)\n" for name in names)
    code += "import os; os._exit(0)"  # ncnn crashes at a normal exit, after its work
    qemu = [str(target.emulator), "-cpu", target.core, "-L", str(root)]
    result = _run([*qemu, str(python_of(root)), "-I", "-c", code])
    imported = result.stdout.splitlines()
    for name in names:
        if name not in imported:
            reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"sysroot: {name} cannot be imported by its Python: {reason}")


def _distribution() -> str:
    """The release of this machine ("debian 12"), which decides the packages' versions."""
    release = platform.freedesktop_os_release()
    return f"{release.get('ID', 'linux')} {release.get('VERSION_ID', '')}"


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"sysroot: no {pattern} in {folder}")
    return found[0]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except FileNotFoundError:
        raise InputError(f"{command[0]} is not installed; the board's sysroot needs it") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]} did not end within 15 minutes") from None


def _check(command: list[str], what: str) -> None:
    result = _run(command)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{what} failed: {reason}")
