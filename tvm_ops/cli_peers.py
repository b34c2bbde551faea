"""``python -m tvm_ops.cli_peers TARGET...``: fills the log of the peers' figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tvm_ops.errors import InputError
from tvm_ops.networks import NETWORKS, all_layers, layers
from tvm_ops.peers.figures import PEERS, measure_figures
from tvm_ops.targets import get_target
from tvm_ops.tuning import log


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the log lacks; 0 when done, 2 for bad input, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="measure_peers", description=__doc__)
    parser.add_argument("targets", nargs="+", metavar="TARGET", help="rpi3, rpi4, rpi5")
    parser.add_argument(
        "--network", choices=NETWORKS, action="append", default=[], help="may be repeated (all)"
    )
    parser.add_argument("--peer", choices=PEERS, action="append", help="may be repeated (all)")
    parser.add_argument("--again", action="store_true", help="also what the log has already")
    parser.add_argument("--logs", type=Path, default=log.ROOT, metavar="DIR", help="tuning_logs")
    arguments = parser.parse_args(argv)
    wanted = {layer.key: layer for name in arguments.network for layer in layers(name)}
    try:
        for name in arguments.targets:
            measure_figures(
                list(wanted.values()) or all_layers(),
                get_target(name),
                arguments.peer or PEERS,
                logs=arguments.logs,
                again=arguments.again,
                report=lambda line: print(line, flush=True),
            )
    except InputError as error:
        print(f"measure_peers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("measure_peers: interrupted; the log is valid, run it again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
