"""The report: its facts, the page, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_ops.comparison import OURS, UNTUNED, Comparison, Entry, Row
from tvm_ops.errors import InputError
from tvm_ops.report import changes, knob, marks, render, report, write_report
from tvm_ops.report_chart import Marks, convergence, nice_ticks, number
from tvm_ops.report_comparison import read_comparison
from tvm_ops.report_history import geomean_gain, read_histories
from tvm_ops.targets import get_target
from tvm_ops.task import Task, parse_task
from tvm_ops.template import default_knobs, get_schedule
from tvm_ops.tuning.log import Record, append, log_path, new_record

KEY = "winograd_conv2d-n1_ci64_h56_w56_co64_k3_s1_p1-f32"
SMALL = "winograd_conv2d-n1_ci8_h6_w6_co8_k3_s1_p1-f32"
# ms of each trial on the A72 at 1.8 GHz, or why there is none.
TRIALS = [8.0, "build: TVMError: no", 10.0, 4.0, "cut off: past 9 cycles", 5.0]
TRIALS += ["wrong result: error 2.00e-03 of the largest output, bound 0.0001", 2.5, 100.0]


def task_of(key: str = KEY, target: str = "rpi4") -> Task:
    return parse_task("winograd_conv2d", key, get_target(target))


def records_of(task: Task, trials, board: str = "modelled") -> list[Record]:
    """The default, then the same with other register tiles."""
    knobs = default_knobs(task)
    tiles = get_schedule(task.operator).space(task.workload, task.target)[knobs["sketch"]]["tile"]
    records = []
    for i, trial in enumerate(trials):
        tried = knobs if i == 0 else {**knobs, "tile": tiles[i % len(tiles)]}
        if isinstance(trial, str):
            record = new_record(task, tried, board, error=trial)
        else:
            cycles = round(trial * task.target.clock_ghz * 1e6) if board == "modelled" else None
            seconds = [] if board == "emulated" else [trial / 1e3]
            record = new_record(
                task, tried, board, seconds=seconds, cycles=cycles, max_error=1.2e-6
            )
        records.append(dataclasses.replace(record, time=f"2026-01-0{1 + i % 2}T00:00:00+00:00"))
    return records


def write_log(root: Path, task: Task, trials=TRIALS, board: str = "modelled") -> Path:
    path = log_path(root, task.target.name, task.operator)
    append(path, records_of(task, trials, board))
    return path


@pytest.fixture
def logs(tmp_path) -> Path:
    """``logs`` with one task of rpi4."""
    write_log(tmp_path / "logs", task_of())
    return tmp_path / "logs"


def comparison(target: str = "rpi4", peer: str = "ncnn") -> Comparison:
    def entry(name: str, ms: float | None, why: str | None = None) -> Entry:
        cycles = None if ms is None else round(ms * get_target(target).clock_ghz * 1e6)
        return Entry(name, "1.0", ms and ms / 1e3, cycles, 1e-6, why)

    rows = [
        Row(
            task_of(key, target),
            entry(OURS, 2.0),
            entry(UNTUNED, 3.0),
            [entry(peer, ms), entry("mnn", None, "no kernel for <this> & that")],
        )
        for key, ms in ((KEY, 8.0), (SMALL, 1.0))
    ]
    return Comparison(target, "modelled", "modelled, one thread", rows)


def write_comparison(path: Path, facts) -> Path:
    path.write_text(json.dumps(facts))
    return path


# The facts


def test_a_history_says_what_the_trials_were(logs):
    (history,) = read_histories(logs)
    assert history.task.key == KEY
    assert history.failures == {"build": 1, "cut off": 1, "wrong result": 1}
    assert list(history.examples.values()) == [TRIALS[1], TRIALS[4], TRIALS[6]]
    assert [trial for trial, _ in history.improvements] == [1, 4, 8]
    facts = history.to_json()
    assert (facts["trials"], facts["best_trial"]) == (9, 8)
    assert facts["ms"] == pytest.approx(2.5)
    assert facts["default_ms"] == pytest.approx(8.0)
    assert facts["gain"] == pytest.approx(8.0 / 2.5)
    assert facts["cycles"] == 4_500_000
    macs = 64 * 64 * 9 * 56 * 56
    assert facts["mac_per_cycle"] == pytest.approx(macs / 4_500_000)
    assert facts["percent_of_peak"] == pytest.approx(100 * macs / 4_500_000 / 4)
    assert facts["max_error"] == 1.2e-6
    assert facts["knobs"] == history.records[7].knobs


def test_a_default_without_a_time_gives_no_gain(tmp_path):
    write_log(tmp_path, task_of(), ["run: crash", 4.0, 2.0])
    write_log(tmp_path, task_of(SMALL), [3.0, 2.0, 1.0])
    histories = read_histories(tmp_path)
    gains = {h.task.key: h.gain(h.best) for h in histories}
    assert gains == {KEY: None, SMALL: pytest.approx(3.0)}
    assert geomean_gain(histories) == (pytest.approx(3.0), 1)
    assert geomean_gain([h for h in histories if h.task.key == KEY]) == (None, 0)


def test_a_wall_clock_has_neither_cycles_nor_a_peak(tmp_path):
    """Its log does not say what clock the machine had."""
    write_log(tmp_path, task_of(target="host"), [4.0, 2.0], "host")
    (history,) = read_histories(tmp_path)
    facts = history.to_json()
    assert facts["ms"] == pytest.approx(2.0)
    assert facts["cycles"] is facts["mac_per_cycle"] is facts["percent_of_peak"] is None
    page = render(report(tmp_path))
    assert "ms, wall clock" in page
    assert "ms, modelled" not in page


def test_order_is_that_of_the_targets_and_of_the_listed_workloads(tmp_path):
    listed = [KEY.replace("ci64_h56_w56_co64", s) for s in ("ci128_h28_w28_co128",)]
    for target in ("rpi5", "rpi3"):
        for key in (SMALL, *listed, KEY):
            write_log(tmp_path, task_of(key, target), [1.0])
    found = [(h.task.target.name, h.task.key) for h in read_histories(tmp_path)]
    assert found == [(t, k) for t in ("rpi3", "rpi5") for k in (KEY, *listed, SMALL)]
    assert {h.task.target.name for h in read_histories(tmp_path, ["rpi5"])} == {"rpi5"}


def test_changes_are_the_knobs_that_differ_from_the_last_best(logs):
    (history,) = read_histories(logs)
    rows = changes(history)
    assert [(trial, list(changed)) for trial, _, changed in rows] == [(1, []), *[
        (trial, ["tile"]) for trial in (4, 8)
    ]]  # fmt: skip


# The chart


def svg(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def test_the_curve_is_the_best_so_far(logs):
    (history,) = read_histories(logs)
    assert marks(history) == Marks(slow=[3, 5, 9], failed=[2, 7])
    ms = [r.cost and r.cost * 1e3 for r in history.records]
    drawn = svg(convergence(ms, marks(history), "ms, modelled"))
    paths = {p.get("class"): p.get("d") or "" for p in drawn.iter("path")}
    assert {name: paths[name].count("M") for name in ("dots", "slow")} == {"dots": 4, "slow": 3}
    heights = [float(y) for y in re.findall(r"(?:M[\d.]+ |V)([\d.]+)", paths["best"])]
    assert heights == sorted(heights)  # downwards, in a drawing
    first, second, third = heights
    assert (second - first) / (third - first) == pytest.approx((8 - 4) / (8 - 2.5), abs=0.01)
    steps = [c.findtext("title") for c in drawn.iter("circle")]
    assert steps[0] == "trial 1: 8.000 ms"
    assert steps[1:] == [
        "trial 4: 4.000 ms, 50.0 % less time",
        "trial 8: 2.500 ms, 37.5 % less time",
    ]


@given(st.lists(st.none() | st.floats(1e-4, 1e5), min_size=2, max_size=80))
def test_everything_drawn_is_inside_the_chart(ms):
    if not any(ms):
        return
    drawn = svg(convergence(ms, Marks([], []), "ms"))
    _, _, width, height = map(float, (drawn.get("viewBox") or "").split())
    points = [(float(c.get("cx", 0)), float(c.get("cy", 0))) for c in drawn.iter("circle")]
    points += [(float(t.get("x", 0)), float(t.get("y", 0))) for t in drawn.iter("text")]
    assert points
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_even_and_round(low, span, most):
    ticks, decimals = nice_ticks(low, low + span, most)
    assert 1 <= len(ticks) <= most + 1
    step = 10.0**-decimals
    assert all(low - step <= tick <= low + span + step for tick in ticks)
    texts = [f"{tick:.{decimals}f}" for tick in ticks]
    assert len(set(texts)) == len(texts)
    assert [float(text) for text in texts] == pytest.approx(ticks)


# The page


class Page(HTMLParser):
    """Checks that tags are balanced; keeps the text of each section, table by table."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[str]] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action"):
                self.references.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "table" in self.open and data.strip():
            self.tables[-1].append(data.strip())


