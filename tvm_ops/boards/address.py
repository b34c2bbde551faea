"""Addresses of boards elsewhere: ``ssh:[USER@]HOST[:PORT]`` and ``rpc:KEY@HOST:PORT``."""

from __future__ import annotations

import ipaddress
import re
import shlex
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote

from tvm_ops.errors import InputError

TURN_TIMEOUT = 600.0  # seconds: the runs of ten that are before, or the pauses of a hot board
FORMS = {"ssh": "ssh:[USER@]HOST[:PORT]", "rpc": "rpc:KEY@HOST:PORT"}

# Nothing that starts with a dash: ssh would take it for an option.
_HOST = r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\])"
_PATTERNS = {
    "ssh": re.compile(rf"((?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?{_HOST}(:(?P<port>[0-9]+))?"),
    "rpc": re.compile(rf"(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@{_HOST}:(?P<port>[0-9]+)"),
}
_OPTIONS = {"ssh": {"exec_prefix"}, "rpc": {"insecure"}}


@dataclass(frozen=True)
class Address:
    """Where a board is and how it is used.

    ``user`` is the key of a board over RPC. ``exec_prefix`` are the words before each program, such
    as an emulator; ``insecure`` allows RPC beyond this machine.
    """

    kind: str  # ssh | rpc
    host: str
    user: str | None = None
    port: int | None = None
    exec_prefix: tuple[str, ...] = ()
    insecure: bool = False

    @property
    def name(self) -> str:
        """What logs and tables call the board."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{self.kind}:{user}{host}" + (f":{self.port}" if self.port else "")

    @property
    def spec(self) -> str:
        """The name and the options, from which ``parse_address`` makes the same again."""
        options = []
        if self.exec_prefix:
            options.append(f"exec_prefix={quote(shlex.join(self.exec_prefix), safe='')}")
        if self.insecure:
            options.append("insecure=yes")
        return f"{self.name}?{'&'.join(options)}" if options else self.name

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine, by its name or number alone."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """True for ``localhost`` and loopback numbers; other names may mean anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether it is meant as an address, well-formed or not."""
    return text.partition(":")[0] in FORMS and ":" in text


def parse_address(text: str) -> Address:
    """Raises ``InputError`` that names the form that is needed."""
    kind, _, rest = text.partition(":")
    place, _, query = rest.partition("?")
    match = _PATTERNS[kind].fullmatch(place)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise InputError(f"board '{text}' has to be {FORMS[kind]}")
    address = Address(kind, match["host"].strip("[]"), match["user"], port)
    return _with_options(address, query, text) if query else address


def _with_options(address: Address, query: str, text: str) -> Address:
    options = dict(parse_qsl(query, keep_blank_values=True))
    allowed = _OPTIONS[address.kind]
    unknown = sorted(set(options) - allowed)
    if unknown or not options:
        names = ", ".join(sorted(allowed))
        raise InputError(f"board '{text}': options of {address.kind} are {names}")
    prefix = split_words(options.get("exec_prefix", ""))
    return replace(address, exec_prefix=prefix, insecure=options.get("insecure") == "yes")


def split_words(text: str) -> tuple[str, ...]:
    """The words as a shell would see them; raises ``InputError`` for an open quote."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"exec prefix '{text}': {str(error).lower()}") from None


def turn_timeout(spec: str) -> float:
    """Seconds that a trial may wait for its turn on boards elsewhere, which others use too."""
    return TURN_TIMEOUT if any(map(is_address, spec.split(","))) else 0.0


def board_names(spec: str) -> list[str]:
    """The boards' names of a ``spec``, as logs have them."""
    return [part.partition("?")[0] for part in spec.split(",")]
