"""The arguments of the verbs that bring logs in and out; see ``cli_parser``."""

from __future__ import annotations

from pathlib import Path

from tvm_ops import cli_logs
from tvm_ops.cli_arguments import (
    Verbs,
    add_json,
    add_logs,
    add_output,
    add_verb,
    add_workloads,
    operator,
    target,
)


def add_import_log(verbs: Verbs) -> None:
    """``import-log``."""
    about = "AutoTVM's log as records to begin with: candidates of a search, knobs of a build"
    example = """\
examples:
  tvm-ops import-log resnet18.log
  tvm-ops import-log tophub.jsonl --target rpi4

Versions 0.1 and 0.2 of conv2d_nchw_spatial_pack.arm_cpu, conv2d_nchw_winograd.arm_cpu and
depthwise_conv2d_nchw.arm_cpu. Exit code 1 if a line was refused; each says why."""
    parser = add_verb(verbs, "import-log", cli_logs.import_log, about, example)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="JSON lines, as AutoTVM writes them"
    )
    parser.add_argument(
        "--target",
        type=target,
        metavar="T",
        help="for which the records are candidates, whatever board they are of "
        "(default: the target that each line's model names: bcm2837, bcm2711, ...)",
    )
    add_logs(parser)
    add_json(parser)


def add_export_log(verbs: Verbs) -> None:
    """``export-log``."""
    about = "our records as AutoTVM's lines, or as MetaSchedule's database"
    example = """\
examples:
  tvm-ops export-log --target rpi4 -o rpi4.log
  tvm-ops export-log conv2d --target rpi4 --format metaschedule -o database

Knobs that none of AutoTVM's templates has become options of template tvm_ops.OPERATOR."""
    parser = add_verb(verbs, "export-log", cli_logs.export_log, about, example)
    parser.add_argument(
        "operators", type=operator, nargs="*", metavar="OPERATOR", help="(default: all with a log)"
    )
    add_workloads(parser, default="all in the log")
    parser.add_argument(
        "--format",
        choices=["autotvm", "metaschedule"],
        default="autotvm",
        help="a file of lines, or a folder with the best record of each workload "
        "(default: autotvm)",
    )
    parser.add_argument(
        "--best", action="store_true", help="of lines: only the best record of each workload"
    )
    add_output(parser, "PATH", "the file, or the folder")
    add_json(parser)
