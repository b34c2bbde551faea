"""The arguments that name boards, and those of the verbs about boards; see ``cli_parser``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from tvm_ops import cli_boards
from tvm_ops.cli_arguments import Parser, Verbs, add_json, add_verb, known_name
from tvm_ops.errors import InputError


def board(name: str) -> str:
    """The name of a known board, of one in the file of boards, or an address."""
    from tvm_ops.boards import BOARDS, resolve
    from tvm_ops.boards.address import is_address
    from tvm_ops.boards.configured import configured_boards

    try:
        if is_address(name):
            resolve(name)
            return name
        return known_name("board", name, [*BOARDS, *configured_boards()])
    except InputError as error:  # of which argparse would swallow the text
        raise argparse.ArgumentTypeError(str(error)) from None


def board_spec(boards: list[str], exec_prefix: str | None, insecure: bool) -> str | None:
    """What ``get_board`` takes, from --board, --exec-prefix and --insecure-rpc; None for none.

    Raises ``InputError`` for an option of which there is no board.
    """
    from tvm_ops.boards import BOARDS, resolve
    from tvm_ops.boards.address import split_words

    places = {name: resolve(name) for name in boards if name not in BOARDS}
    kinds = {place.kind for place in places.values()}
    if exec_prefix and "ssh" not in kinds:
        raise InputError("--exec-prefix is for ssh boards, and no --board is one")
    if insecure and "rpc" not in kinds:
        raise InputError("--insecure-rpc is for rpc boards, and no --board is one")
    prefix = split_words(exec_prefix) if exec_prefix else None
    specs = []
    for name in boards:
        place = places.get(name)
        if place and place.kind == "ssh" and prefix:
            place = replace(place, exec_prefix=prefix)
        elif place and place.kind == "rpc" and insecure:
            place = replace(place, insecure=True)
        specs.append(place.spec if place else name)
    return ",".join(specs) or None


def add_board(parser: Parser, several: bool = False, only_ssh: bool = False) -> None:
    """--board, --exec-prefix, --insecure-rpc; ``cli_parser`` makes ``board`` of them."""
    any_kind = (
        "modelled, emulated (no timing) or host (default: the first of these that can run the "
        "target), a real one: ssh:[USER@]HOST[:PORT] or rpc:KEY@HOST:PORT, or a name of the file "
        "of boards (docs/boards.md)" + ("; several share the work" if several else "")
    )
    parser.add_argument(
        "--board",
        dest="boards",
        type=board,
        action="append",
        metavar="B",
        help="needed: ssh:[USER@]HOST[:PORT], or a name of the file of boards (docs/boards.md)"
        if only_ssh
        else any_kind,
    )
    parser.add_argument(
        "--exec-prefix",
        metavar="WORDS",
        help="what stands before each program on an ssh board, such as an emulator",
    )
    insecure = (
        "allow rpc boards beyond this machine, without authentication (better: an ssh tunnel)"
    )
    parser.add_argument(
        "--insecure-rpc",
        action="store_true",
        help=argparse.SUPPRESS if only_ssh else insecure,
    )
    parser.set_defaults(several_boards=several)


def choose_board(arguments: argparse.Namespace) -> None:
    """``board``, as ``get_board`` takes it, of the options that ``add_board`` has added."""
    boards = arguments.boards or []
    if len(boards) > 1 and not arguments.several_boards:
        raise InputError(f"{arguments.verb} takes one --board, not {len(boards)}")
    arguments.board = board_spec(boards, arguments.exec_prefix, arguments.insecure_rpc)
    if arguments.insecure_rpc:
        cli_boards.warn_insecure()


def add_signature(parser: Parser) -> None:
    """--require-signature, --allowed-signers."""
    parser.add_argument(
        "--require-signature",
        action="store_true",
        help="refuse a bundle that no allowed signer has signed, before anything is unpacked",
    )
    parser.add_argument(
        "--allowed-signers",
        type=Path,
        metavar="FILE",
        help="as ssh-keygen takes it (default: allowed_signers beside the file of boards)",
    )


def add_boards(verbs: Verbs) -> None:
    """``boards``."""
    about = "the boards elsewhere: free, busy, hot or gone, when last seen, how many jobs wait"
    example = """\
examples:
  tvm-ops boards
  tvm-ops boards --board ssh:pi@pi4.local --board rpc:rpi4@127.0.0.1:9190"""
    parser = add_verb(verbs, "boards", cli_boards.boards, about, example)
    parser.add_argument(
        "--board",
        dest="boards",
        type=board,
        action="append",
        metavar="B",
        help="may be repeated (default: those of the file of boards, and all ever seen)",
    )
    parser.add_argument(
        "--insecure-rpc", action="store_true", help="ask rpc boards beyond this machine, too"
    )
    add_json(parser)


def add_deploy(verbs: Verbs) -> None:
    """``deploy``."""
    about = "install a bundle on a board: copied, checked there, switched to in one step"
    example = """\
examples:
  tvm-ops deploy rpi4.tar.gz --board ssh:pi@pi4.local
  tvm-ops deploy rpi4.tar.gz --board ssh:pi@pi4.local --prefix /opt/kernels --require-signature
  tvm-ops deploy --rollback --board ssh:pi@pi4.local --prefix /opt/kernels"""
    parser = add_verb(verbs, "deploy", cli_boards.deploy, about, example)
    parser.add_argument(
        "bundle", type=Path, nargs="?", metavar="BUNDLE", help="a file from: tvm-ops bundle"
    )
    add_board(parser, only_ssh=True)
    parser.add_argument(
        "--prefix",
        metavar="DIR",
        help="folder on the board for versions/, current and previous "
        "(default: tvm_ops/NAME in the home there)",
    )
    parser.add_argument(
        "--rollback", action="store_true", help="go back to the version before, and keep this one"
    )
    add_signature(parser)
    add_json(parser)
