"""What TVM's RPC tracker is asked: who is there, and who serves next.

The protocol is ``tvm/rpc/tracker.py``'s: a magic number, then JSON with its length before it.
"""

from __future__ import annotations

import json
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm_ops.boards.address import Address, is_loopback
from tvm_ops.errors import InputError

_MAGIC, _SUCCESS, _REQUEST, _SUMMARY = 0x2F271, 0, 4, 6
_LARGEST = 1 << 20  # bytes of an answer
CONNECT_TIMEOUT = 5.0  # seconds
LOOK_EVERY = 2.0  # seconds, whether there is still a server to wait for

WHY_INSECURE = (
    "TVM's RPC has no authentication and no encryption: whoever reaches a server runs programs on "
    "it, and whoever is in between changes what is measured"
)


def check_allowed(address: Address, host: str) -> None:
    """Raises ``InputError`` for a host beyond this machine, unless the address allows it."""
    if not address.insecure and not is_loopback(host):
        raise InputError(
            f"board {address.name}: {host} is not this machine, and {WHY_INSECURE}; "
            "use an ssh tunnel (docs/boards.md), or --insecure-rpc"
        )


def servers(address: Address) -> tuple[int, int, int]:
    """How many servers the tracker has of the address's key, are free, and are waited for.

    Raises ``InputError`` where there is none, or no tracker.
    """
    with _tracker(address) as connection:
        summary = _ask(connection, [_SUMMARY])
    keys = [server["key"].removeprefix("server:") for server in summary["server_info"]]
    if address.user not in keys:
        known = ", ".join(sorted(set(keys))) or "none"
        raise InputError(f"board {address.name}: the tracker has only these keys: {known}")
    queue = summary["queue_info"].get(address.user, {})
    return keys.count(address.user), queue.get("free", 0), queue.get("pending", 0)


def request(address: Address) -> tuple[str, int, str]:
    """Host, port and key of a server, once one is free; raises ``InputError`` as ``servers``."""
    with _tracker(address) as connection:
        _send(connection, [_REQUEST, address.user, "", 1])
        while not select.select([connection], [], [], LOOK_EVERY)[0]:
            servers(address)  # the last one may have crashed: nobody would ever answer
        host, port, key = _answer(connection)
    check_allowed(address, host)
    return str(host), int(port), str(key)


@contextmanager
def _tracker(address: Address) -> Iterator[socket.socket]:
    check_allowed(address, address.host)
    assert address.port
    try:
        with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT) as connection:
            connection.sendall(struct.pack("<i", _MAGIC))
            if _received(connection, 4) != struct.pack("<i", _MAGIC):
                raise InputError(f"board {address.name}: what listens there is no TVM tracker")
            yield connection
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"board {address.name}: no tracker answers ({error}); start one there, or the tunnel: "
            "python -m tvm.exec.rpc_tracker --host 127.0.0.1"
        ) from None


def _ask(connection: socket.socket, question: list[Any]) -> Any:
    _send(connection, question)
    return _answer(connection)


def _send(connection: socket.socket, question: list[Any]) -> None:
    text = json.dumps(question).encode()
    connection.sendall(struct.pack("<i", len(text)) + text)


def _answer(connection: socket.socket) -> Any:
    (size,) = struct.unpack("<i", _received(connection, 4))
    if not 0 < size <= _LARGEST:
        raise ValueError(f"an answer of {size} bytes")
    status, value = json.loads(_received(connection, size))
    if status != _SUCCESS:
        raise ValueError(f"it refused: {value}")
    return value


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise OSError("the connection was closed")
        data += part
    return data