def test_the_page_is_sound_and_needs_nothing_else(logs, tmp_path):
    compared = write_comparison(tmp_path / "c.json", comparison().to_json())
    write_log(logs, task_of(SMALL, "rpi5"))
    text = render(report(logs, comparisons=[compared]))
    page = Page(text)
    assert "script" not in text
    assert not re.search(r"https?:|@import|url\(", text)
    assert page.references
    assert all(r.startswith("#") and r[1:] in page.ids for r in page.references)
    assert len(set(page.ids)) == len(page.ids)


def test_the_page_shows_the_facts(logs):
    text = render(report(logs))
    overview, steps = Page(text).tables
    row = ["n1 ci64 h56 w56 co64 k3 s1 p1", "2.500", "3.20×", "642", "642", "–", "4.50", "25.69"]
    assert overview[-13:] == [*row, "8.000", "1.2e-06", "9", "1", "2"]
    assert "ms, modelled" in overview
    assert steps[4:8] == ["1", "8.000", "1.00×", "the default"]
    assert "modelled cortex-a72 at 1.8 GHz, one thread" in text
    assert "tuned 2026-01-01 to 2026-01-02 with TVM" in text
    assert "1 build, 1 cut off, 1 wrong result" in text
    assert f"<li>{TRIALS[6]}</li>" in text
    for name, value in default_knobs(task_of()).items():
        if name != "tile":
            assert f"<li><span>{name}</span> {knob(value)}</li>" in text


