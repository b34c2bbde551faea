"""The kernels of ``depthwise_conv2d``: ``blocks`` and ``planes`` in tiles, ``loops`` by pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm_ops.lowering import STRAIGHT_LINE
from tvm_ops.operators._conv import ConvWorkload
from tvm_ops.operators._conv_pack import Packed
from tvm_ops.operators._depthwise_tiles import FENCE, Span, TileCode, spans
from tvm_ops.operators._epilogue import activate_tir


def tile_spans(w: ConvWorkload, knobs: dict[str, Any]) -> tuple[list[Span], list[Span]]:
    """Rows and columns of ``blocks`` or ``planes`` in tiles, as knob ``tile`` says."""
    rows, cols = knobs["tile"]
    if knobs["sketch"] == "blocks":
        return spans(w, 0, rows), spans(w, 1, cols)
    return _plane_rows(w, rows), _plane_columns(w, cols, knobs["lanes"])


def kernel_shapes(w: ConvWorkload) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the kernel's parameters, in their order."""
    c = w.block[1]
    blocks = -(-w.co // c)
    shapes = {
        "x": w.kernel_input_shape,
        "weights": (blocks, *w.kernel, c),
        "bias": (blocks, c),
        "slope": (blocks, c),
        "residual": w.kernel_output_shape,
    }
    return {name: shapes[name] for name in w.arguments} | {"y": w.kernel_output_shape}


def compute(w: ConvWorkload, knobs: dict[str, Any]) -> Any:
    """The PrimFunc with the block ``conv``, over n, channel (block), lane (of ``loops``: vector).

    ``planes`` has ``pack_input``, over n, channel and row, as well.
    """
    from tvm.script.ir_builder import IRBuilder
    from tvm.script.ir_builder import tirx as T

    emit = {"blocks": _blocks, "planes": _planes, "loops": _loops}[knobs["sketch"]]
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True, STRAIGHT_LINE: True})
        shapes = kernel_shapes(w)
        buffers = {name: T.arg(name, T.buffer(shapes[name])) for name in shapes}
        emit(w, knobs, buffers)
    return builder.get()


