"""The verbs of the command line: arguments, defaults, help texts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from tvm_ops import cli_measure, cli_profile, cli_verbs
from tvm_ops.cli_arguments import (
    LISTS,
    Parser,
    Verbs,
    add_json,
    add_logs,
    add_output,
    add_task,
    add_tasks,
    add_verb,
    known_name,
    list_name,
    peers,
    target,
    whole,
)
from tvm_ops.cli_boards_parser import add_board, add_boards, add_deploy, add_signature, choose_board
from tvm_ops.cli_parser_logs import add_export_log, add_import_log
from tvm_ops.cli_parser_tuning import add_choose, add_tune
from tvm_ops.errors import InputError
from tvm_ops.guess import guess

_ABOUT = """\
Neural-network operators for ARM boards: tune, build, bundle, run, compare.

Boards are modelled by default: programs run under qemu-user with a timing model of the board's
core; such figures are deterministic, for one thread, and labelled 'modelled'."""

_EXAMPLES = """\
examples:
  tvm-ops doctor
  tvm-ops list workloads
  tvm-ops tune winograd_conv2d --target rpi4 --trials 64
  tvm-ops tune --network mobilenet_v1 --target rpi4
  tvm-ops bundle winograd_conv2d --target rpi4 -o rpi4.tar.gz
  tvm-ops run rpi4.tar.gz --check
  tvm-ops compare winograd_conv2d --target rpi4 --against ncnn,xnnpack

exit codes: 0 done, 1 a check failed, 2 bad input, 3 a job stopped early (the same command goes on),
130 interrupted, 143 ended by SIGTERM"""


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
    # What follows -- is another program's; argparse versions differ in what they make of it.
    own, program = list(argv), []
    if argv[:1] == ["board"] and "--" in argv:
        at = own.index("--")
        own, program = own[:at], own[at + 1 :]
    arguments, unknown = parser.parse_known_args(own, argparse.Namespace(program=program))
    if unknown:
        verb: Parser = group.choices[arguments.verb]
        options = [option for action in verb._actions for option in action.option_strings]
        meant = guess(unknown[0], options) if unknown[0].startswith("-") else ""
        verb.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
    if "several_boards" in arguments:
        choose_board(arguments)
    return arguments


def _doctor(verbs: Verbs) -> None:
    about = "what is installed, what is missing and how to get it"
    parser = add_verb(verbs, "doctor", cli_verbs.doctor, about, "example:\n  tvm-ops doctor")
    add_json(parser)


def _list_verb(verbs: Verbs) -> None:
    about = "the operators, targets, workloads or peers that there are"
    parser = add_verb(
        verbs, "list", cli_verbs.list_names, about, "example:\n  tvm-ops list targets"
    )
    parser.add_argument("what", type=list_name, metavar="WHAT", help=", ".join(LISTS))
    add_json(parser)


def _build(verbs: Verbs) -> None:
    about = "compile the best known kernels: a library, its header, assembly, the knobs used"
    example = "example:\n  tvm-ops build winograd_conv2d --target rpi4 -o out"
    parser = add_verb(verbs, "build", cli_verbs.build, about, example)
    add_tasks(parser, several=False)
    add_output(parser, "DIR", "folder for libOPERATOR.so, OPERATOR.h, .knobs.json, .s")
    add_json(parser)


def _bundle(verbs: Verbs) -> None:
    about = "write a bundle: library, header, bench program and manifest for one target"
    example = "example:\n  tvm-ops bundle winograd_conv2d conv2d --target rpi4 -o rpi4.tar.gz"
    parser = add_verb(verbs, "bundle", cli_verbs.bundle, about, example)
    add_tasks(parser)
    add_output(parser, "FILE.tar.gz", "the bundle")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE.npz",
        help="arrays KEY.weights, KEY.bias and, of a prelu, KEY.slope to pack into it "
        "(default: none)",
    )
    parser.add_argument(
        "--sign",
        type=Path,
        metavar="KEY",
        help="an ssh key to sign it with: writes FILE.tar.gz.sig (default: not signed)",
    )
    add_json(parser)


def _run(verbs: Verbs) -> None:
    about = "run every task of a bundle and print its times"
    parser = add_verb(
        verbs, "run", cli_measure.run, about, "example:\n  tvm-ops run rpi4.tar.gz --check"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a file from: tvm-ops bundle")
    add_board(parser)
    parser.add_argument(
        "--check", action="store_true", help="compare with numpy; exit 1 if a result is wrong"
    )
    parser.add_argument(
        "--threads", type=whole(1), default=1, metavar="N", help="threads (default: 1)"
    )
    parser.add_argument(
        "--repeat",
        type=whole(1),
        metavar="N",
        help="timed runs (default: 1 on the modelled board, which repeats itself, else 5)",
    )
    add_signature(parser)
    add_json(parser)


def _compare(verbs: Verbs) -> None:
    about = "measure our kernels and other libraries' on the same board, in one table"
    example = """\