def test_kinds_of_boards_have_tables_of_their_own(logs):
    write_log(logs, task_of(), [1.0, "run: SIGILL"], "emulated")
    sections = report(logs)
    assert [(s.target.name, s.board) for s in sections] == [
        ("rpi4", "emulated"),
        ("rpi4", "modelled"),
    ]
    emulated, modelled, _steps = Page(render(sections)).tables
    assert "ms, emulated" in emulated
    assert "8.000" not in emulated
    assert emulated[-3:] == ["2", "0", "2"]  # trials, cut off, without a time
    assert "ms, modelled" in modelled


def test_the_same_input_gives_the_same_bytes(logs, tmp_path, run_cli):
    first = write_report(report(logs), tmp_path / "first")
    done = run_cli("report", "--logs", "logs", "-o", "a/second", "--json", "facts.json")
    assert done.returncode == 0, done.stderr
    assert first.read_bytes() == (tmp_path / "a/second/report.html").read_bytes()
    assert [p.name for p in (tmp_path / "a/second").iterdir()] == ["report.html"]
    assert KEY in done.stdout
    assert "rpi4: modelled" in done.stdout
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["sections"][0]["rows"][0]["ms"] == pytest.approx(2.5)
    assert facts["files"] == ["a/second/report.html"]


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(None, 2, "–"), (1.234, 2, "1.23"), (0.01234, 2, "0.0123"), (0.4, 0, "0"), (247.4, 0, "247")],
)
def test_numbers_keep_digits(value, decimals, text):
    assert number(value, decimals) == text


# Comparisons


def test_a_comparison_is_shown_with_bars(logs, tmp_path):
    path = write_comparison(tmp_path / "c.json", comparison(peer="<b>peer").to_json())
    read = read_comparison(path)
    assert [[k.ratio for k in task.kernels] for task in read.tasks] == [
        [1.0, 1.5, 4.0, None],
        [1.0, 1.5, 0.5, None],
    ]
    assert read.geomean == {"<b>peer": pytest.approx(2**0.5)}
    assert (read.count("<b>peer"), read.count("mnn")) == (2, 0)
    text = render(report(logs, comparisons=[path]))
    tables = Page(text).tables
    assert "<b>peer" in tables[1]  # the text, not a tag
    assert "no kernel for <this> & that" in tables[2]
    widths = re.findall(r'class="bar ([a-z]*)" style="width:([\d.]+)%"', text)
    # Geometric mean; then ours, untuned and the peer of each workload.
    assert widths == [("", "100.0"), ("us", "25.0"), ("", "37.5"), ("", "100.0"),
                      ("us", "66.7"), ("", "100.0"), ("faster", "33.3")]  # fmt: skip


