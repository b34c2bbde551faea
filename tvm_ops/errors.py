"""The ways in which a command can end badly, and what it warns of."""


class InputError(ValueError):
    """What the user gave cannot be used; one line that says what is wrong and what is allowed."""


class Unavailable(InputError):
    """A tool, a board or space is not there: no fault of a candidate. One line, with the cure."""


class CheckFailed(RuntimeError):
    """The work was done, and its result is not what it has to be (a wrong number, a failed run)."""


class JobStopped(RuntimeError):
    """A job ended before its work was done; one line with the cause and the cure.

    Nothing that was measured is lost: the same command goes on.
    """


class Notice(UserWarning):
    """What the command line prints as one line that begins with ``warning:``."""


class UntunedWarning(Notice):
    """A task is built with knobs that were not found by tuning it; one line."""


class RepairedWarning(Notice):
    """A log ended in a torn line, which its writer did not live to finish; one line."""
