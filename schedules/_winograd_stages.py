"""The template of ``winograd_conv2d``: where each of its blocks is computed, and its loops."""

from __future__ import annotations

from typing import Any

Knobs = dict[str, Any]

READ = 4  # values of neighbouring tiles that one load brings; the multiplies take them one by one


def schedule(sch: Any, knobs: Knobs) -> None:
    """Schedules the blocks of ``operators/winograd_conv2d.py`` in place."""
    lanes, (tile_p, tile_co) = knobs["lanes"], knobs["tile"]
    gemm, epilogue = sch.get_sblock("gemm"), sch.get_sblock("epilogue")
    transform, pack = sch.get_sblock("transform"), sch.get_sblock("pack_input")

    n, p, co = sch.get_loops(epilogue)
    p_block, p_in = _split_blocks(sch, p, knobs["block_p"] * tile_p)
    co_block, co_in = _split_blocks(sch, co, knobs["block_co"] * tile_co // lanes)
    sch.reorder(n, p_block, co_block, p_in, co_in)
    sch.parallel(p_block if knobs["block_p"] else co_block)  # refused once other blocks are inside
    if len(sch.mod["main"].params[-1].shape) == 4:  # not in blocks of channels
        inverse = sch.get_sblock("inverse")
        sch.compute_at(inverse, co_in, preserve_unit_loops=True)
        sch.set_scope(inverse, 0, "local")
        sch.vectorize(sch.get_loops(inverse)[-1])
    sch.compute_at(gemm, co_block, preserve_unit_loops=True)
    sch.compute_at(transform, p_block, preserve_unit_loops=True)
    _schedule_input(sch, knobs, transform, pack, p_block)
    if knobs["sketch"] == "neon":
        _order_tiles(sch, knobs, gemm)
    else:
        _schedule_gemm(sch, knobs, gemm, tile_p, tile_co)


def _order_tiles(sch: Any, knobs: Knobs, gemm: Any) -> None:
    assembly = sch.get(gemm).annotations["pragma_import_llvm"]
    sch.unannotate(gemm, "pragma_import_llvm")
    e, p_tile, co_tile = sch.get_loops(gemm)[-3:]
    outer = [co_tile, p_tile] if knobs["order"] == "co_outer" else [p_tile, co_tile]
    sch.reorder(e, *outer)
    sch.annotate(outer[-1], "pragma_import_llvm", assembly)


def _split_blocks(sch: Any, loop: Any, size: int) -> Any:
    return sch.split(loop, [None, size] if size else [1, None])


def _schedule_input(sch: Any, knobs: Knobs, transform: Any, pack: Any, p_block: Any) -> None:
    loops = sch.get_loops(transform)
    if knobs["sketch"] != "phased":
        p_in, channel, lane = loops[-3:]
        sch.reorder(channel, p_in)
    else:
        channel, p_in = loops[-2:]
        p_in, lane = sch.split(p_in, [None, knobs["lanes"]])
    sch.compute_at(pack, channel if knobs["pad_at"] == "channel" else p_block)
    sch.vectorize(lane)


def _schedule_gemm(sch: Any, knobs: Knobs, gemm: Any, tile_p: int, tile_co: int) -> None:
    lanes = knobs["lanes"]
    e, p, co, k = sch.get_loops(gemm)[-4:]
    p_tile, p_in = sch.split(p, [None, tile_p])
    co_tile, co_in = sch.split(co, [None, tile_co])
    co_in, co_lane = sch.split(co_in, [None, lanes])
    lane_k = lanes if knobs["v_inner"] == "channel" else 1
    k_out, k_group, k_in = sch.split(k, [None, knobs["unroll_k"] // lane_k, lane_k])
    outer = [co_tile, p_tile] if knobs["order"] == "co_outer" else [p_tile, co_tile]
    sch.reorder(e, *outer, k_out, k_group, k_in, p_in, co_in, co_lane)
    accumulators = sch.cache_write(gemm, 0, "local")
    sch.reverse_compute_at(accumulators, outer[-1])
    # The transformed input must be read as vectors, or it becomes one scalar load a multiply.
    read = lanes if knobs["v_inner"] == "channel" else READ
    _read_as_vectors(sch, gemm, 0, k_group, 4, read)
    if knobs["read_weights"]:
        at, inside = (k_group, 4) if lane_k == 1 else (k_in, 3)
        _read_as_vectors(sch, gemm, 1, at, inside, lanes)
    sch.unroll(k_group)
    sch.unroll(k_in)
    sch.unroll(p_in)
    sch.unroll(co_in)
    sch.vectorize(co_lane)
    *_, row, column = sch.get_loops(accumulators)
    column, lane = sch.split(column, [None, lanes])
    sch.unroll(row)
    sch.unroll(column)
    sch.vectorize(lane)
    if knobs["pipeline"]:  # the loads of the next k before the multiplies of this one
        copies = 1 + (knobs["read_weights"] and lane_k == 1)
        sch.annotate(k_group, "software_pipeline_stage", [0] * copies + [1])
        sch.annotate(k_group, "software_pipeline_order", list(range(copies + 1)))
    sch.decompose_reduction(gemm, k_out)


def _read_as_vectors(
    sch: Any, gemm: Any, operand: int, at: Any, loops_inside: int, lanes: int
) -> None:
    """Copy what one iteration of ``at`` reads, ``loops_inside`` of the gemm's loops being in it."""
    copy = sch.cache_read(gemm, operand, "local")
    sch.compute_at(copy, at)
    depth = len(sch.get_loops(gemm)) - loops_inside
    fused = sch.fuse(*sch.get_loops(copy)[depth:])
    vectors, lane = sch.split(fused, [None, lanes])
    sch.unroll(vectors)
    sch.vectorize(lane)
