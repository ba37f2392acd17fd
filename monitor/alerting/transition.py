"""Transition: one change of an alert's state, with the evidence for it, kept for ever."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from monitor.alerting.states import StateName
from monitor.alerting.verdict import Evidence, Finding
from monitor.alerting.versioned import Versioned, opened

VERSION: Final = 1

Reason: TypeAlias = Literal[
    "pending", "fired", "withdrawn", "recovering", "flapped", "resolved", "no data", "series ended", "rule ended"
]


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """From `before` to `after`, at what the clock said.

    `number` counts the transitions of the alert from 1 on without a gap: it, and not `at`, is their order, as a clock
    may step back. `fired_at` is that of the incident, None where nothing fired; `flaps` those of it so far.
    """

    number: int
    before: StateName
    after: StateName
    reason: Reason
    at: datetime
    finding: Finding
    evidence: Evidence
    fired_at: datetime | None = None
    flaps: int = 0


class _Stored(Versioned, frozen=True):
    transition: Transition


def encoded(transition: Transition) -> bytes:
    """The transition as JSON, its evidence included."""
    return msgspec.json.encode(_Stored(VERSION, transition))


def decoded(stored: bytes | str) -> Transition:
    """The transition of its JSON, digit for digit. Raises Refused for another version or what is no transition."""
    return opened(stored, _Stored, VERSION, "transition of an alert").transition
