"""ONNX Runtime (Microsoft), its CPU provider with all optimisations of the graph.

Here, on x86-64, it works in a blocked layout (NCHWc) and puts ReorderInput and ReorderOutput around
the operator. Those do not belong to it: the optimised network is cut in three, and only the middle
is timed. On AArch64 it works in NCHW.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tvm_ops.peers.convolution import Array
from tvm_ops.peers.library import Library
from tvm_ops.peers.onnx_model import write_onnx
from tvm_ops.peers.work import Work
from tvm_ops.targets import Target


class OnnxRuntime(Library):
    """The network of each part: ``to_own.onnx``, ``network.onnx``, ``from_own.onnx``."""

    about = "ONNX Runtime (Microsoft), on the CPU"
    library = package = "onnxruntime"

    @property
    def settings(self) -> dict[str, bool]:
        return {}

    def write_network(
        self, work: Work, arrays: dict[str, Array], folder: Path, target: Target
    ) -> None:
        write_onnx(work, arrays, folder / "network.onnx")
        if target.isa == "x86_64":
            _cut_reorders_off(folder)


def _cut_reorders_off(folder: Path) -> None:
    """Replace network.onnx by its optimised form without the conversions, if it has any."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that such a file suits this processor only
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    providers = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(str(folder / "network.onnx"), options, providers=providers)
    model = onnx.load(folder / "optimised.onnx")
    reorders = {node.op_type: node for node in model.graph.node if "Reorder" in node.op_type}
    for name, file in (("ReorderInput", "to_own.onnx"), ("ReorderOutput", "from_own.onnx")):
        if name in reorders:
            _keep(model, [reorders[name]], folder / file)
    kept = [node for node in model.graph.node if node.op_type not in reorders]
    _keep(model, kept, folder / "network.onnx")


def _keep(model: Any, nodes: list[Any], path: Path) -> None:
    """Write a network of these nodes alone; shapes of what goes in and out are left open."""
    import onnx
    from onnx import TensorProto, helper

    made = {name for node in nodes for name in node.output}
    used = {name for node in nodes for name in node.input}
    constants = [c for c in model.graph.initializer if c.name in used]
    given = used - made - {c.name for c in constants} - {""}
    values = {value.name: value for value in [*model.graph.input, *model.graph.output]}

    def value(name: str) -> Any:
        return values.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    graph = helper.make_graph(
        nodes, "part", [value(n) for n in given], [value(n) for n in made - used], constants
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.save(part, path)
