"""States of an alert, one class each. An alert is one rule on one series."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from monitor.alerting.versioned import Versioned, opened

VERSION: Final = 1
NEVER: Final = datetime.min.replace(tzinfo=UTC)
"""Before every verdict."""

StateName: TypeAlias = Literal["ok", "pending", "firing", "recovering"]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What every state knows: `as_of` of the last verdict it took, and how many transitions there were so far."""

    judged_at: datetime = NEVER
    number: int = 0


class Ok(Judged, frozen=True, kw_only=True, tag="ok"):
    """Nothing is wrong, as far as is known."""


class Pending(Judged, frozen=True, kw_only=True, tag="pending"):
    """Crossed, not for long enough: `watched` so long, and over so many `new_labels`."""

    watched: timedelta
    new_labels: int


class Open(Judged, frozen=True, kw_only=True):
    """What an alert that fired knows until it resolves.

    `fired_at` as_of of the verdict that did it; `told_at` of the last notice, None while nobody was told (shadow);
    `flaps` how often it went back to firing from recovering.
    """

    fired_at: datetime
    told_at: datetime | None = None
    flaps: int = 0


class Firing(Open, frozen=True, kw_only=True, tag="firing"):
    """The problem lasts."""


class Recovering(Open, frozen=True, kw_only=True, tag="recovering"):
    """Below exit, `watched` so long, which is not yet long enough."""

    watched: timedelta


State: TypeAlias = Ok | Pending | Firing | Recovering
STATES: Final[tuple[StateName, ...]] = get_args(StateName)
NEW: Final = Ok()
"""The state of an alert that was never judged."""


class _Stored(Versioned, frozen=True):
    state: State


def name_of(state: State) -> StateName:
    """What the state is called."""
    names: dict[type[State], StateName] = {Ok: "ok", Pending: "pending", Firing: "firing", Recovering: "recovering"}
    return names[type(state)]


def encoded(state: State) -> bytes:
    """The state as JSON."""
    return msgspec.json.encode(_Stored(VERSION, state))


def decoded(stored: bytes | str) -> State:
    """The state of its JSON. Raises Refused for another version or what is no state."""
    return opened(stored, _Stored, VERSION, "state of an alert").state
