"""``docs/from-autotvm.md``: what its table promises is there, and its examples run."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tvm_ops.cli import main
from tvm_ops.interrupts import WORDS

TEXT = (ROOT / "docs/from-autotvm.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (`.*) \| (.*) \| \[.*\]\(#(.*)\) \|$", re.MULTILINE)
SECTIONS = {
    title.lower().replace(" ", "-"): body
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
NAMES = [
    "template", "define_split", "define_knob", "define_reorder", "define_annotate", "XGBTuner",
    "GATuner", "RandomTuner", "GridSearchTuner", "early_stopping", "LocalBuilder", "LocalRunner",
    "RPCRunner", "callbacks", "apply_history_best", "pick_best", "load_history",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_name_has_a_line_with_an_example(name: str) -> None:
    (anchor,) = [anchor for names, _ours, anchor in ROW.findall(TEXT) if f"`{name}`" in names]
    assert BLOCK.search(SECTIONS[anchor])
    assert name in SECTIONS[anchor] or f"cfg.{name}" in SECTIONS[anchor]


def test_the_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the document's order, in one folder and one namespace."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    handlers = {number: signal.getsignal(number) for number in WORDS}
    try:
        for language, code in BLOCK.findall(TEXT):
            if language == "python":
                exec(compile(code, "docs/from-autotvm.md", "exec"), names)
            else:
                assert language == "sh"
                for line in code.splitlines():
                    command, *arguments = shlex.split(line)
                    assert command == "tvm-ops"
                    assert main(arguments) == 0, line
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    printed = capsys.readouterr().out
    assert "10 of 10, best " in printed
    assert names["chosen"] == names["record"].knobs and names["record"].board == "modelled"
    templates = [json.loads(text)["input"][1] for text in Path("best.log").read_text().splitlines()]
    assert "conv2d_nchw_spatial_pack.arm_cpu" in templates  # the imported one, of its board
    trials = [json.loads(text) for text in Path("logs/rpi4/conv2d.jsonl").read_text().splitlines()]
    assert 3 < len(Path("early/rpi4/conv2d.jsonl").read_text().splitlines()) < 1000
    imported, _default, first, *_ = [r for r in trials if r["task"].endswith("_none-f32")]
    assert (imported["board"], first["board"]) == ("autotvm:bcm2837", "modelled")
    assert imported["knobs"] == first["knobs"]
