"""Failures that are no candidate's fault, or every candidate's: when a job has to stop."""

from __future__ import annotations

import re
import time

from tvm_ops.errors import JobStopped
from tvm_ops.tuning.log import Record
from tvm_ops.tuning.measure import ENVIRONMENT, Outcome

EQUAL_FAILURES = 8
"""In a row: a batch. Fewer happen to a board that restarts, or to a sketch that does not build."""
_WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before a trial is repeated: 16 s in all
_NUMBERS = re.compile(r"\d[\d.e+-]*")
_CURES = {"No space left on device": "free some space, or name another place with TMPDIR"}


class CandidatesFail(JobStopped):
    """All candidates of a task fail alike; another task of the job may do."""


class Failures:
    """Counts failures in a row; ``worked`` says that a candidate of the task was measured before.

    What the log knew already does not count: the cause may be mended.
    """

    def __init__(self, worked: bool) -> None:
        self._worked = worked
        self._environment = 0
        self._alike = 0
        self._last = ""

    def wait_for_environment(self, outcome: Outcome) -> None:
        """Return when the trial is to be repeated; raises ``JobStopped`` once that did not help."""
        if self._environment == len(_WAITS):
            raise JobStopped(_words(outcome))
        time.sleep(_WAITS[self._environment])
        self._environment += 1

    def count(self, record: Record) -> None:
        """A new record; raises ``CandidatesFail`` where none has worked and the last are alike.

        Where one has worked, failures belong to the search.
        """
        self._environment = 0
        if not record.error or record.error.startswith("cut off: "):
            self._worked = True
        kind = _NUMBERS.sub("#", record.error or "")
        self._alike = self._alike + 1 if kind == self._last else 1
        self._last = kind
        if not self._worked and self._alike == EQUAL_FAILURES:
            raise CandidatesFail(
                f"{record.task}: the last {EQUAL_FAILURES} candidates failed alike and none has "
                f"worked: {record.error}"
            )


def _words(outcome: Outcome) -> str:
    error = (outcome.error or "").removeprefix(f"{ENVIRONMENT}: ").removeprefix("Unavailable: ")
    cure = next((f"; {cure}" for words, cure in _CURES.items() if words in error), "")
    return f"{EQUAL_FAILURES} trials in a row could not be measured: {error}{cure}"
