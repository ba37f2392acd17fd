"""Hushing: why nobody is told of an alert just now: a silence, a mute time, or another alert that says it all.

Whoever is hushed goes through its life like any other, and is told once nothing hushes it any more, if it still fires.
"""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from monitor.alerting.conduct import Severity
from monitor.alerting.patterns import matches, matches_segment
from monitor.alerting.routes import Inhibit, Match, MuteTime
from monitor.alerting.target import Target
from monitor.rolling.segments import parse_segment

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


class Named(Protocol):
    """What a match looks at: an alert, or a look at one."""

    @property
    def rule(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def target(self) -> Target: ...


@dataclass(frozen=True, slots=True)
class Silence:
    """What a person silenced, from `starts_at` to before `ends_at`."""

    id: int
    match: Match
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Hushing:
    """All that may hush at one instant."""

    now: datetime
    silences: tuple[Silence, ...] = ()
    mute_times: tuple[MuteTime, ...] = ()
    inhibit: tuple[Inhibit, ...] = ()

    def reason(self, alert: Named, firing: Iterable[Named]) -> str | None:
        """Why nobody is told of the alert while these fire; None where somebody is."""
        for silence in self.silences:
            if silence.starts_at <= self.now < silence.ends_at and is_match(silence.match, alert):
                return f"silence {silence.id}"
        for mute in self.mute_times:
            if is_match(mute.match, alert) and is_within(mute, self.now):
                return f"mute time {mute.name}"
        rules = [each for each in self.inhibit if is_match(each.mute, alert)]
        if rules:
            for other in firing:
                if any(_inhibits(each, other, alert) for each in rules):
                    return f"inhibited by {other.rule}"
        return None


def is_match(match: Match, alert: Named) -> bool:
    """Whether all that the match says holds for the alert."""
    target = alert.target
    return (
        (match.severity is None or alert.severity in match.severity)
        and (match.rule is None or matches(match.rule, alert.rule))
        and (match.model is None or matches(match.model, target.model))
        and (match.signal is None or matches(match.signal, target.signal))
        and (match.segment is None or matches_segment(match.segment, parse_segment(target.segment)))
    )


def is_within(mute: MuteTime, now: datetime) -> bool:
    """Whether a mute time holds at an instant, by the clock of its place."""
    there = now.astimezone(ZoneInfo(mute.time_zone))
    minute = there.hour * 60 + there.minute
    last = monthrange(there.year, there.month)[1]
    days = {each if each > 0 else last + 1 + each for each in mute.days_of_month or ()}
    return (
        (mute.times is None or any(each.start_time <= minute < each.end_time for each in mute.times))
        and (mute.weekdays is None or WEEKDAYS[there.weekday()] in mute.weekdays)
        and (mute.days_of_month is None or there.day in days)
        and (mute.months is None or MONTHS[there.month - 1] in mute.months)
    )


def _inhibits(inhibit: Inhibit, other: Named, alert: Named) -> bool:
    """Whether the other one, which fires, says it all. No alert inhibits itself."""
    if (other.rule, other.target) == (alert.rule, alert.target) or not is_match(inhibit.when, other):
        return False
    return all(part_of(other, name) == part_of(alert, name) for name in inhibit.equal)


def part_of(alert: Named, name: str) -> str:
    """What alerts are grouped and compared by: the rule, its severity, or a part of the target's name."""
    if name == "rule":
        return alert.rule
    return alert.severity if name == "severity" else alert.target.labels[name]
