"""The file of boards: short names for those that are used again and again.

``$TVM_OPS_BOARDS``, else ``$XDG_CONFIG_HOME/tvm_ops/boards.yaml``, else
``~/.config/tvm_ops/boards.yaml``::

    boards:
      pi4-a:
        address: ssh:pi@pi4-a.lan
        target: rpi4
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tvm_ops.boards.address import FORMS, Address, is_address, parse_address, split_words
from tvm_ops.errors import InputError
from tvm_ops.targets import get_target

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Configured:
    """One entry; without a target the board is taken for any."""

    name: str
    address: Address
    target: str | None = None


def config_folder() -> Path:
    """Where the user's own settings lie; it may not exist."""
    root = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return root / "tvm_ops"


def boards_file() -> Path:
    """The file of boards; it may not exist."""
    chosen = os.environ.get("TVM_OPS_BOARDS")
    return Path(chosen).expanduser() if chosen else config_folder() / "boards.yaml"


def configured_boards() -> dict[str, Configured]:
    """By name; none where there is no file. Raises ``InputError`` for one that is not sound."""
    path = boards_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"boards file {path}: cannot be read ({error})") from None
    try:
        content = yaml.safe_load(text)
        return _boards(content)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"boards file {path}: no YAML ({reason})") from None
    except InputError as error:
        raise InputError(f"boards file {path}: {error}") from None


def _boards(content: Any) -> dict[str, Configured]:
    if not isinstance(content, dict) or set(content) != {"boards"}:
        raise InputError("it has to be one mapping, 'boards', of names to boards")
    boards = content["boards"]
    if not isinstance(boards, dict):
        raise InputError("'boards' has to map names to boards")
    return {name: _board(name, facts) for name, facts in boards.items()}


def _board(name: Any, facts: Any) -> Configured:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"board '{name}': letters, digits, '_', '.' and '-' are allowed")
    if not isinstance(facts, dict) or not all(isinstance(v, str) for v in facts.values()):
        raise InputError(f"board '{name}' has to be a mapping of texts")
    unknown = sorted(set(map(str, facts)) - {"address", "target", "exec_prefix"})
    if unknown:
        raise InputError(
            f"board '{name}': unknown key '{unknown[0]}'; known: address, target, exec_prefix"
        )
    text = facts.get("address", "")
    if not is_address(text):
        raise InputError(f"board '{name}': address has to be {' or '.join(FORMS.values())}")
    address = parse_address(text)
    if "exec_prefix" in facts:
        if address.kind != "ssh":
            raise InputError(f"board '{name}': exec_prefix is for ssh boards")
        address = replace(address, exec_prefix=split_words(facts["exec_prefix"]))
    if "target" in facts:
        get_target(facts["target"])
    return Configured(name, address, facts.get("target"))
