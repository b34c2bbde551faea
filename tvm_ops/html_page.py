"""Self-contained HTML pages: from a template beside this file, written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tvm_ops.errors import InputError
from tvm_ops.toolchain import scratch_beside


def render_page(template: str, filters: Mapping[str, Callable[..., Any]], **facts: Any) -> str:
    """The page that the template makes of the facts; whatever a template names has to be given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    # Globals, because a macro sees those only.
    environment.globals |= facts
    return environment.get_template(template).render()


def write_page(path: Path, text: str) -> Path:
    """Write the page, and the folder it is in, and give back the path.

    Raises ``InputError`` where the folder cannot be made or written.
    """
    try:
        with scratch_beside(path) as scratch:
            (scratch / path.name).write_text(text, encoding="utf-8")
            (scratch / path.name).replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    return path
