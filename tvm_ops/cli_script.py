"""How the jobs of ``scripts/`` end: one line for bad input and for Ctrl-C, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tvm_ops.errors import InputError
from tvm_ops.interrupts import catch_interrupts

TARGETS = ("rpi3", "rpi4", "rpi5")
"""Those that the committed documents are about."""


def run_script(name: str, run: Callable[[], int]) -> int:
    """What ``run`` returns; 2 for bad input and files, 130 after Ctrl-C, 143 after SIGTERM.

    What was measured is kept.
    """
    interrupts = catch_interrupts()
    try:
        return run()
    except InputError as error:
        say(f"{name}: {error}")
        return 2
    except OSError as error:
        if error.filename is None:  # not of a file that was given
            raise
        say(f"{name}: {error.filename}: {error.strerror}")
        return 2
    except KeyboardInterrupt:
        say(f"{name}: {interrupts.words}; what was measured is kept, run it again")
        return interrupts.exit_code


def check_targets(names: list[str]) -> None:
    """Raises ``InputError`` for one that is none of ``TARGETS``."""
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        raise InputError(f"unknown target '{unknown[0]}'; known: {', '.join(TARGETS)}")


def end(name: str, problems: list[str]) -> int:
    """1, and a line for each, if there are problems, else 0."""
    for problem in problems:
        say(f"{name}: {problem}")
    return 1 if problems else 0


def say(line: str) -> None:
    """To standard error, at once."""
    print(line, file=sys.stderr, flush=True)
