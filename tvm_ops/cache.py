"""Folders that are made once and kept: named by a hash of their recipe, complete or absent.

They lie below ``$TVM_OPS_CACHE``, else ``$XDG_CACHE_HOME/tvm_ops``, else ``~/.cache/tvm_ops``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_root() -> Path:
    """The folder of all that is made once; made if it is absent."""
    chosen = os.environ.get("TVM_OPS_CACHE")
    if chosen:
        root = Path(chosen).expanduser()
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tvm_ops"
    root.mkdir(parents=True, exist_ok=True)
    return root.resolve()


def cached_folder(name: str, recipe: Any, make: Callable[[Path], None]) -> Path:
    """The folder ``NAME-HASH`` of the cache, filled by ``make(folder)`` if it is not there yet.

    ``recipe`` is JSON data with everything that the content depends on. ``make`` fills a folder
    with another name, which gets its own name only when complete; what it raises is passed on and
    leaves nothing behind. Of several processes one makes it and the others wait.
    """
    text = json.dumps(recipe, sort_keys=True)
    final = cache_root() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if final.is_dir():
        return final
    with _lock(final.with_name(final.name + ".lock")):
        if final.is_dir():
            return final
        # Whoever holds the lock is alone: an unfinished folder belongs to a process that died.
        for stale in final.parent.glob(f"{final.name}.part-*"):
            shutil.rmtree(stale, ignore_errors=True)
        part = Path(tempfile.mkdtemp(prefix=f"{final.name}.part-", dir=final.parent))
        try:
            part.chmod(0o755)
            make(part)
            part.rename(final)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return final


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock; the file stays, since removing it would let two holders in."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
