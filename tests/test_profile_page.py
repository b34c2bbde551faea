"""``tvm-ops profile``: what it prints, its page and JSON, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import RunCli

from tvm_ops.profile import Profile, profile
from tvm_ops.profile_block import until
from tvm_ops.profile_page import render
from tvm_ops.targets import get_target
from tvm_ops.task import parse_task
from tvm_ops.template import default_knobs

KEY = "winograd_conv2d-n1_ci16_h12_w12_co16_k3_s1_p1-f32"
VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """Raises AssertionError for tags that do not close; gathers ids, links, rows of code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.code: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.references += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-3:] == ["tr", "th", "span"]:
            self.code.append(data)


@pytest.fixture(scope="module")
def measured() -> Profile:
    task = parse_task("winograd_conv2d", KEY, get_target("rpi4"))
    return profile(task, default_knobs(task))


def test_a_profile_adds_up(measured: Profile) -> None:
    region = measured.region
    assert sum(block.hot.cycles for block in measured.blocks) == region.cycles
    assert sum(measured.causes.values()) == region.cycles
    assert sum(block.share for block in measured.blocks) == pytest.approx(1)
    assert measured.max_error is not None
    assert measured.max_error < 1e-4
    for block in measured.blocks:
        assert block.function, block.place
        assert all(i.text != "?" for i in block.instructions), block.place
    hot = [block for block in measured.blocks if block.share > 0.05]
    assert any(block.function == measured.task.symbol for block in hot)
    assert 100 < measured.hot_code_bytes < 20_000
    assert measured.loop


def test_the_page_is_sound_and_needs_nothing_else(measured: Profile) -> None:
    blocks = until(measured.blocks, 0.95, 8)
    text = render(measured, blocks, "<default> & so on")
    page = Page(text)
    assert "script" not in text
    assert not re.search(r"https?:|@import|url\(", text)
    assert page.references == [f"#block-{i}" for i in range(1, len(blocks) + 1)]
    assert page.ids == [reference[1:] for reference in page.references]
    assert page.code == [i.text for block in blocks for i in block.instructions]
    assert any(line.startswith("fmla v") for line in page.code)
    assert "&lt;default&gt; &amp; so on" in text
    assert all(block.sentence in text for block in blocks)
    for part in re.findall(r"width:([\d.]+)%", text):
        assert 0 < float(part) <= 100
    assert text == render(measured, blocks, "<default> & so on")


def test_the_command(run_cli: RunCli, measured: Profile, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    arguments = ["winograd_conv2d", "--target", "rpi4", "--workload", KEY, "--logs", "logs"]
    done = run_cli("profile", *arguments, "-o", "a/page", "--json", "facts.json")
    assert done.returncode == 0, done.stderr
    assert f"{KEY} is not tuned for rpi4" in done.stderr
    assert "building" in done.stderr
    assert [p.name for p in (tmp_path / "a/page").iterdir()] == ["profile.html"]
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["cycles"] == measured.region.cycles
    assert facts["hot_code_bytes"] == measured.hot_code_bytes
    assert facts["files"] == ["a/page/profile.html"]
    first = facts["blocks"][0]
    assert sum(i["cycles"] for i in first["instructions"]) == first["cycles"]
    assert f"1. {first['place']}: {first['sentence']}" in done.stdout
    for i in first["instructions"]:
        assert re.search(rf" {i['address']:x} +{re.escape(i['text'])}$", done.stdout, re.M)
    assert "modelled cortex-a72 at 1.8 GHz, one thread" in done.stdout
    assert re.search(r"cycles by cause: operand \d+ %, port \d+ %, memory \d+ %", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["winograd_conv2d", "--target", "host"], "'host' has no timing model; rpi3, rpi-zero2w,"),
        (["winograd_conv2d", "--target", "rpi4-armv7"], "'rpi4-armv7' has no timing model; rpi3"),
        (["winograd", "--target", "rpi4"], "did you mean 'winograd_conv2d'?"),
        (["winograd_conv2d", "--target", "rpi4", "--workload", "x"], "a key looks like winograd"),
        (["winograd_conv2d", "--target", "rpi4", "--logs", "none"], "--logs none: no such folder"),
        (["winograd_conv2d", "--target", "rpi4", "--json", "a/b"], "there is no folder a"),
        (["winograd_conv2d", "--target", "rpi4", "-o", "file"], "write file: it is no folder"),
        (["winograd_conv2d", "conv2d", "--target", "rpi4"], "unrecognized arguments: conv2d"),
        (["winograd_conv2d"], "--target"),
    ],
)  # fmt: skip
def test_what_is_refused(
    refused: Callable[..., str], tmp_path: Path, arguments: list[str], why: str
) -> None:
    (tmp_path / "file").touch()
    assert why in refused("profile", *arguments)


def test_only_one_workload(refused: Callable[..., str]) -> None:
    two = ["--workload", KEY, "--workload", KEY.replace("co16", "co32")]
    line = refused("profile", "winograd_conv2d", "--target", "rpi4", *two)
    assert "one workload" in line
