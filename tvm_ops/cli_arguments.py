"""What the verbs' arguments have in common: the parser, the kinds of value, shared options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from tvm_ops.errors import InputError
from tvm_ops.guess import guess

LISTS = ("operators", "targets", "workloads", "peers")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are the project's own: one line, exit code 2."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


Verbs = Any  # argparse's own type for what add_subparsers gives is private


def add_verb(verbs: Verbs, name: str, call: Callable[..., int], about: str, example: str) -> Parser:
    """A verb that calls ``call``; ``about`` is its line in the list of verbs."""
    parser: Parser = verbs.add_parser(
        name, help=about, description=about[:1].upper() + about[1:] + ".", epilog=example
    )
    parser.set_defaults(call=call)
    return parser


def known_name(kind: str, name: str, known: Iterable[str]) -> str:
    """``name`` if it is known; else an error that names the likeliest one and all known ones."""
    names = list(known)
    if name in names:
        return name
    # argparse swallows the text of a ValueError, such as InputError, but not of its own error.
    raise argparse.ArgumentTypeError(
        f"unknown {kind} '{name}'{guess(name, names) or ';'} known: {', '.join(names) or 'none'}"
    )


def operator(name: str) -> str:
    """The name of a known operator."""
    from tvm_ops.operators import operator_names

    return known_name("operator", name, operator_names())


def target(name: str) -> str:
    """The name of a known target."""
    from tvm_ops.targets import NAMES

    return known_name("target", name, NAMES)


def peers(names: str) -> list[str]:
    """Names of known peers, separated by commas."""
    from tvm_ops.peers import PEERS

    return [known_name("peer", name, PEERS) for name in names.split(",")]


def list_name(name: str) -> str:
    """What ``tvm-ops list`` can list."""
    return known_name("list", name, LISTS)


def whole(least: int) -> Callable[[str], int]:
    """Whole numbers from ``least`` on."""

    def convert(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number from {least} on")
        return int(text)

    return convert


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no number above 0")
    return value


def duration(text: str) -> str:
    """A duration, as ``1h30m``."""
    from tvm_ops.tuning.duration import seconds

    try:
        seconds(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def fraction(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number between 0 and 1")
    return value


def add_json(parser: Parser) -> None:
    """--json."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same facts as JSON")


def add_logs(parser: Parser) -> None:
    """--logs."""
    parser.add_argument(
        "--logs", type=Path, metavar="DIR", help="folder of the logs (default: tuning_logs)"
    )


def add_tasks(parser: Parser, several: bool = True) -> None:
    """OPERATOR..., --target, --workload, --logs."""
    parser.add_argument(
        "operators",
        type=operator,
        nargs="+" if several else 1,
        metavar="OPERATOR",
        help="see: tvm-ops list operators",
    )
    add_workloads(parser)


def add_workloads(
    parser: Parser,
    required: bool = True,
    default: str = "all that the operator lists, see: tvm-ops list workloads",
) -> None:
    """--target, --workload, --logs; ``default`` is what is done where no workload is named."""
    parser.add_argument(
        "--target", type=target, required=required, metavar="T", help="see: tvm-ops list targets"
    )
    parser.add_argument(
        "--workload",
        dest="workloads",
        action="append",
        default=[],
        metavar="KEY",
        help=f"one workload, by its full key; may be repeated (default: {default})",
    )
    add_logs(parser)


def add_task(parser: Parser) -> None:
    """OPERATOR, --target, --workload, --logs of a verb for one task."""
    add_tasks(parser, several=False)
    for action in parser._actions:
        if action.dest == "workloads":
            action.help = "its full key (default: the first that the operator lists)"


def add_output(parser: Parser, metavar: str, about: str) -> None:
    """-o, which has to be given."""
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=metavar, help=about)
