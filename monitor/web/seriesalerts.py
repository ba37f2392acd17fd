"""The alerts of one series: as a list on its page, and as lives and limits on its time line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from monitor.alerting.alertrules import AlertRule, Threshold
from monitor.alerting.patterns import matches
from monitor.alerting.selection import selects
from monitor.postgres.alert_views import AlertRow, Change
from monitor.rolling.segments import SeriesName, segment_text
from monitor.web.alertwords import REASONS, alert_url, evidence_text
from monitor.web.links import SeriesAddress
from monitor.web.scales import duration_text, instant_text
from monitor.web.timeline import LimitLine, Span

LISTED = 12


@dataclass(frozen=True, slots=True)
class SeriesAlertView:
    """One alert of the series, or one life of it that is over (`state` ended)."""

    url: str
    rule: str
    state: str
    words: str
    hushed: str


def lives(changes: Sequence[Change]) -> list[list[Change]]:
    """The changes of each life of each alert, in rising order; the life that fired last stands last."""
    ordered = sorted(changes, key=lambda each: (str(each.alert), each.transition.number))
    found = [list(each) for _, each in groupby(ordered, key=lambda each: (each.alert, each.transition.fired_at))]
    return sorted(found, key=_fired_at)


def spans(changes: Sequence[Change]) -> list[Span]:
    """The lives as bars of a time line."""
    found = []
    for life in lives(changes):
        last = life[-1].transition
        end_at = last.at if last.after == "ok" else None
        words = f"{last_words(life)}: {evidence_text(life[0].transition.evidence)}"
        found.append(Span(life[0].rule, _fired_at(life), end_at, last.after == "firing", f"{life[0].rule} {words}"))
    return found


def listed(
    changes: Sequence[Change], now_open: Sequence[AlertRow], now: datetime, *, pinned: bool
) -> list[SeriesAlertView]:
    """What is open, by its last evidence, then what is over, newest first; of a `pinned` page what was known then."""
    past = [life for life in reversed(lives(changes)) if pinned or life[-1].transition.after == "ok"]
    return [*([] if pinned else [_open(alert, now) for alert in now_open]), *(_past(life) for life in past[:LISTED])]


def limit_lines(rules: Sequence[AlertRule], address: SeriesAddress, main_signal: str) -> list[LimitLine]:
    """The limits of the rules on the level of ECE that look at the series in its window."""
    name = SeriesName(address.model, address.signal, segment_text(dict(address.segment)), address.source)
    found = []
    for rule in rules:
        condition = rule.condition
        if not isinstance(condition, Threshold) or condition.metric.name != "ece" or condition.compare != "above":
            continue
        if isinstance(condition.enter, timedelta) or isinstance(condition.exit, timedelta) or rule.mode == "off":
            continue
        if selects(rule.select, name, main_signal) and matches(rule.select.window, address.window):
            found.append(LimitLine(rule.name, condition.enter, condition.exit))
    return found


def last_words(life: Sequence[Change]) -> str:
    """From when to when it fired, and why it is over."""
    last, fired_at = life[-1].transition, _fired_at(life)
    if last.after != "ok":
        return f"since {instant_text(fired_at)}"
    lasted = duration_text(last.at - fired_at)
    return f"from {instant_text(fired_at)} to {instant_text(last.at)} ({lasted}; {REASONS[last.reason]})"


def _fired_at(life: Sequence[Change]) -> datetime:
    return life[0].transition.fired_at or life[0].transition.at


def _open(alert: AlertRow, now: datetime) -> SeriesAlertView:
    fired_at = None if alert.state == "pending" else alert.fired_at
    since = "" if fired_at is None else f"since {instant_text(fired_at)}, for {duration_text(now - fired_at)}; "
    over = f" over {alert.window}" if alert.window else ""
    words = f"{since}now {evidence_text(alert.evidence)}{over}"
    return SeriesAlertView(alert_url(alert.id), alert.rule, alert.state, words, alert.hushed or "")


def _past(life: Sequence[Change]) -> SeriesAlertView:
    last = life[-1]
    state = "ended" if last.transition.after == "ok" else last.transition.after
    words = f"{last_words(life)}; {evidence_text(life[0].transition.evidence)}"
    return SeriesAlertView(alert_url(last.alert), last.rule, state, words, last.hushed or "")
