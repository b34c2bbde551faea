"""From a scheduled PrimFunc to one plain C function that needs no TVM on the board.

The passes are those of TVM's own ``s_tir`` pipeline that concern a CPU, without MakePackedAPI: the
entry takes bare pointers, ``int32_t SYMBOL(T* a, T* b, ...)``, and returns 0.
"""

from __future__ import annotations

from typing import Any

from tvm_ops.targets import Target

STRAIGHT_LINE = "tvm_ops.straight_line"
"""Attribute of a function of long straight-line code, in which LLVM finds what is common: TVM takes
a time that grows with the square of the length (13 of 15 s for a depthwise layer of 5x5)."""

STACK_LIMIT = 4096  # bytes; larger local buffers go to the workspace


def compile_kernel(func: Any, symbol: str, target: Target) -> Any:
    """A TVM LLVM module with ``symbol``; ``write_to_file("k.o")``, ``inspect_source("asm")``."""
    import tvm

    module = _lowered(func, symbol, target)
    return _generated(tvm.IRModule({symbol: _plain_entry(module[symbol], symbol)}), target)


def compile_for_tvm(func: Any, symbol: str, target: Target) -> Any:
    """As ``compile_kernel``, with the entry that TVM's runtime calls, which takes its tensors."""
    from tvm import tirx

    return _generated(tirx.transform.MakePackedAPI()(_lowered(func, symbol, target)), target)


def _lowered(func: Any, symbol: str, target: Target) -> Any:
    import tvm

    config = tvm.target.Target(target.tvm)
    module = tvm.IRModule({symbol: func.with_attr("global_symbol", symbol)})
    module = tvm.tirx.transform.BindTarget(config.with_host(config))(module)
    return tvm.ir.transform.Sequential(_lowering(STRAIGHT_LINE in (func.attrs or {})))(module)


def _generated(module: Any, target: Target) -> Any:
    import tvm

    module = tvm.ir.transform.Sequential(_finish())(module)
    return tvm.get_global_func("target.build.llvm")(module, tvm.target.Target(target.tvm))


def _lowering(straight_line: bool) -> list[Any]:
    from tvm import s_tir, tirx

    s, x = s_tir.transform, tirx.transform
    passes = [
        s.CanonicalizeLoop(),
        s.LowerInitBlock(),
        s.PlanAndUpdateBufferAllocationLocation(),
        s.ConvertBlocksToOpaque(),
        s.CompactBufferAllocation(),
        s.LowerMatchBuffer(),
        s.StmtSimplify(),
        s.InjectSoftwarePipeline(),
        s.LowerOpaqueBlock(),
        x.FlattenBuffer(),
        x.NarrowDataType(32),
        s.LoopPartition(),
        x.VectorizeLoop(True),
        x.StorageRewrite(),
        s.HoistIfThenElse(),
        x.UnrollLoop(),
        s.RenormalizeSplitPattern(),
        x.StmtSimplify(),
        x.RemoveNoOp(),
        s.RewriteUnsafeSelect(),
    ]
    return passes if straight_line else [*passes, x.CommonSubexprElim()]


def _finish() -> list[Any]:
    from tvm import tirx

    stack_locals = tirx.transform.prim_func_pass(
        lambda func, _module, _context: func.with_body(_keep_on_stack(func.body)),
        opt_level=0,
        name="StackLocals",
    )
    return [stack_locals, tirx.transform.LowerTVMBuiltin(), tirx.transform.LowerIntrin()]


def _plain_entry(func: Any, symbol: str) -> Any:
    """Buffer parameters become pointers that buffers are declared on."""
    import tvm
    from tvm import tirx

    pointers, body = [], []
    for buffer in func.params:
        kind = tvm.ir.PointerType(tvm.ir.PrimType(str(buffer.dtype)), "global")
        pointer = tirx.Var(buffer.name + "_data", kind)
        pointers.append(pointer)
        body.append(tirx.DeclBuffer(buffer, data=pointer))
    # LowerTVMBuiltin asks for the device when it allocates workspace: device 0 of type CPU (1).
    inner = tirx.AttrStmt("default", "device_type", tirx.IntImm("int32", 1), func.body)
    body.append(tirx.AttrStmt("default", "device_id", tirx.IntImm("int32", 0), inner))
    body.append(tirx.Return(tirx.IntImm("int32", 0)))
    result = tvm.ir.PrimType("int32")
    entry = tirx.PrimFunc(pointers, tirx.SeqStmt(body), ret_type=result, attrs=func.attrs)
    return entry.with_attr("global_symbol", symbol)


def _keep_on_stack(stmt: Any) -> Any:
    """Small local buffers stay allocas, which LLVM turns into registers.

    TVM 0.27 sends them to TVMBackendAllocWorkspace unless the allocation says
    ``disable_lower_builtin``; LLVM then promotes them only sometimes (52.6 instead of 21.9 Mcycles
    for a Winograd layer of 256@14 on the modelled A53).
    """
    from tvm import tirx

    if isinstance(stmt, tirx.SeqStmt):
        return tirx.SeqStmt([_keep_on_stack(s) for s in stmt.seq])
    if isinstance(stmt, tirx.For):
        body = _keep_on_stack(stmt.body)
        return tirx.For(
            stmt.loop_var, stmt.min, stmt.extent, stmt.kind, body,
            stmt.thread_binding, stmt.annotations, stmt.step,
        )  # fmt: skip
    if isinstance(stmt, tirx.AttrStmt):
        return tirx.AttrStmt(stmt.node, stmt.attr_key, stmt.value, _keep_on_stack(stmt.body))
    if isinstance(stmt, tirx.IfThenElse):
        other = None if stmt.else_case is None else _keep_on_stack(stmt.else_case)
        return tirx.IfThenElse(stmt.condition, _keep_on_stack(stmt.then_case), other)
    if isinstance(stmt, tirx.AllocBuffer) and _is_small_local(stmt.buffer):
        keep = tirx.IntImm("bool", 1)
        notes = dict(stmt.annotations or {}) | {"disable_lower_builtin": keep}
        return tirx.AllocBuffer(stmt.buffer, notes)
    return stmt


def _is_small_local(buffer: Any) -> bool:
    import tvm
    from tvm import tirx

    if buffer.scope() != "local" or not all(isinstance(s, tirx.IntImm) for s in buffer.shape):
        return False
    kind = tvm.DataType(str(buffer.dtype))
    size = kind.bits * kind.lanes // 8
    for extent in buffer.shape:
        size *= int(extent)
    return size <= STACK_LIMIT
