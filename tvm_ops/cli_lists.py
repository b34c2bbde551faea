"""The tables of ``tvm-ops list``: column names and rows of text."""

from __future__ import annotations

from tvm_ops.operators import get_operator, operator_names
from tvm_ops.targets import NAMES, get_target
from tvm_ops.task import task_key

Table = tuple[list[str], list[list[str]]]


def operators() -> Table:
    """Each operator, the first line of its documentation, how many workloads it lists."""
    rows = []
    for name in operator_names():
        module = get_operator(name)
        about = (module.__doc__ or "").strip().splitlines()[0]
        rows.append([name, about, str(len(module.WORKLOADS))])
    return ["operator", "what it is", "workloads"], rows


def targets() -> Table:
    """Each board with what decides its speed."""
    rows = []
    for name in NAMES:
        t = get_target(name)
        caches = f"{t.l1d_kib} / {t.l2_kib}" + (f" / {t.l3_kib}" if t.l3_kib else "")
        timing = "modelled" if t.modelled else "wall clock" if t.emulator is None else "none yet"
        row = [name, t.board, t.core, t.isa, f"{t.clock_ghz:.1f}", f"{t.macs_per_cycle:.0f}"]
        rows.append([*row, caches, timing])
    columns = ["target", "board", "core", "isa", "GHz", "peak MAC/cycle", "caches KiB", "timing"]
    return columns, rows


def workloads() -> Table:
    """Each listed workload's full key, which ``--workload`` takes, and its work."""
    rows = []
    for name in operator_names():
        for w in get_operator(name).WORKLOADS:
            rows.append([task_key(name, w), f"{w.macs / 1e6:.1f}"])
    return ["workload", "MMAC"], rows


def peers() -> Table:
    """Each peer that ``--against`` takes."""
    from tvm_ops.peers import PEERS  # with numpy, which the other lists do without

    rows = [[name, peer.about] for name, peer in PEERS.items()]
    return ["peer", "what it is"], rows
