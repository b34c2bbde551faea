"""``python -m tvm_ops.cli_few_bit``: whole few-bit networks against float32, from logs and runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tvm_ops.cli_script import TARGETS, check_targets, end, run_script, say
from tvm_ops.few_bit.by_hand import measure_by_hand
from tvm_ops.few_bit.documents import layers_document, write_documents
from tvm_ops.few_bit.layers import read_layers
from tvm_ops.few_bit.runs import Known, measure
from tvm_ops.few_bit.sums import NetworkSums, kernels, network_sums
from tvm_ops.few_bit.tables import document, text_plot
from tvm_ops.networks import FEW_BIT
from tvm_ops.targets import get_target
from tvm_ops.tuning import log

NAME = "few_bit_networks"
_ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """0 when done, 1 if a kernel fails, 2 for bad input, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    return run_script(NAME, lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET", help="of --measure and --by-hand")
    add("--measure", action="store_true", help="first run the kernels of which nothing is known")
    add("--by-hand", action="store_true", help="first measure the hand-written peer")
    add("--again", action="store_true", help="for --measure and --by-hand: what is known too")
    add("--jobs", type=int, default=1, metavar="N", help="runs side by side")
    add("--logs", type=Path, default=log.ROOT, metavar="DIR", help="tuning_logs")
    add("--root", type=Path, default=_ROOT, metavar="DIR", help="has docs/")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    check_targets(arguments.targets)
    problems = []
    if arguments.measure:
        for target in arguments.targets or TARGETS:
            problems += _measure(target, arguments)
    if arguments.by_hand:
        for target in arguments.targets or TARGETS:
            problems += measure_by_hand(
                get_target(target), arguments.logs, again=arguments.again, report=say
            )
    # The documents have all targets, whichever were run.
    found = {target: _sums(target, arguments) for target in TARGETS}
    layers = {target: read_layers(get_target(target), arguments.logs) for target in TARGETS}
    write_documents(arguments.root, found, layers)
    print("\n".join([*layers_document(layers), *document(found)]))
    for target, sums in found.items():
        print("", *text_plot(target, sums), sep="\n")
    return end(NAME, problems)


def _measure(target: str, arguments: argparse.Namespace) -> list[str]:
    """Network after network, the cheapest first."""
    board, problems = get_target(target), []
    for network in reversed(FEW_BIT):
        problems += measure(
            kernels(network, board), board, arguments.logs, _folder(arguments),
            again=arguments.again, jobs=arguments.jobs,
            report=say,
        )  # fmt: skip
    return problems


def _sums(target: str, arguments: argparse.Namespace) -> list[NetworkSums]:
    board = get_target(target)
    known = Known(board, arguments.logs, _folder(arguments))
    return [network_sums(name, board, arguments.logs, known) for name in FEW_BIT]


def _folder(arguments: argparse.Namespace) -> Path:
    return Path(arguments.root) / "docs" / "performance"


if __name__ == "__main__":
    sys.exit(main())
