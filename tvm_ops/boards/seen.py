"""When each board elsewhere was last seen: an empty file each, by its date.

They lie below ``$XDG_STATE_HOME/tvm_ops/boards``, else ``~/.local/state/tvm_ops/boards``; a board
is forgotten by removing its file.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote, unquote


def seen_now(name: str) -> None:
    """The board has answered."""
    _folder().mkdir(parents=True, exist_ok=True)
    _file(name).touch()


def last_seen(name: str) -> datetime | None:
    """When it has answered, None if it never has."""
    path = _file(name)
    if not path.exists():
        return None
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)


def all_seen() -> list[str]:
    """The names of all boards that have ever answered."""
    folder = _folder()
    return sorted(unquote(path.name) for path in folder.iterdir()) if folder.is_dir() else []


def _file(name: str) -> Path:
    return _folder() / quote(name, safe="")


def _folder() -> Path:
    root = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return root / "tvm_ops" / "boards"
