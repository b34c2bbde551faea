"""The two ways in which a command can end badly."""


class InputError(ValueError):
    """What the user gave cannot be used; one line that says what is wrong and what is allowed."""


class CheckFailed(RuntimeError):
    """The work was done, and its result is not what it has to be (a wrong number, a failed run)."""
