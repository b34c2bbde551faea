"""What a board is asked to run: a program, and which of its arguments are files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """An argument that names a file: ``option`` is what stands before it, as in ``x=FILE``.

    On a board elsewhere it lies at ``place``; with ``comes_back`` the program writes it.
    """

    path: Path
    place: str
    option: str = ""
    comes_back: bool = False


@dataclass(frozen=True)
class Call:
    """A program of the target and its arguments; ``libraries`` it finds in ``../lib``."""

    arguments: Sequence[str | File]
    libraries: Sequence[Path] = ()

    @property
    def files(self) -> list[File]:
        return [part for part in self.arguments if isinstance(part, File)]

    @property
    def here(self) -> list[str]:
        """The command line on this machine."""
        return [p if isinstance(p, str) else f"{p.option}{p.path}" for p in self.arguments]

    @property
    def there(self) -> list[str]:
        """The command line in the folder of a board elsewhere."""
        return [p if isinstance(p, str) else f"{p.option}{p.place}" for p in self.arguments]
