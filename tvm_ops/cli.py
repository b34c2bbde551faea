"""``tvm-ops VERB``: parses the command line, calls one function of the library, prints.

Exit codes: 0 done, 1 a check failed, 2 bad input, 130 interrupted. Nothing heavy is imported before
a verb needs it: ``tvm-ops --help`` takes 0.1 s, TVM's import alone takes ten times that.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from tvm_ops.errors import CheckFailed, InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and give back its exit code."""
    interrupted = False

    def interrupt(*_: Any) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return _fail("interrupted", "", 130)
    except Exception:
        # Where Ctrl-C meets Python that TVM calls, TVM makes an error of its own of it.
        if interrupted:
            return _fail("interrupted", "", 130)
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
    message = f"tvm-ops: {what}: {why}" if str(why) else f"tvm-ops: {what}"
    # One line whatever a file name contains.
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    print(line, file=sys.stderr)
    return code
