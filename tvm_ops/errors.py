"""The two ways in which a command can end badly, and what it warns of."""


class InputError(ValueError):
    """What the user gave cannot be used; one line that says what is wrong and what is allowed."""


class CheckFailed(RuntimeError):
    """The work was done, and its result is not what it has to be (a wrong number, a failed run)."""


class UntunedWarning(UserWarning):
    """A task is built with knobs that were not found by tuning it; one line."""
