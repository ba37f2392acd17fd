"""The exception tree. Each class tells its reader what to do: reject, wait, or try again."""


class CaldriftError(Exception):
    """Any failure that caldrift foresees. Its text tells a person what, where, what is allowed, what came."""


class BadInput(CaldriftError):
    """The input is wrong and stays wrong: reject it. `reason` is the short, stable word that counts it."""

    def __init__(self, message: str, reason: str = "schema") -> None:
        super().__init__(message)
        self.reason = reason


class BadSettings(CaldriftError):
    """The configuration is wrong. `mistakes` holds every mistake at once, one sentence each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class NotEnoughData(CaldriftError):
    """The answer cannot be known from what there is. The text is the reason that is shown beside the empty value."""


class Unavailable(CaldriftError):
    """A dependency does not answer: wait and try again."""


class Refused(CaldriftError):
    """Going on would spoil what is stored (another cluster's offsets, a lost offset, a flood of bad input): stop."""
