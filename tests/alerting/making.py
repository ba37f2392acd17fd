"""Verdicts for the tests, and sequences of them applied as a process does that stores every state."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monitor.alerting.lifecycle import Decision, decide
from monitor.alerting.states import NEW, State, decoded, encoded
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding, Said, Verdict

START = datetime(2026, 11, 22, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def duration(text: str) -> timedelta:
    """ "1h30m" as a timedelta."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?", text)
    assert found is not None, text
    return timedelta(hours=int(found[1] or 0), minutes=int(found[2] or 0))


def verdict(finding: Finding, minute: float, new_labels: int = 0) -> Verdict:
    return Verdict(finding, Said(as_of=START + minute * MINUTE, reason=f"{finding} at {minute}"), new_labels)


@dataclass(frozen=True)
class Taken:
    """One application of a verdict: to what, and what came of it."""

    before: State
    verdict: Verdict
    decision: Decision


def applied(verdicts: Iterable[Verdict], terms: Terms, state: State = NEW) -> Iterator[Taken]:
    """Each verdict decided at its own instant; every state goes through the store."""
    for each in verdicts:
        decision = decide(state, each, terms, each.as_of)
        yield Taken(state, each, decision)
        state = decoded(encoded(decision.state))
