"""``python -m tvm_ops.cli_peers TARGET...``: fills the log of the peers' figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tvm_ops.cli_script import run_script
from tvm_ops.networks import NETWORKS, all_layers, layers
from tvm_ops.peers.figures import PEERS, measure_figures
from tvm_ops.targets import get_target
from tvm_ops.tuning import log

NAME = "measure_peers"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the log lacks; 0 when done, 2 for bad input, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="rpi3, rpi4, rpi5")
    parser.add_argument(
        "--network", choices=NETWORKS, action="append", default=[], help="may be repeated (all)"
    )
    parser.add_argument("--peer", choices=PEERS, action="append", help="may be repeated (all)")
    parser.add_argument("--again", action="store_true", help="also what the log has already")
    parser.add_argument("--logs", type=Path, default=log.ROOT, metavar="DIR", help="tuning_logs")
    arguments = parser.parse_args(argv)
    return run_script(NAME, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    wanted = {layer.key: layer for name in arguments.network for layer in layers(name)}
    for name in arguments.targets:
        measure_figures(
            list(wanted.values()) or all_layers(),
            get_target(name),
            arguments.peer or PEERS,
            logs=arguments.logs,
            again=arguments.again,
            report=lambda line: print(line, flush=True),
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
