"""The verb ``profile``; see ``cli_verbs``."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from tvm_ops.cli_output import check_output, print_table, write_json
from tvm_ops.cli_tasks import entries_of, tasks_of
from tvm_ops.errors import InputError

if TYPE_CHECKING:
    from tvm_ops.profile import Profile
    from tvm_ops.profile_block import Block, Instruction

_SHARE, _BLOCKS = 0.95, 8  # what is printed: blocks until this share of the cycles, at most these


def profile(arguments: Namespace) -> int:
    """``tvm-ops profile``."""
    check_output(arguments.json)
    if arguments.output and arguments.output.exists() and not arguments.output.is_dir():
        raise InputError(f"cannot write {arguments.output}: it is no folder")
    if len(arguments.workloads) > 1:
        raise InputError("profile shows one workload; --workload is there more than once")
    from tvm_ops.profile import check_target
    from tvm_ops.profile import profile as measure
    from tvm_ops.profile_block import until

    tasks = tasks_of(arguments)
    check_target(tasks[0].target)
    arguments.workloads = [tasks[0].key]
    ((task, knobs),), ((row),) = entries_of(arguments)
    if len(tasks) > 1:
        _tell(f"{task.key}: the first of the operator's {len(tasks)} workloads; see --workload")
    result = measure(task, knobs, report=_tell)
    blocks = until(result.blocks, _SHARE, _BLOCKS)
    _print_summary(result, row["knobs_from"])
    for number, block in enumerate(blocks, 1):
        _print_block(number, block)
    files = []
    if arguments.output:
        from tvm_ops.profile_page import write_profile

        page = write_profile(result, blocks, row["knobs_from"], arguments.output)
        files.append(str(page))
        print(files[0])
    facts = result.to_json(blocks) | {"knobs_from": row["knobs_from"], "files": files}
    write_json(arguments.json, facts)
    return 0


def _print_summary(result: Profile, origin: str) -> None:
    region, target = result.region, result.task.target
    print(f"board: {result.label}")
    print(f"{result.task.key}, knobs: {origin}")
    print(
        f"{region.cycles / 1e6:.2f} Mcycles, {region.ms:.3f} ms, "
        f"{result.percent_of_peak:.0f} % of peak, "
        f"{region.instructions / max(region.cycles, 1):.2f} instructions per cycle, "
        f"{region.l1_misses} L1 and {region.l2_misses} L2 misses, {region.mispredicts} mispredicts"
    )
    print(
        f"hot code (99 % of the cycles): {result.hot_code_bytes} bytes; "
        f"the core's instruction cache: {target.l1i_kib} KiB"
    )
    print(f"cycles by cause: {_percentages(result.causes, region.cycles)}")


def _percentages(causes: dict[str, int], cycles: int) -> str:
    shares = {cause: 100 * part / max(cycles, 1) for cause, part in causes.items()}
    return ", ".join(f"{cause} {share:.0f} %" for cause, share in shares.items())


def _print_block(number: int, block: Block) -> None:
    hot = block.hot
    print(f"\n{number}. {block.place}: {block.sentence}")
    print(
        f"{hot.executions} executions of {hot.cycles / hot.executions:.1f} cycles, "
        f"{hot.instructions} instructions, {hot.instructions_per_cycle:.2f} per cycle; "
        f"misses of an execution: {hot.l1_misses / hot.executions:.2f} L1, "
        f"{hot.l2_misses / hot.executions:.2f} L2"
    )
    print(f"cycles by cause: {_percentages(block.causes, hot.cycles)}")
    rows = [_line(instruction, block) for instruction in block.instructions]
    columns = ["cycles", "% of block", "L1 misses", "waits for", "address", "instruction"]
    print_table(columns, rows, right=columns[:3])


def _line(instruction: Instruction, block: Block) -> list[str]:
    """Cycles and misses are of one execution."""
    executions, waits = block.hot.executions, instruction.waits
    share = 100 * waits.cycles / max(block.hot.cycles, 1)
    misses = waits.l1_misses / executions
    return [
        f"{waits.cycles / executions:.2f}" if waits.cycles else "",
        f"{share:.1f}" if waits.cycles else "",
        f"{misses:.2f}" if misses >= 0.005 else "",
        instruction.waits_for,
        f"{instruction.address:x}",
        instruction.text,
    ]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
