"""Logs that lose nothing: torn lines, full disks, two writers, kills, clocks that jump."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from datetime import datetime, timezone
from io import FileIO
from pathlib import Path

import pytest
from conftest import ROOT
from killed_jobs import OPTIONS, TASK, InstantPool

from tvm_ops.errors import InputError, JobStopped, RepairedWarning
from tvm_ops.template import default_knobs
from tvm_ops.tuning import log, log_file
from tvm_ops.tuning.log_file import append_lines, check_writable, numbered_lines, repair
from tvm_ops.tuning.run_job import run_job
from tvm_ops.tuning.session import tune
from tvm_ops.tuning.space import knobs_id

LINES = ['{"a": 1}\n', '{"b": "two"}\n', '{"c": {"d": []}}\n']


def read(path: Path) -> list[str]:
    return [line + "\n" for line, _where in numbered_lines(path)]


@pytest.mark.parametrize("how", ["append", "repair"])
def test_a_line_torn_at_any_byte_is_cut_off_or_made_whole(tmp_path: Path, how: str) -> None:
    """Every length that a killed writer can leave, then the next writer."""
    whole = "".join(LINES)
    path = tmp_path / "log"
    for length in range(len(whole) + 1):
        path.write_text(whole[:length])
        kept = [line for i, line in enumerate(LINES) if length + 1 >= len("".join(LINES[: i + 1]))]
        torn = length not in (0, *(len("".join(kept)) - n for n in (0, 1)))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert read(path) == kept
            append_lines(path, ['{"e": 5}\n']) if how == "append" else repair(path)
        kinds = [(w.category, "is torn, its writer was killed" in str(w.message)) for w in told]
        assert kinds == [(RepairedWarning, True)] * 2 * torn
        kept += ['{"e": 5}\n'] if how == "append" else []
        assert path.read_text() == "".join(kept)


def test_a_log_that_cannot_be_written_is_said_before_anything_is_tuned(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    places = {"a file": "Not a directory"}
    if not os.access("/proc/1", os.W_OK):
        places["/proc/1"] = "denied|Read-only"
    for folder, why in places.items():
        with pytest.raises(JobStopped, match=f"cannot be written: .*({why})"):
            run_job([TASK], logs=tmp_path / folder, observer=pytest.fail)
    check_writable(tmp_path / "not/yet/there")
    assert not (tmp_path / "not").exists()


def test_a_torn_line_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(LINES[0] + '{"x": "' + "y" * 200_000)
    with pytest.warns(RepairedWarning, match="200007 bytes, cut off"):
        append_lines(path, LINES[1:2])
    assert path.read_text() == LINES[0] + LINES[1]


@pytest.mark.parametrize("room", range(1, 60, 7))
def test_a_full_disk_keeps_what_was_there_and_says_so(tmp_path: Path, room: int) -> None:
    """A limit on the file's size: as on a disk, some bytes still go in, then none."""
    path = tmp_path / "log"
    append_lines(path, LINES[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    long = json.dumps({"x": "y" * 60}) + "\n"
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINES[0]) + room, hard))
    try:
        with pytest.raises(JobStopped, match=r"cannot be written: .*; what was logged before is"):
            append_lines(path, [long])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == LINES[0]
    append_lines(path, [long])
    assert read(path) == [LINES[0], long]