def _blocks(w: ConvWorkload, knobs: dict[str, Any], buffers: dict[str, Any]) -> None:
    """Vectors of channels; x is read where it lies."""
    from tvm.script.ir_builder import tirx as T

    blocks, c = buffers["bias"].shape
    multiplier, loops = w.co // w.ci, (w.n, blocks, c)
    with T.grid(*loops) as indices, T.sblock("conv"):
        vn, vb, lane = map(T.axis.spatial, loops, indices)
        _declare(w, buffers, vn, vb, lane)
        channel = lane if multiplier == 1 else (vb % multiplier * c + lane) // multiplier

        def load(i: int, j: int, top: Any, left: Any) -> Any:
            row, column = top * w.stride[0] - w.pad[0] + i, left * w.stride[1] - w.pad[1] + j
            return buffers["x"][vn, vb // multiplier, row, column, channel]

        code = TileCode(
            w, buffers, load,
            weight=lambda i, j: buffers["weights"][vb, i, j, lane],
            parameter=lambda name: buffers[name][vb, lane],
            output=lambda row, column: [vn, vb, row, column, lane],
            positions=(
                lambda output, tap: output * w.stride[0] + tap * w.dilation[0],
                lambda output, tap: output * w.stride[1] + tap * w.dilation[1],
            ),
            fence_rows=knobs["fence"] == "row",
        )  # fmt: skip
        with T.attr(buffers["y"].data, "pragma_import_llvm", FENCE):
            code.emit(*tile_spans(w, knobs))


def _planes(w: ConvWorkload, knobs: dict[str, Any], buffers: dict[str, Any]) -> None:
    """NCHW: vectors of neighbouring columns, from a padded copy that is split by stride."""
    from tvm.script.ir_builder import tirx as T

    lanes, multiplier = knobs["lanes"], w.co // w.ci
    layout = Packed.of(w, w.out_h, w.out_w)
    packed = T.sblock_alloc_buffer(layout.shape)
    layout.pack_input(buffers["x"], packed, lanes)
    loops = (w.n, w.co, lanes)
    with T.grid(*loops) as indices, T.sblock("conv"):
        vn, vo, lane = map(T.axis.spatial, loops, indices)
        source = [vn, vo // multiplier]
        T.reads(
            packed[tuple([*source, *(slice(0, s) for s in layout.shape[2:])])],
            *(_region(buffers[name], w, vn, vo, 0) for name in w.arguments if name != "x"),
        )
        T.writes(_region(buffers["y"], w, vn, vo, 0))

        def load(i: tuple[int, int], j: tuple[int, int], top: Any, left: Any) -> Any:
            rows, cols = layout.rows, layout.cols
            index = [rows.phase(i[1]), rows.index(top + i[0], i[1])]
            index += [cols.phase(j[1]), cols.index(left + j[0] + lane, j[1])]
            return packed[tuple([*source, *index])]

        code = TileCode(
            w, buffers, load,
            weight=lambda i, j: buffers["weights"][vo, i, j, 0],
            parameter=lambda name: buffers[name][vo, 0],
            output=lambda row, column: [vn, vo, row, column + lane],
            positions=(lambda output, tap: _same_row(w, output, tap), lambda *at: at),
            fence_rows=knobs["fence"] == "row",
        )  # fmt: skip
        with T.attr(buffers["y"].data, "pragma_import_llvm", FENCE):
            code.emit(*tile_spans(w, knobs))


def _same_row(w: ConvWorkload, output: int, tap: int) -> tuple[int, int]:
    """The first (output, tap) that reads the same row of the padded input."""
    row = output * w.stride[0] + tap * w.dilation[0]
    found = (
        (o, t) for o in range(output + 1) for t in range(w.kernel[0])
        if o * w.stride[0] + t * w.dilation[0] == row
    )  # fmt: skip
    return next(found)


def _plane_rows(w: ConvWorkload, tile: int) -> list[Span]:
    whole, rest = divmod(w.out_h, tile)
    taps = range(w.kernel[0])
    found = [Span(0, whole, tile, tuple(range(tile)), (taps,) * tile)] if whole else []
    if rest:
        found.append(Span(whole * tile, 1, tile, tuple(range(rest)), (taps,) * rest))
    return found


def _plane_columns(w: ConvWorkload, tile: int, lanes: int) -> list[Span]:
    """Tiles of ``tile`` vectors; where lanes do not divide the row, the last two overlap."""
    step, taps = tile * lanes, range(w.kernel[1])
    whole, rest = divmod(w.out_w, step)
    found = [Span(0, whole, step, tuple(range(0, step, lanes)), (taps,) * tile)] if whole else []
    if rest:
        start = min(whole * step, w.out_w - lanes)
        outputs = sorted({*range(0, w.out_w - start - lanes, lanes), w.out_w - start - lanes})
        found.append(Span(start, 1, step, tuple(outputs), (taps,) * len(outputs)))
    return found


def _loops(w: ConvWorkload, knobs: dict[str, Any], buffers: dict[str, Any]) -> None:
    """Kernels of any size in loops: too many taps for straight-line code."""
    from tvm import tirx
    from tvm.script.ir_builder import tirx as T

    (blocks, c), lanes = buffers["bias"].shape, knobs["lanes"]
    multiplier, loops = w.co // w.ci, (w.n, blocks, int(c) // lanes)
    total = T.sblock_alloc_buffer((lanes,), scope="local")
    with T.grid(*loops) as indices, T.sblock("conv"):
        vn, vb, vv = map(T.axis.spatial, loops, indices)
        _declare(w, buffers, vn, vb, slice(vv * lanes, vv * lanes + lanes))

        def taps(axis: int, output: Any) -> tuple[Any, Any]:
            """The first tap that lies in the input, and how many do."""
            start, d = output * w.stride[axis] - w.pad[axis], w.dilation[axis]
            first = tirx.min(tirx.max((d - 1 - start) // d, 0), w.kernel[axis])
            end = tirx.min(((w.h, w.w)[axis] - 1 - start) // d + 1, w.kernel[axis])
            return first, tirx.max(end - first, 0)

        def each_lane(value: Callable[[Any, Any], Any], to: Any, at: list[Any]) -> None:
            with T.vectorized(0, lanes) as i:
                lane = vv * lanes + i
                T.buffer_store(to, value(i, lane), [*at, lane][: len(to.shape)] if at else [i])

        def start(_: Any, lane: Any) -> Any:
            bias = buffers["bias"][vb, lane]
            return bias + buffers["residual"][tuple(pixel(lane))] if w.residual else bias

        def add(i: Any, lane: Any) -> Any:
            channel = (vb % multiplier * c + lane) // multiplier
            y, x = (
                output * w.stride[axis] - w.pad[axis] + tap * w.dilation[axis]
                for axis, (output, tap) in enumerate(((row, kh), (column, kw)))
            )
            at = [vn, vb // multiplier, y, x, channel]
            value = buffers["x"][tuple(at[: len(buffers["x"].shape)])]
            return total[i] + value * buffers["weights"][vb, kh, kw, lane]

        def finish(i: Any, lane: Any) -> Any:
            slope = buffers["slope"][vb, lane] if "slope" in buffers else None
            return activate_tir(w.activation, total[i], slope)

        def pixel(lane: Any) -> list[Any]:
            return [vn, vb, row, column, lane][: len(buffers["y"].shape)]

        with T.serial(0, w.out_h) as row, T.serial(0, w.out_w) as column:
            each_lane(start, total, [])
            (top, rows), (left, cols) = taps(0, row), taps(1, column)
            with T.serial(0, rows) as i, T.serial(0, cols) as j:
                kh, kw = top + i, left + j
                each_lane(add, total, [])
            each_lane(finish, buffers["y"], [vn, vb, row, column])


def _declare(w: ConvWorkload, buffers: dict[str, Any], n: Any, block: Any, lane: Any) -> None:
    """What one channel's iteration reads and writes."""
    from tvm.script.ir_builder import tirx as T

    source = block // (w.co // w.ci)
    T.reads(
        _region(buffers["x"], w, n, source, None),
        *(_region(buffers[name], w, n, block, lane) for name in w.arguments if name != "x"),
    )
    T.writes(_region(buffers["y"], w, n, block, lane))


def _region(buffer: Any, w: ConvWorkload, n: Any, block: Any, lane: Any) -> Any:
    """A channel's part: [n, block, h, w(, c)] of x, y and residual, [block, .., c] of others."""
    image = buffer.name in ("x", "y", "residual")
    index: list[Any] = [n, block] if image else [block]
    has_lane = not image or w.block[1] > 1
    middle = len(buffer.shape) - len(index) - has_lane
    index += [slice(0, s) for s in buffer.shape[len(index) : len(index) + middle]]
    if has_lane:
        index.append(slice(0, buffer.shape[-1]) if lane is None else lane)
    return buffer[tuple(index)]
