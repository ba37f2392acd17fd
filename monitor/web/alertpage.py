"""What the page of one alert shows: its state, the evidence then and now, its changes, and who was told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.alerting.alertrules import AlertRule
from monitor.alerting.hushing import is_match
from monitor.alerting.routes import Match
from monitor.alerting.states import Firing, Ok, Pending, Recovering, State
from monitor.alerting.transition import Transition
from monitor.errors import CaldriftError
from monitor.postgres.alert_views import AlertRow, Change
from monitor.postgres.delivery_log import ChannelRow, DeliveryRow, IncidentRow
from monitor.postgres.silences import SilenceRow
from monitor.web.alertwords import REASONS, SubjectView, evidence_text, subject_view
from monitor.web.channelwords import ChannelView, channel_view
from monitor.web.evidence import EvidenceView, evidence_view
from monitor.web.options import WebOptions
from monitor.web.rulewords import asked_labels, rule_facts
from monitor.web.scales import duration_text, instant_text, plain
from monitor.web.sentences import plural

CHANGES = 100
_AT_ONCE = "the limit was crossed, and no wait is asked"
DELIVERIES = 100


class UnknownAlertError(CaldriftError):
    """The address names an alert that the database does not hold."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page reads from the database, at one moment.

    `begun`: what made it fire, or pending, the last time. `rule` None: it is not in the rule file in force. `changes`
    may hold one more than is shown.
    """

    alert: AlertRow
    state: State
    begun: Transition | None
    changes: Sequence[Change]
    rule: AlertRule | None
    incidents: Sequence[IncidentRow]
    deliveries: Sequence[DeliveryRow]
    channels: Sequence[ChannelRow]
    silences: Sequence[SilenceRow]
    now: datetime


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change of the state."""

    number: str
    at: str
    before: str
    after: str
    why: str
    evidence: str
    hushed: str


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One notice on its way to one channel."""

    kind: str
    at: str
    channel: str
    state: str
    words: str
    attempts: str
    error: str


@dataclass(frozen=True, slots=True)
class IncidentView:
    """What is told together, and what became of each notice of it."""

    title: str
    words: str
    deliveries: Sequence[DeliveryView]


@dataclass(frozen=True, slots=True)
class SilenceView:
    """A silence that covers the alert."""

    number: int
    words: str
    is_in_force: bool


@dataclass(frozen=True, slots=True)
class AlertView:
    """The whole page."""

    title: str
    now: datetime
    rule: str
    rule_url: str
    severity: str
    state: str
    subject: SubjectView
    sentence: str
    hushed: str
    then: EvidenceView | None
    latest: EvidenceView
    facts: Sequence[tuple[str, str]]
    incidents: Sequence[IncidentView]
    untold: str
    channels: Sequence[ChannelView]
    changes: Sequence[ChangeView]
    older: str
    silences: Sequence[SilenceView]
    json_url: str


def labels_of(alert: AlertRow) -> dict[str, str]:
    """The alert's values of what alerts may be grouped by."""
    return {**alert.target.labels, "rule": alert.rule, "severity": alert.severity}


def view_of(found: Found, options: WebOptions) -> AlertView:
    """The page of what was found."""
    alert, begun = found.alert, found.begun
    covering = [each for each in found.silences if is_match(Match.model_validate(each.match), alert)]
    then = None
    if begun is not None and begun.evidence.as_of != alert.evidence.as_of:
        words = "When it was crossed" if begun.reason == "pending" else "When it fired"
        then = evidence_view(begun.evidence, "then", words)
    return AlertView(
        title=f"{alert.rule} {'is ok' if alert.state == 'ok' else alert.state}",
        now=found.now,
        rule=alert.rule,
        rule_url=f"/rules#{alert.rule}",
        severity=alert.severity,
        state=alert.state,
        subject=subject_view(alert, options.windows[0]),
        sentence=sentence_of(found),
        hushed=alert.hushed or "",
        then=then,
        latest=evidence_view(alert.evidence, "now", "Now, with later labels" if then else "Now"),
        facts=rule_facts(found.rule) if found.rule is not None else [],
        incidents=[_incident(each, found.deliveries) for each in found.incidents],
        untold=_untold(found),
        channels=_channels(found),
        changes=[_change(each) for each in found.changes[:CHANGES]],
        older=_older(found),
        silences=[_silence(each, found.now) for each in covering],
        json_url=f"/api/v1/alerts/{alert.id}",
    )