class SlowFile(FileIO):
    """Writes a half at a time, as a disk may, so that another writer could come in between."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        written = super().write(data[: len(data) // 2 or 1])
        time.sleep(0.0002)
        return written


def test_two_writers_tear_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors of their own, as two processes have them; batches stay together."""
    monkeypatch.setattr(log_file, "FileIO", SlowFile)
    path = tmp_path / "log"
    batches = [[json.dumps({"w": w, "i": i, "pad": "x" * 5000}) + "\n"] * 4 for w in range(2)
               for i in range(20)]  # fmt: skip
    writers = [
        threading.Thread(target=lambda part: [append_lines(path, b) for b in part], args=(part,))
        for part in (batches[:20], batches[20:])
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = read(path)
    assert sorted(lines[i] for i in range(0, len(lines), 4)) == sorted(b[0] for b in batches)
    assert all(len(set(lines[i : i + 4])) == 1 for i in range(0, len(lines), 4))


def test_two_jobs_on_one_log_lose_nothing(tmp_path: Path) -> None:
    """At the same time, of other seeds: the log has what each says that it has measured."""
    program = f"""
        import sys
        from pathlib import Path
        from killed_jobs import OPTIONS, TASK, InstantPool
        from tvm_ops.tuning.session import tune
        options = OPTIONS | {{"trials": 400, "seed": int(sys.argv[1])}}
        print(tune(TASK, logs=Path("{tmp_path}"), pool=InstantPool(), **options).measured)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    jobs = [
        subprocess.Popen([*command, seed], env=env, stdout=subprocess.PIPE) for seed in ("3", "4")
    ]
    measured = [int(job.communicate(timeout=120)[0]) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0] and max(measured) == 400
    assert len(log.read_log(log.log_path(tmp_path, "rpi4", "conv2d"))) == sum(measured)
    options = OPTIONS | {"trials": 400}
    assert tune(TASK, logs=tmp_path, pool=InstantPool(), **options).measured == 0


def test_zeros_of_a_power_failure_are_cut_off_and_other_files_are_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(LINES[0].encode() + b"\0" * 4096)
    with pytest.warns(RepairedWarning, match="4096 bytes, cut off"):
        repair(path)
    assert path.read_text() == LINES[0]
    path.write_text("a letter, say")
    repair(path)
    assert read(path) == ["a letter, say\n"]


def test_what_is_no_text_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xff\n" + LINES[0].encode())
    with pytest.raises(InputError, match=r"no UTF-8 text .* at byte 0"):
        read(path)


def test_fifty_kills_lose_no_record_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """The log is what one undisturbed run writes, as far as it got."""
    command = [sys.executable, str(ROOT / "tests/killed_jobs.py"), str(tmp_path / "killed"), "50"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    assert len(set(sizes)) > 10  # kills met it while it was writing
    path = log.log_path(tmp_path / "killed", "rpi4", "conv2d")
    killed = [knobs_id(record.knobs) for record in log.read_log(path)]
    assert len(killed) > 50
    for folder in ("killed", "whole"):
        options = OPTIONS | {"trials": len(killed) + 8}
        tune(TASK, logs=tmp_path / folder, pool=InstantPool(), **options)
    whole = log.read_log(log.log_path(tmp_path / "whole", "rpi4", "conv2d"))
    assert [knobs_id(record.knobs) for record in whole[: len(killed)]] == killed
    assert [knobs_id(r.knobs) for r in log.read_log(path)] == [knobs_id(r.knobs) for r in whole]


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1970 and back between two runs of a job: the second one goes on as if it had not."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: timezone | None = None) -> datetime:  # type: ignore[override]
            return datetime(1970, 1, 1, tzinfo=tz)

    for folder, jumps in (("steady", False), ("jumping", True)):
        for trials in (16, 32, 48):
            with monkeypatch.context() as patch:
                if jumps and trials == 32:
                    patch.setattr(log, "datetime", Clock)
                options = OPTIONS | {"trials": trials}
                tune(TASK, logs=tmp_path / folder, pool=InstantPool(), **options)
    steady, jumping = (
        log.read_log(log.log_path(tmp_path / folder, "rpi4", "conv2d"))
        for folder in ("steady", "jumping")
    )
    assert [r.knobs for r in steady] == [r.knobs for r in jumping] and len(steady) == 48
    assert jumping[0].time > jumping[20].time < jumping[40].time


def test_a_killed_job_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    """A real one, with workers: they end with the pipe, and the last removes their folder."""
    program = f"""
        import sys
        from pathlib import Path
        from killed_jobs import TASK
        from tvm_ops.tuning.session import tune
        tune(TASK, trials=500, logs=Path("{tmp_path / "logs"}"), workers=1,
             observer=lambda p: print(p.done, flush=True))
    """
    env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "TMPDIR": str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], env=env, stdout=subprocess.PIPE
    )
    assert child.stdout and child.stdout.readline()
    from tvm_ops.process import descendants

    workers = descendants(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert workers
    for _ in range(300):
        alive = [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()]
        if not alive and not list(tmp_path.glob("tvm_ops-tune-*")):
            break
        threading.Event().wait(0.1)
    assert not alive and not list(tmp_path.glob("tvm_ops-tune-*"))
    records = log.read_log(log.log_path(tmp_path / "logs", "rpi4", "conv2d"))
    assert records and records[0].knobs == default_knobs(TASK)
