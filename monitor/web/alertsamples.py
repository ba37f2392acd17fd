"""Rules, alerts, incidents and the outbox as Prometheus samples; labels hold names of rules and channels only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor import metrics
from monitor.metrics import Sample
from monitor.postgres import alert_views, delivery_log, rule_sets
from monitor.postgres import silences as stored
from monitor.postgres.alert_views import OPEN, Count
from monitor.postgres.database import Connection
from monitor.postgres.delivery_log import CHANNEL_STATES, ChannelRow
from monitor.postgres.rule_sets import JudgedRule, RuleSet
from monitor.postgres.silences import SilenceRow
from monitor.web.ruleset import channels_of


@dataclass(frozen=True, slots=True)
class Alerting:
    """What one scrape reads of alerts. `channels`: those of the rule file in force, and all others that were used."""

    in_force: RuleSet | None
    refusal: str | None
    rules: Sequence[JudgedRule]
    counts: Sequence[Count]
    incidents: Mapping[str, int]
    channels: Sequence[ChannelRow]
    silences: Sequence[SilenceRow]


def read(connection: Connection, now: datetime) -> Alerting:
    """One snapshot."""
    in_force = rule_sets.rule_set(connection)
    return Alerting(
        in_force=in_force,
        refusal=rule_sets.refusal(connection),
        rules=rule_sets.judged_rules(connection),
        counts=alert_views.counts(connection),
        incidents=delivery_log.open_incidents(connection),
        channels=delivery_log.channels(connection, channels_of(in_force)),
        silences=stored.silences(connection, now),
    )


def samples_of(found: Alerting, now: datetime) -> Iterator[Sample]:
    """Every sample of the snapshot. A rule that is judged has 0 of what there is none of."""
    yield from _rules(found)
    yield from _alerts(found)
    yield Sample(metrics.SILENCES, (), sum(silence.is_active(now) for silence in found.silences))
    yield from _channels(found)


def _rules(found: Alerting) -> Iterator[Sample]:
    if found.in_force is not None:
        yield Sample(metrics.RULES_INFO, (found.in_force.digest,), 1)
        yield Sample(metrics.RULES_AT, (), found.in_force.loaded_at.timestamp())
        yield Sample(metrics.RULES_REFUSED, (), float(found.refusal is not None))
    for rule in found.rules:
        yield Sample(metrics.RULE_JUDGED, (rule.name,), rule.judged)
        yield Sample(metrics.RULE_INSUFFICIENT, (rule.name,), rule.insufficient)
        yield Sample(metrics.RULE_FAILED, (rule.name,), float(rule.error is not None))
        yield Sample(metrics.RULE_AT, (rule.name,), rule.judged_at.timestamp())


def _alerts(found: Alerting) -> Iterator[Sample]:
    by_state = Counter({(rule.name, rule.severity, state): 0 for rule in found.rules for state in OPEN})
    hushed = Counter({(rule.name, rule.severity): 0 for rule in found.rules})
    incidents = {rule.name: 0 for rule in found.rules} | dict(found.incidents)
    for count in found.counts:
        by_state[count.rule, count.severity, count.state] += count.n
        if count.hushed and count.state == "firing":
            hushed[count.rule, count.severity] += count.n
    yield from (Sample(metrics.ALERTS, key, n) for key, n in sorted(by_state.items()))
    yield from (Sample(metrics.HUSHED, key, n) for key, n in sorted(hushed.items()))
    yield from (Sample(metrics.INCIDENTS, (rule,), n) for rule, n in sorted(incidents.items()))


def _channels(found: Alerting) -> Iterator[Sample]:
    for channel in found.channels:
        name = (channel.name,)
        yield Sample(metrics.NOTICES_WAITING, name, channel.waiting)
        yield Sample(metrics.NOTICES_OLDEST, name, channel.oldest_seconds or 0.0)
        yield Sample(metrics.NOTICES_TOLD, name, channel.told)
        yield Sample(metrics.NOTICES_DEAD, name, channel.dead)
        yield Sample(metrics.CHANNEL_FAILURES, name, channel.failures)
        for state in CHANNEL_STATES:
            yield Sample(metrics.CHANNEL_STATE, (channel.name, state), float(channel.state == state))
        if channel.told_at is not None:
            yield Sample(metrics.CHANNEL_TOLD_AT, name, channel.told_at.timestamp())
        if channel.beat_at is not None:
            yield Sample(metrics.HEARTBEAT_AT, name, channel.beat_at.timestamp())