def sentence_of(found: Found) -> str:
    """Where the alert is in its life, and what it waits for."""
    match found.state:
        case Ok():
            last = found.changes[0] if found.changes else None
            ended = (
                "" if last is None else f" since {instant_text(last.transition.at)}: {REASONS[last.transition.reason]}"
            )
            return f"Over{ended}."
        case Pending(watched=watched, new_labels=new_labels):
            return f"The limit is crossed, so far for {_share(watched, found.rule)}{_labels(new_labels, found.rule)}."
        case Firing(fired_at=fired_at, flaps=flaps):
            return f"Firing since {instant_text(fired_at)}, for {duration_text(found.now - fired_at)}{_flaps(flaps)}."
        case Recovering(fired_at=fired_at, flaps=flaps, watched=watched):
            wait = "" if found.rule is None else f" of {duration_text(found.rule.keep_firing_for)}"
            return (
                f"It fired at {instant_text(fired_at)} and is back within exit for {duration_text(watched)}{wait}"
                f"{_flaps(flaps)}."
            )


def _share(watched: timedelta, rule: AlertRule | None) -> str:
    return duration_text(watched) + ("" if rule is None else f" of {duration_text(rule.for_)}")


def _labels(new_labels: int, rule: AlertRule | None) -> str:
    """How much of the wait for labels is over; empty for a rule that asks for none."""
    if rule is None:
        return f" and over {plural(new_labels, 'new label')}"
    asked = asked_labels(rule)
    return f" and over {plain(new_labels)} of {plural(asked, 'new label')}" if asked else ""


def _flaps(flaps: int) -> str:
    return f"; it came back {plural(flaps, 'time')}, of which nobody was told" if flaps else ""


def _change(change: Change) -> ChangeView:
    made = change.transition
    return ChangeView(
        number=plain(made.number),
        at=instant_text(made.at),
        before=made.before,
        after=made.after,
        why=_AT_ONCE if made.reason == "fired" and made.before == "ok" else REASONS[made.reason],
        evidence=evidence_text(made.evidence),
        hushed=change.hushed or "",
    )


def _older(found: Found) -> str:
    """Where the changes before those that are shown are."""
    if len(found.changes) <= CHANGES:
        return ""
    return f"/alerts/{found.alert.id}?before={found.changes[CHANGES - 1].transition.number}"


def _incident(incident: IncidentRow, deliveries: Sequence[DeliveryRow]) -> IncidentView:
    fires = f"{plural(incident.firing, 'alert')} told and not over" if incident.firing else "over"
    to = f"told to {', '.join(incident.channels)}" if incident.channels else "told to nobody"
    opened = "" if incident.opened_at is None else f", opened {instant_text(incident.opened_at)}"
    return IncidentView(
        title=incident.title,
        words=f"{fires}{opened}; {to}. When it was told is by the wall clock",
        deliveries=[_delivery(each) for each in deliveries if each.incident == incident.key],
    )


def _delivery(delivery: DeliveryRow) -> DeliveryView:
    settled = "" if delivery.settled_at is None else f" {instant_text(delivery.settled_at)}"
    words = {
        "waiting": "being sent now" if delivery.under_way else f"next attempt {instant_text(delivery.due_at)}",
        "told": f"told{settled}",
        "dead": f"given up{settled}",
        "dropped": f"dropped{settled}",
    }
    return DeliveryView(
        kind=delivery.kind,
        at=instant_text(delivery.at),
        channel=delivery.channel,
        state=delivery.state,
        words=words[delivery.state],
        attempts=plain(delivery.attempts),
        error=delivery.error or "",
    )


def _untold(found: Found) -> str:
    """Why there is no delivery to show."""
    if found.deliveries:
        return ""
    if found.alert.hushed:
        return f"Nobody was told: {found.alert.hushed}."
    if found.rule is not None and found.rule.route is None:
        return "Nobody is told: the rule has no route, and there is no fallback route."
    return "Nothing has been queued for it."


def _channels(found: Found) -> list[ChannelView]:
    used: Mapping[str, None] = dict.fromkeys(delivery.channel for delivery in found.deliveries)
    return [channel_view(channel) for channel in found.channels if channel.name in used]


def _silence(silence: SilenceRow, now: datetime) -> SilenceView:
    ended = (
        "" if silence.expired_at is None else f", ended by {silence.expired_by} at {instant_text(silence.expired_at)}"
    )
    words = (
        f"{silence.reason} ({silence.made_by}), from {instant_text(silence.starts_at)} to "
        f"{instant_text(silence.ends_at)}{ended}"
    )
    return SilenceView(silence.id, words, silence.is_active(now))
