"""What asks a job to end: Ctrl-C, SIGTERM of a service or batch system, a terminal that is closed.

All three raise ``KeyboardInterrupt``, so that whoever cleans up after Ctrl-C does after the others.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

WORDS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "interrupted, its terminal was closed",
}


@dataclass
class Interrupts:
    """Which one has come; None so far."""

    number: signal.Signals | None = None

    @property
    def words(self) -> str:
        return WORDS[self.number or signal.SIGINT]

    @property
    def exit_code(self) -> int:
        """As shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self.number or signal.SIGINT)


def catch_interrupts() -> Interrupts:
    """From now on each of them raises ``KeyboardInterrupt``; only in the main thread.

    SIGTERM and SIGHUP stay ignored where they are, as ``nohup`` wants it.
    """
    interrupts = Interrupts()

    def interrupt(number: int, _frame: Any) -> None:
        interrupts.number = signal.Signals(number)
        raise KeyboardInterrupt

    for number in WORDS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    return interrupts


@contextmanager
def uninterrupted() -> Iterator[None]:
    """They wait for the end of the block, which takes a second at most.

    Where one meets Python that TVM calls, TVM makes an error of its own of it or swallows it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    caught: list[int] = []
    before = {n: signal.signal(n, lambda number, _frame: caught.append(number)) for n in WORDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])
