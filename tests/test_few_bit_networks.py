"""Few-bit networks: which layer is which task; sums, tables and plots of made-up figures."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import ROOT

from tvm_ops import cli_few_bit
from tvm_ops.errors import InputError
from tvm_ops.few_bit import runs
from tvm_ops.few_bit.chart import bars
from tvm_ops.few_bit.documents import (
    SCRIPT,
    plots,
    read_layers_document,
    read_sums,
    write_documents,
)
from tvm_ops.few_bit.runs import Known, Run, measure, runs_path
from tvm_ops.few_bit.sums import NetworkSums, kernels, network_sums
from tvm_ops.few_bit.tables import document, speedups
from tvm_ops.few_bit.tasks import (
    ABLATION,
    ONE_BIT,
    PRECISIONS,
    Kernel,
    ablated,
    binarized,
    few_bit_task,
    float_layers,
    knobs_of,
    packing_task,
)
from tvm_ops.networks import FEW_BIT, layers
from tvm_ops.peers.figures import PEERS, Figure, append_figures, figures_path
from tvm_ops.performance.lines import append_line
from tvm_ops.performance.markdown import marks
from tvm_ops.targets import get_target
from tvm_ops.template import default_knobs
from tvm_ops.tuning.log import append, log_path, new_record

RPI3 = get_target("rpi3")
DATE = "2026-03-04T05:06:07+00:00"
# Of the binarized layers how many are convolutions, how many dense, each as often as there.
COUNTS = {"alexnet": (4, 2), "vgg11": (7, 2), "resnet18": (19, 0), "squeezenet": (24, 0)}
STAY_FLOAT = {
    "alexnet": ("conv2d-n1_ci3_h224_w224_co64_k11_s4_p2-f32", "dense-n1_ci4096_co1000_none-f32"),
    "vgg11": ("conv2d-n1_ci3_h224_w224_co64_k3_s1_p1-f32", "dense-n1_ci4096_co1000_none-f32"),
    "resnet18": ("conv2d-n1_ci3_h224_w224_co64_k7_s2_p3-f32", "dense-n1_ci512_co1000_none-f32"),
    "squeezenet": (
        "conv2d-n1_ci3_h224_w224_co96_k7_s2_p2-f32",
        "conv2d-n1_ci512_h13_w13_co1000_k1_s1_p0-f32",
    ),
}


@pytest.mark.parametrize("network", FEW_BIT)
def test_all_but_the_first_and_the_last_layer_are_binarized(network):
    first, last = float_layers(network)
    assert (first.key, last.key) == STAY_FLOAT[network]
    assert first.count == last.count == 1
    found = binarized(network)
    assert len(found) + 2 == len(layers(network))
    of_kind = [sum(x.count for x in found if x.operator == op) for op in ("conv2d", "dense")]
    assert tuple(of_kind) == COUNTS[network]
    for layer in found:
        for precision in PRECISIONS:
            task = few_bit_task(layer, precision, RPI3)
            assert task.operator == f"bitserial_{layer.operator}"
            w = task.workload
            assert (w.a_bits, w.w_bits, w.out_bits) == (precision.a_bits, 1, precision.a_bits)
            assert w.macs >= layer.workload.macs


def test_channels_are_rounded_up_to_what_a_word_holds_anyway():
    narrow = {x.workload.ci for x in binarized("squeezenet") if x.workload.ci % 32}
    assert narrow == {16, 48}
    layer = next(x for x in binarized("squeezenet") if x.workload.ci == 48)
    w = few_bit_task(layer, ONE_BIT, RPI3).workload
    assert w.ci == 64
    # What a layer of 48 output channels writes is what this one reads.
    before = next(x for x in binarized("squeezenet") if x.workload.co == 48)
    written = few_bit_task(before, ONE_BIT, RPI3).workload.kernel_output_shape
    assert written == w.kernel_input_shape


def test_the_first_layers_output_is_packed_after_its_pooling():
    task = packing_task("resnet18", PRECISIONS[1], RPI3)
    assert task.key == "bitpack-n1_h56_w56_c64_a2_tensor-f32u64"


def test_each_step_is_also_without_what_those_before_are_without():
    layer = next(x for x in binarized("alexnet") if x.operator == "dense")
    task = few_bit_task(layer, ONE_BIT, RPI3)
    steps = [list(ablated(task, step)) for step in range(len(ABLATION))]
    assert steps[0] == [Kernel(task, default_knobs(task))]
    fused, acc = (k[0].task.key for k in (steps[1], steps[2]))
    assert fused == task.key and acc == task.key.replace("thr1", "acc")
    assert [k.task.operator for k in steps[1][1:]] == ["bitpack"]
    for step in steps[2:]:
        assert [k.task.key for k in step] == [
            acc, "fused_glue-n1_h1_w1_c4096_thr1-s16u64", "bitpack-n1_h1_w1_c4096_a1_tensor-s8u64",
        ]  # fmt: skip
    # As the layer's, the knobs of what stands behind it are never tuned ones.
    assert all(k.knobs == default_knobs(k.task) for step in steps[1:] for k in step[1:])
    plain = [(k.knobs["vectorize"], k.knobs["popcount"]) for (k, *_) in steps[3:]]
    assert plain == [(True, "cnt"), (False, "cnt"), (False, "swar")]
    options = [k.task.target.llvm_options for (k, *_) in steps[3:]]
    assert options[0] == RPI3.llvm_options
    assert all("-vectorize-slp:bool=false" in found for found in options[1:])


class Made:
    """Made-up logs and runs of one network."""

    def __init__(self, folder: Path, network: str = "alexnet") -> None:
        self.logs, self.folder, self.network = folder / "logs", folder / "docs/performance", network

    def floats(self, cycles: int, skip: str = "") -> Made:
        """Each layer takes ``cycles`` with the fastest peer, others more."""
        found = [
            Figure(x.key, "rpi3", peer, "1", "modelled", cycles * n, 1.0, 0.0, None, DATE)
            for x in layers(self.network)
            if x.key != skip
            for n, peer in enumerate(PEERS, 1)
        ]
        append_figures(figures_path(self.logs, "rpi3"), found)
        return self

    def runs(self, cycles: int, operator: str = "", skip: str = "") -> Made:
        for kernel in kernels(self.network, RPI3):
            if operator in kernel.task.operator and kernel.task.key != skip:
                run = Run(kernel.task.key, "rpi3", knobs_of(kernel), cycles, DATE)
                append_line(runs_path(self.folder, "rpi3"), run)
        return self

    @property
    def known(self) -> Known:
        return Known(RPI3, self.logs, self.folder)

    @property
    def sums(self) -> NetworkSums:
        return network_sums(self.network, RPI3, self.logs, self.known)


def test_sums(tmp_path):
    found = Made(tmp_path).floats(1000).runs(100).sums
    assert found.missing == []
    assert len(found.partly) == 8 and found.partly[0].endswith(": not tuned")
    assert (found.whole["float32"], found.binarized["float32"]) == (8000, 6000)
    assert (found.whole["2 bits bipolar"], found.binarized["1 bit unipolar"]) == (2700, 600)
    assert found.speedup("1 bit unipolar", whole=False) == 10
    assert found.speedup("3 bits unipolar") == pytest.approx(8000 / 2700)
    assert list(found.ablation.values()) == [600, 1200, 1800, 1800, 1800, 1800]
    assert found.slowdown("without fused glue") == 3
    assert NetworkSums.of_json(json.loads(json.dumps(asdict(found)))) == found


def test_layers_count_as_often_as_they_are_there(tmp_path):
    found = Made(tmp_path, "squeezenet").floats(1000).runs(100).sums
    assert (found.whole["float32"], found.binarized["1 bit bipolar"]) == (26_000, 2400)


def test_what_is_missing_is_named_and_makes_its_sums_unknown(tmp_path):
    first, _last = float_layers("alexnet")
    layer = binarized("alexnet")[0]
    gone = few_bit_task(layer, PRECISIONS[1], RPI3).key
    found = Made(tmp_path).floats(1000, skip=first.key).runs(100, skip=gone).sums
    assert found.missing == [f"no float32 figure of `{first.key}`", f"no run of `{gone}`"]
    assert found.whole["float32"] is None and found.binarized["float32"] == 6000
    assert found.binarized["2 bits unipolar"] is None
    assert found.speedup("1 bit unipolar") is None
    assert found.speedup("1 bit unipolar", whole=False) == 10
    text = "\n".join(document({"rpi3": [found]}))
    assert f"AlexNet is not whole: no float32 figure of `{first.key}`" in text
    assert "10.00x" in text and "| – | – |" in text


def test_the_better_of_tuned_and_default_knobs_counts(tmp_path):
    made = Made(tmp_path).runs(100)
    task = few_bit_task(binarized("alexnet")[1], ONE_BIT, RPI3)
    for cycles in (120, 90):
        record = new_record(task, {"sketch": "x"}, "modelled", seconds=[1.0], cycles=cycles)
        record = replace(record, checked=cycles < 100)
        append(log_path(made.logs, "rpi3", task.operator), [record])
    assert made.known.cycles(Kernel(task)) == 90
    assert made.known.cycles(Kernel(task, knobs_of(Kernel(task)))) == 100


def test_only_what_is_not_known_is_run_and_failures_are_told(tmp_path, monkeypatch):
    made = Made(tmp_path).runs(100, operator="bitserial")
    tried = []

    def run(kernel: Kernel) -> Run | str:
        tried.append(kernel.task.key)
        if kernel.task.operator == "fused_glue":
            return "wrong result: 1 of 2 differ"
        return Run(kernel.task.key, "rpi3", knobs_of(kernel), 7, DATE)

    monkeypatch.setattr(runs, "_run", run)
    wanted, told = kernels("alexnet", RPI3), []
    problems = measure(wanted, RPI3, made.logs, made.folder, report=told.append)
    assert {key.split("-")[0] for key in tried} == {"bitpack", "fused_glue"}
    assert len(tried) == len(set(tried)) == len(told)
    assert problems and all("wrong result: 1 of 2 differ" in line for line in problems)
    tried.clear()
    assert measure(wanted, RPI3, made.logs, made.folder) == problems
    assert {key.split("-")[0] for key in tried} == {"fused_glue"}
    tried.clear()
    measure(wanted, RPI3, made.logs, made.folder, again=True)
    assert {kernel.task.key for kernel in wanted} == set(tried)


def test_what_was_run_before_ctrl_c_is_kept(tmp_path, monkeypatch, capsys):
    made = Made(tmp_path)

    def run(kernel: Kernel) -> Run:
        if kernel.task.operator != "bitpack":
            raise KeyboardInterrupt
        return Run(kernel.task.key, "rpi3", knobs_of(kernel), 7, DATE)

    monkeypatch.setattr(runs, "_run", run)
    arguments = ["--measure", "rpi3", "--logs", str(made.logs), "--root", str(tmp_path)]
    assert cli_few_bit.main(arguments) == 130
    assert "what was measured is kept" in capsys.readouterr().err
    kept = runs_path(made.folder, "rpi3").read_text().splitlines()
    assert kept and all('"task": "bitpack-' in line for line in kept)


def test_plots_have_a_bar_for_each_known_value():
    text = bars("a <b", ["one", "two"], ["x", "y"], [[1.0, 2.0], [None, 4.0]])
    root = ElementTree.fromstring(text)
    paths = [e for e in root.iter() if e.tag.endswith("path") and "fill" in e.attrib]
    assert len(paths) == 1 + 2 + 3  # the page, the legend, the bars
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert texts[0] == "a <b" and texts.count("?") == 1


def test_command_line(tmp_path, capsys):
    made = Made(tmp_path).floats(1000).runs(100)
    begin, end = marks(SCRIPT)
    for name in ("docs/performance.md", "README.md"):
        (tmp_path / name).write_text(f"before\n{begin}\n{end}\nafter\n")
    arguments = ["--logs", str(made.logs), "--root", str(tmp_path)]
    assert cli_few_bit.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "| AlexNet |" in printed and "| 8.4x |" in printed
    text = (tmp_path / "docs/performance.md").read_text()
    assert (
        text.startswith("before\n")
        and text.endswith("\nafter\n")
        and printed.partition("\n\nrpi3, all layers:")[0] in text
    )
    assert re.search(r"^AlexNet, 3 bits unipolar +█{6} 2.96x$", printed, re.MULTILINE)
    assert read_sums(tmp_path, "rpi3")[0] == made.sums
    assert cli_few_bit.main(["rpi2", *arguments]) == 2
    assert "unknown target 'rpi2'" in capsys.readouterr().err
    absent = tmp_path / "absent"
    assert cli_few_bit.main(["--logs", str(made.logs), "--root", str(absent)]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(rf"few_bit_networks: {absent}/\S+: No such file or directory\n", said)


def test_sums_of_other_fields_are_refused():
    with pytest.raises(InputError, match="sums of a network"):
        NetworkSums.of_json({"speed": 1})


def test_the_documents_are_those_of_the_committed_sums(tmp_path):
    found = {target: read_sums(ROOT, target) for target in cli_few_bit.TARGETS}
    (tmp_path / "docs/performance").mkdir(parents=True)
    names = ("docs/performance.md", "README.md")
    committed = {name: (ROOT / name).read_text() for name in names}
    for name in names:
        (tmp_path / name).write_text(committed[name])
    write_documents(tmp_path, found, read_layers_document(ROOT))
    assert {name: (tmp_path / name).read_text() for name in names} == committed
    for target, sums in found.items():
        assert [s.network for s in sums] == list(FEW_BIT)
        folder = ROOT / "docs/performance"
        names = [f"{target}-few-bit.svg", f"{target}-few-bit-without.svg"]
        assert [(folder / name).read_text() for name in names] == list(plots(target, sums))
        assert any("10.6x" in line for line in speedups(target, sums))
