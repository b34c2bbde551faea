"""The boards elsewhere and how they are: ``tvm-ops boards``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from tvm_ops.boards import resolve, rpc_tracker
from tvm_ops.boards.address import Address, parse_address
from tvm_ops.boards.configured import configured_boards
from tvm_ops.boards.seen import all_seen, last_seen, seen_now
from tvm_ops.boards.ssh import probe_board
from tvm_ops.boards.ssh_client import BoardGone
from tvm_ops.errors import InputError


@dataclass(frozen=True)
class BoardState:
    """How one board is. ``waiting``: jobs that wait for their turn; ``note``: what else it says.

    ``state``: free; busy, somebody measures; hot, or slowed down by its firmware; gone.
    """

    name: str
    address: str
    target: str | None
    state: str
    last_seen: datetime | None
    waiting: int | None = None
    celsius: float | None = None
    note: str = ""


def board_states(names: Sequence[str] = (), insecure: bool = False) -> list[BoardState]:
    """Ask these boards, in parallel; without names those of the file and all that were ever seen.

    A board that does not answer is ``gone``, with the cause as its note. Raises ``InputError`` for
    an unknown name and an unsound file.
    """
    configured = configured_boards()
    entries = {name: (board.address, board.target) for name, board in configured.items()}
    if names:
        entries = {n: entries[n] if n in entries else (resolve(n), None) for n in names}
    else:
        known = {address.name for address, _ in entries.values()}
        entries |= {n: (parse_address(n), None) for n in all_seen() if n not in known}

    def ask(entry: tuple[str, tuple[Address, str | None]]) -> BoardState:
        name, (address, target) = entry
        try:
            return _ask_rpc(name, address, target) if address.kind == "rpc" else _ask_ssh(*entry)
        except (BoardGone, InputError) as error:
            note = str(error).removeprefix("board ").removeprefix(f"{address.name}: ")
            seen = last_seen(address.name)
            return BoardState(name, address.name, target, "gone", seen, note=note)

    if insecure:
        entries = {n: (parse_address(_insecure(a)), t) for n, (a, t) in entries.items()}
    with ThreadPoolExecutor(max(len(entries), 1)) as pool:
        return list(pool.map(ask, entries.items()))


def _insecure(address: Address) -> str:
    return f"{address.name}?insecure=yes" if address.kind == "rpc" else address.spec


def _ask_ssh(name: str, place: tuple[Address, str | None]) -> BoardState:
    address, target = place
    probe = probe_board(address)
    condition = probe.condition
    state = "busy" if probe.holders else "free"
    notes = [f"no {tool}" for tool in probe.missing]
    if condition.is_hot or condition.slowed_by:
        state = "hot"
        notes.append(condition.slowed_by or "too hot to measure")
    notes.append(probe.clock)
    return BoardState(
        name, address.name, target, state, last_seen(address.name), probe.waiting,
        condition.celsius, ", ".join(notes),
    )  # fmt: skip


def _ask_rpc(name: str, address: Address, target: str | None) -> BoardState:
    total, free, pending = rpc_tracker.servers(address)
    seen_now(address.name)
    state, seen = "free" if free else "busy", last_seen(address.name)
    note = f"{free} of {total} servers free"
    return BoardState(name, address.name, target, state, seen, pending, note=note)
