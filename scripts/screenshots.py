"""Makes the README's pictures: the live view of a small real job, and the report on a phone.

``python scripts/screenshots.py``; the second one needs chromium.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from tvm_ops.cli_progress import live_view
from tvm_ops.report import report, write_report
from tvm_ops.targets import get_target
from tvm_ops.tuning.job import Job
from tvm_ops.tuning.run_job import run_job
from tvm_ops.tuning.tuner_check import tasks

IMAGES = Path(__file__).resolve().parent.parent / "docs/images"
WIDTH = 112  # columns
BUDGET, SHOWN = 80, 64  # trials


def live() -> None:
    """Of four tasks by turns, as a drawing that needs no font from elsewhere."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH)

    def observe(job: Job) -> None:
        if job.current and job.begun >= SHOWN and not (IMAGES / "live.svg").exists():
            console.print("$ tvm-ops tune --job week.yaml", highlight=False)
            console.print(live_view(job, "modelled", 30))
            without_fonts = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.S)
            svg = console.export_svg(title="tvm-ops", code_format=without_fonts)
            (IMAGES / "live.svg").write_text(svg)

    (IMAGES / "live.svg").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as logs:
        chosen = tasks(get_target("rpi4"))[:4]
        run_job(chosen, budget=BUDGET, trials=BUDGET, logs=Path(logs), observer=observe)


def phone() -> None:
    """One task's card and the table above it, at 390 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(report(targets=["rpi5"]), Path(folder))
        text = page.read_text()
        opened = text.replace('<details class="importance">', '<details class="importance" open>')
        cards = re.findall(r'<article class="card".*?</article>', opened, flags=re.S)
        card = next(c for c in cards if "importance" in c)
        first = re.search(r"<tbody>.*?</tbody>", opened, flags=re.S)
        assert first
        rows = "</tr>".join(first[0].split("</tr>")[:4]) + "</tr></tbody>"
        end = opened.index("</table>", first.end())
        head = opened[: first.start()] + rows + opened[first.end() : end] + "</table></div>"
        page.write_text(f"{head}<div class='cards'>{card}</div></section></main></body></html>")
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        shot = IMAGES / "report-phone.png"
        command += ["--window-size=390,1850", f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    """Both, where there is what they need."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    live()
    if shutil.which("chromium"):
        phone()
    else:
        print("no picture of the report: chromium is not installed")


if __name__ == "__main__":
    main()