examples:
  tvm-ops compare winograd_conv2d --target rpi4 --against ncnn,xnnpack,handwritten
  tvm-ops compare conv2d --target host --json host.json"""
    parser = add_verb(verbs, "compare", cli_measure.compare, about, example)
    add_tasks(parser)
    parser.add_argument(
        "--against",
        type=peers,
        metavar="PEER,...",
        help="see: tvm-ops list peers (default: all)",
    )
    add_board(parser)
    add_json(parser)


def _profile(verbs: Verbs) -> None:
    about = "where a kernel's cycles go: hot blocks, and what each instruction waits for"
    example = """\
examples:
  tvm-ops profile winograd_conv2d --target rpi4
  tvm-ops profile conv2d --target rpi5 --workload KEY -o profile --json profile.json"""
    parser = add_verb(verbs, "profile", cli_profile.profile, about, example)
    add_task(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for profile.html")
    add_json(parser)


def _report(verbs: Verbs) -> None:
    about = "one HTML page from the logs: best kernels, how they were found, comparisons"
    example = """\
examples:
  tvm-ops report -o report
  tvm-ops report --target rpi4 --comparison rpi4.json -o report"""
    parser = add_verb(verbs, "report", cli_verbs.report, about, example)
    add_output(parser, "DIR", "folder for report.html")
    add_logs(parser)
    parser.add_argument(
        "--target",
        dest="targets",
        type=target,
        action="append",
        default=[],
        metavar="T",
        help="may be repeated (default: all that have logs)",
    )
    parser.add_argument(
        "--comparison",
        dest="comparisons",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.json",
        help="a file of tvm-ops compare --json; may be repeated",
    )
    add_json(parser)


def _board_verb(verbs: Verbs) -> None:
    about = "run any AArch64 Linux program on the modelled board and count its cycles"
    example = """\
examples:
  tvm-ops board exec rpi4 -- ./program --its-own-option
  tvm-ops board exec rpi5 --json cycles.json -- python3 script.py

Regions are marked in the program: tvm_ops_region.h (C), tvm_ops.board_model.region (Python).
Without marks the whole program is one region. python3 is the board's own."""
    parser = add_verb(verbs, "board", cli_measure.board_exec, "exec: " + about, example)
    group = parser.add_subparsers(metavar="exec", parser_class=Parser, required=True, dest="verb")
    execute = add_verb(group, "exec", cli_measure.board_exec, about, example)
    execute.usage = "tvm-ops board exec [-h] [--json FILE] TARGET -- PROGRAM ARGS..."
    execute.add_argument("target", type=target, metavar="TARGET", help="rpi3, rpi4, ...")
    add_json(execute)


VERBS = {
    "doctor": _doctor,
    "list": _list_verb,
    "tune": add_tune,
    "choose": add_choose,
    "import-log": add_import_log,
    "export-log": add_export_log,
    "build": _build,
    "bundle": _bundle,
    "run": _run,
    "compare": _compare,
    "profile": _profile,
    "report": _report,
    "board": _board_verb,
    "boards": add_boards,
    "deploy": add_deploy,
}
