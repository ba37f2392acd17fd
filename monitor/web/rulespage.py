"""What the page of rules shows: the file in force, each rule in words, and what came of judging it last. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.alerting.alertrules import AlertRule
from monitor.postgres.alert_views import Count
from monitor.postgres.delivery_log import ChannelRow
from monitor.postgres.rule_sets import JudgedRule, RuleSet
from monitor.postgres.silences import SilenceRow
from monitor.web.channelwords import ChannelView, channel_view
from monitor.web.links import AlertsAddress
from monitor.web.rulewords import fires_when, looks_at, over_when, whom
from monitor.web.scales import instant_text, plain
from monitor.web.sentences import ago, plural


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page reads from the database, at one moment. `unreadable`: why there are no `rules`."""

    in_force: RuleSet | None
    refusal: str | None
    rules: Sequence[AlertRule]
    unreadable: str
    judged: Sequence[JudgedRule]
    counts: Sequence[Count]
    channels: Sequence[ChannelRow]
    silences: Sequence[SilenceRow]
    now: datetime


@dataclass(frozen=True, slots=True)
class RuleView:
    """One rule, with what came of judging it the last time."""

    name: str
    severity: str
    mode: str
    fires: str
    over: str
    looks: str
    tells: str
    judged: str
    outcome: str
    error: str
    firing: str
    alerts_url: str


@dataclass(frozen=True, slots=True)
class RulesView:
    """The whole page."""

    now: datetime
    sentence: str
    refused: str
    rules: Sequence[RuleView]
    channels: Sequence[ChannelView]
    silences: Sequence[tuple[str, str, str, str]]


def view_of(found: Found) -> RulesView:
    """The page of what was found."""
    judged = {row.name: row for row in found.judged}
    firing = Counter[str]()
    for count in found.counts:
        if count.state == "firing":
            firing[count.rule] += count.n
    return RulesView(
        now=found.now,
        sentence=_sentence(found),
        refused=f"The rule file is refused, and these rules stay: {found.refusal}" if found.refusal else "",
        rules=[_rule(rule, judged.get(rule.name), firing[rule.name], found.now) for rule in found.rules],
        channels=[channel_view(channel) for channel in found.channels],
        silences=[_silence(silence, found.now) for silence in found.silences],
    )


def _sentence(found: Found) -> str:
    if found.in_force is None:
        return "No rules are in force yet: the evaluate role loads alerts.yaml when it starts."
    if found.unreadable:
        return f"The rules in force cannot be shown: {found.unreadable}."
    shadow = sum(rule.mode == "shadow" for rule in found.rules)
    off = sum(rule.mode == "off" for rule in found.rules)
    apart = [f"{plain(shadow)} in the shadow"] if shadow else []
    apart += [f"{plain(off)} off"] if off else []
    return (
        f"{plural(len(found.rules), 'rule')}{', ' + ', '.join(apart) if apart else ''}, in force since "
        f"{instant_text(found.in_force.loaded_at)} ({found.in_force.digest[:12]})."
    )


def _rule(rule: AlertRule, judged: JudgedRule | None, firing: int, now: datetime) -> RuleView:
    return RuleView(
        name=rule.name,
        severity=rule.severity,
        mode=rule.mode,
        fires=fires_when(rule),
        over=over_when(rule),
        looks=looks_at(rule),
        tells=whom(rule),
        judged="not yet" if judged is None else ago(judged.judged_at, now),
        outcome="" if judged is None else _outcome(judged),
        error="" if judged is None else judged.error or "",
        firing=plural(firing, "alert") if firing else "",
        alerts_url=AlertsAddress(rule=rule.name).url(),
    )


def _outcome(judged: JudgedRule) -> str:
    few = f", {plain(judged.insufficient)} without enough data" if judged.insufficient else ""
    return f"{plain(judged.judged)} judged{few}"


def _silence(silence: SilenceRow, now: datetime) -> tuple[str, str, str, str]:
    matched = "; ".join(f"{name} {', '.join(patterns)}" for name, patterns in silence.match.items() if patterns)
    state = "in force" if silence.is_active(now) else "planned" if silence.starts_at > now else "over"
    when = f"{instant_text(silence.starts_at)} to {instant_text(silence.ends_at)}"
    return (
        f"Silence {silence.id}",
        matched or "everything",
        f"{state}, {when}",
        f"{silence.reason} ({silence.made_by})",
    )
