"""The arguments of the verbs that tune and choose; see ``cli_parser``."""

from __future__ import annotations

from pathlib import Path

from tvm_ops import cli_choose, cli_tune
from tvm_ops.cli_arguments import (
    Parser,
    Verbs,
    add_json,
    add_logs,
    add_verb,
    add_workloads,
    duration,
    fraction,
    known_name,
    operator,
    positive,
    target,
    whole,
)
from tvm_ops.cli_boards_parser import add_board


def network(name: str) -> str:
    """The name of a known network, or ``all``."""
    from tvm_ops.networks import NETWORKS

    return known_name("network", name, [*NETWORKS, "all"])


def add_layout(parser: Parser) -> None:
    """--layout."""
    parser.add_argument(
        "--layout",
        choices=["nchw", "nchw4c", "nchw8c", "nchw16c"],
        default="nchw4c",
        help="of a network's arrays; an image stays nchw (default: nchw4c, blocks of 4 channels)",
    )


def add_tune(verbs: Verbs) -> None:
    """``tune``."""
    about = (
        "search the best knobs of an operator's schedule, of networks' layers or of a job file's "
        "tasks; log every trial"
    )
    example = """\
examples:
  tvm-ops tune winograd_conv2d --target rpi4 --trials 64
  tvm-ops tune conv2d --target host --workload conv2d-n1_ci32_h28_w28_co64_k1_s1_p0-f32
  tvm-ops tune --network mobilenet_v1 --network resnet50 --target rpi4 --trials 32
  tvm-ops tune conv2d --target rpi4 --board ssh:pi@pi4-a --board ssh:pi@pi4-b
  tvm-ops tune --job week.yaml --cluster tcp://boards.local:8786

Ctrl-C, and any other end, leaves a valid log; the same command resumes."""
    parser = add_verb(verbs, "tune", cli_tune.tune, about, example)
    parser.add_argument(
        "operator",
        type=operator,
        nargs="?",
        metavar="OPERATOR",
        help="see: tvm-ops list operators",
    )
    add_workloads(parser, required=False)
    parser.add_argument(
        "--job",
        type=Path,
        metavar="FILE",
        help="a YAML file that says operators, workloads, networks, targets, budget and options "
        "(see docs/tuning.md)",
    )
    parser.add_argument(
        "--network",
        dest="networks",
        type=network,
        action="append",
        default=[],
        metavar="NAME",
        help="all layers of a network, those with few multiply-adds first, instead of an OPERATOR; "
        "may be repeated: resnet18, resnet50, mobilenet_v1, mobilenet_v2, mobilenet_v3_large, all "
        "(these five), alexnet, vgg11, squeezenet",
    )
    add_layout(parser)
    parser.add_argument(
        "--trials",
        type=whole(1),
        metavar="N",
        help="candidates to try of each workload; what the log knows is not measured again "
        "(default: 64)",
    )
    add_board(parser, several=True)
    _add_search(parser)
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="measure on the workers of a Dask cluster, by its scheduler's address "
        "(see docs/scaling.md), instead of processes here",
    )
    parser.add_argument(
        "--workers", type=whole(1), metavar="N", help="processes (default: one per processor)"
    )
    parser.add_argument(
        "--bound",
        type=fraction,
        metavar="X",
        help="largest error allowed, over the largest output (default: the operator's, 1e-4)",
    )
    add_json(parser)


def _add_search(parser: Parser) -> None:
    """How the search goes, and when it ends early."""
    from tvm_ops.tuning.tuners import TUNERS

    parser.add_argument(
        "--tuner",
        choices=TUNERS,
        help="xgb: evolution with a cost model; evolutionary: without one; random; grid: all in "
        "order (default: xgb)",
    )
    parser.add_argument(
        "--no-transfer",
        dest="transfer",
        action="store_false",
        default=None,
        help="learn nothing from the logs of other workloads and targets",
    )
    parser.add_argument("--seed", type=whole(0), metavar="S", help="of the search (default: 0)")
    parser.add_argument(
        "--early-stop",
        type=whole(1),
        metavar="N",
        help="end a workload after N trials without gain",
    )
    parser.add_argument(
        "--time-limit",
        type=duration,
        metavar="TIME",
        help="begin no batch after TIME, as 90s, 30m or 1h30m",
    )
    parser.add_argument(
        "--target-ms", type=positive, metavar="X", help="end a workload that takes X ms or less"
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        help="that one run of a candidate may take (default: 60)",
    )


def add_choose(verbs: Verbs) -> None:
    """``choose``."""
    about = "which operator does a network's 3x3 layers of stride 1 fastest, as the logs say"
    example = """\
examples:
  tvm-ops choose --target rpi4
  tvm-ops choose --target rpi4 --workload conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32"""
    parser = add_verb(verbs, "choose", cli_choose.choose, about, example)
    parser.add_argument(
        "--target", type=target, required=True, metavar="T", help="see: tvm-ops list targets"
    )
    parser.add_argument("--workload", metavar="KEY", help="one layer, by its conv2d key")
    parser.add_argument(
        "--network", type=network, metavar="NAME", help="the layers of one network (default: all)"
    )
    add_layout(parser)
    add_logs(parser)
    add_json(parser)
