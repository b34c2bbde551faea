"""When each board elsewhere was last seen: an empty file each in the cache folder, by its date."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote, unquote

from tvm_ops.cache import cache_root


def seen_now(name: str) -> None:
    """The board has answered."""
    _folder().joinpath(quote(name, safe="")).touch()


def last_seen(name: str) -> datetime | None:
    """When it has answered, None if it never has."""
    path = _folder() / quote(name, safe="")
    if not path.exists():
        return None
    return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)


def all_seen() -> list[str]:
    """The names of all boards that have ever answered."""
    return sorted(unquote(path.name) for path in _folder().iterdir())


def _folder() -> Path:
    folder = cache_root() / "boards-seen"
    folder.mkdir(exist_ok=True)
    return folder
