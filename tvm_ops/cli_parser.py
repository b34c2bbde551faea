"""The verbs of the command line, their arguments, defaults and help texts."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from tvm_ops import cli_verbs
from tvm_ops.errors import InputError

_ABOUT = """\
Neural-network operators for ARM boards: tune, build, bundle, run, compare.

Boards are modelled by default: programs run under qemu-user with a timing model of the board's
core; such figures are deterministic, for one thread, and labelled 'modelled'."""

_EXAMPLES = """\
examples:
  tvm-ops doctor
  tvm-ops list workloads
  tvm-ops tune winograd_conv2d --target rpi4 --trials 64
  tvm-ops bundle winograd_conv2d --target rpi4 -o rpi4.tar.gz
  tvm-ops run rpi4.tar.gz --check
  tvm-ops compare winograd_conv2d --target rpi4 --against ncnn,xnnpack

exit codes: 0 done, 1 a check failed, 2 bad input, 130 interrupted"""

LISTS = ("operators", "targets", "workloads", "peers")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are the project's own: one line, exit code 2."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def known_name(kind: str, name: str, known: Iterable[str]) -> str:
    """``name`` if it is known; else an error that names the likeliest one and all known ones."""
    names = list(known)
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f", did you mean '{close[0]}'?" if close else ";"
    # argparse swallows the text of a ValueError, such as InputError, but not of its own error.
    raise argparse.ArgumentTypeError(
        f"unknown {kind} '{name}'{guess} known: {', '.join(names) or 'none'}"
    )


def _operator(name: str) -> str:
    from tvm_ops.operators import operator_names

    return known_name("operator", name, operator_names())


def _target(name: str) -> str:
    from tvm_ops.targets import NAMES

    return known_name("target", name, NAMES)


def _list(name: str) -> str:
    return known_name("list", name, LISTS)


def _whole(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number from {least} on")
        return int(text)

    return convert


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        try:
            version = metadata.version("tvm_ops")
        except metadata.PackageNotFoundError:
            version = "(a checkout that is not installed)"
        print(f"tvm-ops {version}")
        sys.exit(0)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line, with ``call``, the verb's function; or an ``InputError``."""
    parser = Parser(prog="tvm-ops", description=_ABOUT, epilog=_EXAMPLES)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and stop")
    group = parser.add_subparsers(metavar="VERB", parser_class=Parser, required=True, dest="verb")
    for add in VERBS.values():
        add(group)
    if argv and not argv[0].startswith("-"):
        try:
            known_name("verb", argv[0], VERBS)
        except argparse.ArgumentTypeError as error:
            raise InputError(str(error)) from None
    return parser.parse_args(argv)


Verbs = Any  # argparse's own type for what add_subparsers gives is private


def _verb(verbs: Verbs, name: str, call: Callable[..., int], about: str, example: str) -> Parser:
    parser: Parser = verbs.add_parser(
        name, help=about, description=about[:1].upper() + about[1:] + ".", epilog=example
    )
    parser.set_defaults(call=call)
    return parser


def _json_option(parser: Parser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same facts as JSON")


def _doctor(verbs: Verbs) -> None:
    about = "what is installed, what is missing and how to get it"
    parser = _verb(verbs, "doctor", cli_verbs.doctor, about, "example:\n  tvm-ops doctor")
    _json_option(parser)


def _list_verb(verbs: Verbs) -> None:
    about = "the operators, targets, workloads or peers that there are"
    parser = _verb(verbs, "list", cli_verbs.list_names, about, "example:\n  tvm-ops list targets")
    parser.add_argument("what", type=_list, metavar="WHAT", help=", ".join(LISTS))
    _json_option(parser)


VERBS = {"doctor": _doctor, "list": _list_verb}
