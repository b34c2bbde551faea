"""The verbs about boards elsewhere: boards, deploy; see ``cli_verbs``."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_ops.cli_output import cell, check_output, print_table, write_json
from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from tvm_ops.deploy import Deployment


def boards(arguments: Namespace) -> int:
    """``tvm-ops boards``: 0 if all of them answer, else 1."""
    check_output(arguments.json)
    from tvm_ops.boards.configured import boards_file
    from tvm_ops.boards.listing import board_states

    if arguments.insecure_rpc:
        warn_insecure()
    states = board_states(arguments.boards or [], arguments.insecure_rpc)
    if not states:
        print(f"no boards: name some in {boards_file()}, or with --board (docs/boards.md)")
    rows = [
        [
            state.name,
            state.target or "",
            state.state,
            f"{state.last_seen:%Y-%m-%d %H:%M} UTC" if state.last_seen else "never",
            cell(state.waiting),
            "" if state.celsius is None else f"{state.celsius:.0f}",
            state.note,
        ]
        for state in states
    ]
    columns = ["board", "target", "state", "last seen", "jobs waiting", "degrees C", "note"]
    if rows:
        print_table(columns, rows, right=columns[4:6])
    seen = [state.last_seen and state.last_seen.isoformat(timespec="seconds") for state in states]
    facts = [asdict(state) | {"last_seen": at} for state, at in zip(states, seen, strict=True)]
    write_json(arguments.json, {"boards": facts})
    return 1 if any(state.state == "gone" for state in states) else 0


def warn_insecure() -> None:
    """What --insecure-rpc means, each time that it is used."""
    from tvm_ops.boards.rpc_tracker import WHY_INSECURE

    print(f"tvm-ops: warning: --insecure-rpc: {WHY_INSECURE}", file=sys.stderr, flush=True)


def deploy(arguments: Namespace) -> int:
    """``tvm-ops deploy``: 0 if the bundle is the current version there, else 1 or 2."""
    check_output(arguments.json)
    signers = required_signers(arguments)
    if arguments.board is None:
        raise InputError("--board is needed: ssh:[USER@]HOST[:PORT], or a name of the boards file")
    if arguments.rollback:
        done = _rollback(arguments)
    elif arguments.bundle is None:
        raise InputError("BUNDLE is needed, a file from: tvm-ops bundle; or --rollback")
    else:
        from tvm_ops.deploy import deploy as install

        done = install(arguments.bundle, arguments.board, arguments.prefix, signers)
    _print_deployment(done)
    write_json(arguments.json, asdict(done))
    return 0


def _rollback(arguments: Namespace) -> Deployment:
    from tvm_ops.boards import resolve
    from tvm_ops.deploy import library_prefix, rollback

    if arguments.prefix is None and arguments.bundle is None:
        raise InputError("--rollback: name the --prefix, or the BUNDLE whose default it is")
    address = resolve(arguments.board)
    if address.kind != "ssh":
        raise InputError(f"board {address.name}: deploy needs an ssh board")
    return rollback(address, arguments.prefix or library_prefix(arguments.bundle))


def _print_deployment(done: Deployment) -> None:
    if done.rows:
        columns = ["task", "ms", "max error", "allowed"]
        lines = [
            [row.task, cell(row.ms), f"{row.max_abs_error:.1e}", f"{row.bound:.1e}"]
            for row in done.rows
        ]
        print_table(columns, lines, right=columns[1:])
    print(f"board: {done.board}")
    state = "" if done.changed else " (was there already, and is sound)"
    print(f"current: {done.prefix}/current, version {done.current}{state}")
    print(f"previous: {done.previous or 'none'}")


def required_signers(arguments: Namespace) -> Path | None:
    """The file of allowed signers if a signature is required; None if not."""
    if not arguments.require_signature:
        if arguments.allowed_signers:
            raise InputError("--allowed-signers goes with --require-signature")
        return None
    from tvm_ops.boards.configured import config_folder

    chosen: Path = arguments.allowed_signers or config_folder() / "allowed_signers"
    if not chosen.is_file():
        raise InputError(f"allowed signers {chosen}: no such file; docs/boards.md says what it has")
    return chosen
