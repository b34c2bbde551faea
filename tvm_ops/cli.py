"""``tvm-ops VERB``: parses the command line, calls one function of the library, prints.

Exit codes: 0 done, 1 a check failed, 2 bad input, 3 a job stopped early, 130 interrupted, 143
ended by SIGTERM. Nothing heavy is imported before a verb needs it: ``tvm-ops --help`` takes 0.1 s,
TVM's import alone takes ten times that.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from tvm_ops.errors import CheckFailed, InputError, JobStopped, Notice
from tvm_ops.interrupts import catch_interrupts


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and give back its exit code."""
    interrupts = catch_interrupts()
    _warn_in_one_line()
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return _fail(interrupts.words, "", interrupts.exit_code)
    except Exception:
        # Where Ctrl-C meets Python that TVM calls, TVM makes an error of its own of it.
        if interrupts.number:
            return _fail(interrupts.words, "", interrupts.exit_code)
        raise


def _run(argv: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a question mark, not a traceback.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        from tvm_ops.cli_parser import parse

        arguments = parse(argv)
        code: int = arguments.call(arguments)
        sys.stdout.flush()
        return code
    except InputError as error:
        return _fail("error", error, 2)
    except CheckFailed as error:
        return _fail("check failed", error, 1)
    except JobStopped as error:
        return _fail("stopped", error, 3)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "tvm_ops", "schedules"):
            raise
        return _fail("error", f"Python package '{package}' is missing; see tvm-ops doctor", 2)
    except BrokenPipeError:
        # The reader (head, less) has left. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail("error", f"{where}{error.strerror or error}", 2)


def _fail(what: str, why: object, code: int) -> int:
    _say(f"{what}: {why}" if str(why) else what)
    return code


def _say(message: str) -> None:
    # One line whatever a file name contains.
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in f"tvm-ops: {message}")
    print(line, file=sys.stderr, flush=True)


def _warn_in_one_line() -> None:
    """The library's own warnings without file and line, each once; others as Python shows them."""
    shown: set[str] = set()
    others = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if not issubclass(category, Notice):
            others(message, category, *place)
        elif str(message) not in shown:
            shown.add(str(message))
            _say(f"warning: {message}")

    warnings.showwarning = show  # type: ignore[assignment]