def test_a_comparison_of_a_board_without_logs_has_a_section(logs, tmp_path):
    path = write_comparison(tmp_path / "c.json", comparison("rpi5").to_json())
    sections = report(logs, comparisons=[path])
    assert [(s.target.name, len(s.histories)) for s in sections] == [("rpi4", 1), ("rpi5", 0)]
    Page(render(sections))
    with pytest.raises(InputError, match=r"c\.json compares on rpi5, not on rpi4"):
        report(logs, targets=["rpi4"], comparisons=[path])


def without(facts: dict, name: str) -> dict:
    return {k: v for k, v in facts.items() if k != name}


FACTS = comparison().to_json()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ([], "the file must be an object"),
        (without(FACTS, "rows"), "'rows' of the file must be a list"),
        ({**FACTS, "target": "rpi9"}, "unknown target 'rpi9'"),
        ({**FACTS, "board": "host"}, "board host runs the target host only"),
        ({**FACTS, "geomean": {"ncnn": "fast"}}, "'ncnn' of geomean must be a number"),
        ({**FACTS, "rows": [1]}, r"rows\[0\] must be an object"),
        ({**FACTS, "rows": [without(FACTS["rows"][0], "ours")]}, r"'ours' of rows\[0\]"),
        (
            {**FACTS, "rows": [{**FACTS["rows"][0], "peers": [{"name": "a", "ms": -1}]}]},
            r"'ms' of rows\[0\]\.peers\[0\] must be a number from 0 on",
        ),
    ],
)
def test_a_file_that_is_no_comparison_is_refused(tmp_path, facts, why):
    path = write_comparison(tmp_path / "c.json", facts)
    with pytest.raises(InputError, match=r"c\.json: no file of tvm-ops compare --json: .*" + why):
        read_comparison(path)


# What is refused, by the command line


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("not json", "no JSON"),
        ({"knobs": {"sketch": "packed", "colour": 1}}, "unknown knob 'colour'"),
        ({"knobs": {}}, "unknown sketch None"),
        ({"target": "rpi5"}, "target 'rpi5' in the folder of rpi4"),
        ({"task": "nonsense"}, "a key looks like winograd_conv2d-n1_"),
        ({"board": "moon"}, "unknown board 'moon'"),
        ({"board": "host"}, "board host runs the target host only"),
        ({"cycles": "many"}, "cycles must be a whole number or null"),
        ({"seconds": [float("inf")]}, "seconds must be a list of positive numbers"),
        ({"error": 5}, "error must be a string or null"),
        ({"checked": 1}, "checked must be true or false"),
    ],
)
def test_a_broken_line_is_refused_by_its_number(logs, change, why):
    path = logs / "rpi4/winograd_conv2d.jsonl"
    lines = path.read_text().splitlines()
    broken = json.dumps(json.loads(lines[3]) | change) if isinstance(change, dict) else change
    path.write_text("\n".join([*lines[:3], "", broken, *lines[4:]]))
    with pytest.raises(InputError, match=re.escape(f"{path}:5: ")) as raised:
        read_histories(logs)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_refusals_leave_nothing_behind(refused, logs, tmp_path):
    out = ["-o", "out", "--logs"]
    (tmp_path / "empty").mkdir()
    assert "no such folder" in refused("report", *out, "nowhere")
    assert "no logs in empty" in refused("report", *out, "empty")
    assert "no log of rpi5" in refused("report", *out, "logs", "--target", "rpi5")
    assert "did you mean 'rpi4'?" in refused("report", *out, "logs", "--target", "rpi44")
    assert "no such file" in refused("report", *out, "logs", "--comparison", "nowhere.json")
    (tmp_path / "c.json").write_text("{")
    assert "c.json:1: no JSON" in refused("report", *out, "logs", "--comparison", "c.json")
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("kept")
    assert "cannot write file" in refused("report", "-o", "file", "--logs", "logs")
    assert "cannot write file/x" in refused("report", "-o", "file/x", "--logs", "logs")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("rpi4/winograd_conv2d.jsonl", b"\n", "have no trials"),
        ("rpi4/winograd_conv2d.jsonl", b"\xff\xfe", "no UTF-8 text"),
        ("rpi9/winograd_conv2d.jsonl", b"", "unknown target 'rpi9'"),
        ("rpi4/sorting.jsonl", b"", "unknown operator 'sorting'"),
    ],
)
def test_logs_that_are_none_are_refused(tmp_path, name, content, why):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(why)):
        read_histories(tmp_path)
