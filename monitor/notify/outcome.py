"""What became of one attempt to deliver: told, try again, or never in this form. No reason holds a secret."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it.

    `reference` finds it again (a Slack message, a PagerDuty key); hand it back with the incident's next notice. `flaw`
    says what was left out on the way, such as a picture.
    """

    reference: str | None = None
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not told, and it may go through later: `after` at least this long, or whenever the sender likes."""

    after: timedelta | None
    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """Not told, and the same attempt would fail again.

    `permanent`: the channel refuses every notice until a person mends it (a bad token, a channel that is gone).
    Otherwise it refuses this one alone.
    """

    reason: str
    permanent: bool


Outcome: TypeAlias = Delivered | Retry | Dead
