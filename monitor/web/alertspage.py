"""What the page of alerts lists: what fires, recovers and is pending, then what ended lately. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from markupsafe import Markup

from monitor.alerting.notice import SEVERITIES
from monitor.postgres.alert_views import OPEN, AlertRow, Count, LifeRow
from monitor.web.alertwords import REASONS, SubjectView, alert_url, evidence_text, subject_view
from monitor.web.links import AlertsAddress
from monitor.web.options import WebOptions
from monitor.web.scales import duration_text, instant_text, plain
from monitor.web.sentences import firing, plural
from monitor.web.svg import tag

PAGE_SIZE = 100
ENDED = 20
"""Lives that are over on the page of everything."""

STATES = (*OPEN, "ended")


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page reads from the database, at one moment. `rules` and `models` may be chosen."""

    alerts: Sequence[AlertRow]
    ended: Sequence[LifeRow]
    counts: Sequence[Count]
    rules: Sequence[str]
    models: Sequence[str]
    has_rules: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class RowView:
    """One alert that is not ok."""

    url: str
    rule: str
    rule_url: str
    subject: SubjectView
    state: str
    severity: str
    evidence: str
    at: str
    age: str
    hushed: str


@dataclass(frozen=True, slots=True)
class LifeView:
    """One life of an alert that is over."""

    url: str
    rule: str
    rule_url: str
    subject: SubjectView
    severity: str
    fired: str
    ended: str
    why: str
    hushed: str


@dataclass(frozen=True, slots=True)
class AlertsView:
    """The whole page."""

    title: str
    now: datetime
    sentence: Markup
    address: AlertsAddress
    tabs: Sequence[tuple[str, str, bool]]
    rules: Sequence[str]
    models: Sequence[str]
    severities: Sequence[str]
    rows: Sequence[RowView]
    ended: Sequence[LifeView]
    nothing: str
    previous: str
    next: str
    json_url: str


def place_of(page: int) -> slice:
    """Where the rows of a page (from 1) stand in the list, and one more to see whether there is a next page."""
    return slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE + 1)


def view_of(found: Found, address: AlertsAddress, options: WebOptions) -> AlertsView:
    """The page of what was found."""
    shown = found.alerts[:PAGE_SIZE]
    by_state = Counter[str]()
    for count in found.counts:
        by_state[count.state] += count.n
    at_once = by_state["firing"]
    return AlertsView(
        title=f"{at_once} firing" if at_once else "Alerts",
        now=found.now,
        sentence=sentence_of(found),
        address=address,
        tabs=_tabs(by_state, address),
        rules=found.rules,
        models=found.models,
        severities=SEVERITIES[::-1],
        rows=[_row(row, options.windows[0], found.now) for row in shown],
        ended=[_life(life, options.windows[0]) for life in found.ended],
        nothing=_nothing(address, has_rules=found.has_rules) if not shown and not found.ended else "",
        previous=replace(address, page=address.page - 1).url() if address.page > 1 else "",
        next=replace(address, page=address.page + 1).url() if len(found.alerts) > PAGE_SIZE else "",
        json_url=address.api(),
    )


def sentence_of(found: Found) -> Markup:
    """How many fire and how bad they are, how many recover or are pending, and of how many nobody is told."""
    others = Counter[str]()
    for count in found.counts:
        others[count.state] += count.n
    hushed = sum(count.n for count in found.counts if count.hushed)
    rest = [
        f"{plain(others[state])} {'is' if others[state] == 1 else 'are'} {state}" for state in OPEN[1:] if others[state]
    ]
    more = f" {' and '.join(rest)}." if rest else ""
    untold = f" Of {plural(hushed, 'alert')} nobody is told." if hushed else ""
    return Markup("").join([firing(found.counts, has_rules=found.has_rules), tag("span", more + untold)])


def _tabs(by_state: Counter[str], address: AlertsAddress) -> list[tuple[str, str, bool]]:
    every = [("everything", "")] + [
        (f"{state} {by_state[state]}" if state != "ended" else state, state) for state in STATES
    ]
    return [(words, replace(address, state=state, page=1).url(), state == address.state) for words, state in every]


def _row(row: AlertRow, window: str, now: datetime) -> RowView:
    fired_at = None if row.state == "pending" else row.fired_at
    return RowView(
        url=alert_url(row.id),
        rule=row.rule,
        rule_url=f"/rules#{row.rule}",
        subject=subject_view(row, window),
        state=row.state,
        severity=row.severity,
        evidence=evidence_text(row.evidence),
        at="" if fired_at is None else instant_text(fired_at),
        age="not yet" if fired_at is None else f"for {duration_text(now - fired_at)}",
        hushed=row.hushed or "",
    )


def _life(life: LifeRow, window: str) -> LifeView:
    flaps = f", came back {plural(life.flaps, 'time')}" if life.flaps else ""
    return LifeView(
        url=alert_url(life.id),
        rule=life.rule,
        rule_url=f"/rules#{life.rule}",
        subject=subject_view(life, window),
        severity=life.severity,
        fired=instant_text(life.fired_at),
        ended=f"{instant_text(life.ended_at)}, after {duration_text(life.ended_at - life.fired_at)}",
        why=f"{REASONS[life.reason]}{flaps}",
        hushed=life.hushed or "",
    )


def _nothing(address: AlertsAddress, *, has_rules: bool) -> str:
    if not has_rules:
        return "No rules are in force yet: the evaluate role loads them when it starts."
    if address.state == "ended":
        return "Nothing that fits this choice ever fired and ended."
    if address.query():
        return "No alert fits this choice."
    return "Nothing fires, and nothing is pending. What ends is listed here from then on."
