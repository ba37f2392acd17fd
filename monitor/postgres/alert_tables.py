"""The schema of alerts: rules as they were judged, alerts and their changes, incidents, the outbox, silences.

Instants are clock time, but for those of the outbox, which waits and tries again by wall time.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from monitor.postgres.tables import NOW, instant, metadata

EMPTY: Final = text("''")

arrival = Table(
    "arrival",
    metadata,
    Column("model", Text, primary_key=True),
    Column("predicted_at", instant, comment="when a prediction of the model last came"),
    Column("labelled_at", instant, comment="when a label of a known prediction last came; NULL: none ever did"),
    postgresql_with={"fillfactor": 50},
    comment="when something of each model last came",
)

rule_set = Table(
    "rule_set",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("digest", Text, nullable=False, comment="SHA-256 of the body"),
    Column("body", Text, nullable=False, comment="the rule file"),
    Column("loaded_at", instant, nullable=False),
    comment="rule files that were in force, each from its row on until the next; kept for ever",
)

rule = Table(
    "rule",
    metadata,
    Column("name", Text, primary_key=True),
    Column("severity", Text, nullable=False),
    Column("mode", Text, nullable=False, comment="active, shadow"),
    Column("judged_at", instant, nullable=False, comment="the last time"),
    Column("judged", Integer, nullable=False, comment="series, models or the service, then"),
    Column("insufficient", Integer, nullable=False, comment="of them"),
    Column("error", Text, comment="the last failure; NULL: none the last time"),
    comment="rules that are judged, and what came of it the last time",
)

alert = Table(
    "alert",
    metadata,
    Column("id", UUID, primary_key=True, comment="digest of the rule and of what it looks at"),
    Column("rule", Text, nullable=False),
    Column("about", Text, nullable=False, comment="series, rollup, model, service"),
    Column("series", Integer, ForeignKey("series.id"), comment="NULL: not about one series"),
    Column("model", Text, nullable=False, server_default=EMPTY, comment="empty: about the service"),
    Column("signal", Text, nullable=False, server_default=EMPTY),
    Column("segment_text", Text, nullable=False, server_default=EMPTY, comment="as in series; empty: about no series"),
    Column("source_group", Text, nullable=False, server_default=EMPTY),
    Column("window_name", Text, nullable=False, server_default=EMPTY),
    Column("severity", Text, nullable=False),
    Column("state_name", Text, nullable=False),
    Column("state", JSONB, nullable=False, comment="monitor.alerting.states"),
    Column("judged_at", instant, nullable=False),
    Column("fired_at", instant, comment="the last time; NULL: it never did"),
    Column("evidence", JSONB, nullable=False, comment="of the last verdict: monitor.alerting.verdict"),
    Column("finding", Text, nullable=False, comment="of the last verdict"),
    Column("labels_seen", BigInteger, comment="labels of the series that had ever matured by then"),
    Column("hushed", Text, comment="why nobody is told of it; NULL: somebody is"),
    CheckConstraint("about IN ('series', 'rollup', 'model', 'service')", name="about"),
    CheckConstraint("state_name IN ('ok', 'pending', 'firing', 'recovering')", name="state_name"),
    Index("ix_alert_open", "state_name", postgresql_where=text("state_name <> 'ok'")),
    Index("ix_alert_series", "series"),
    postgresql_with={"fillfactor": 70},
    comment="a rule on what it looks at, once anything was the matter with it; what was always well has no row",
)

alert_transition = Table(
    "alert_transition",
    metadata,
    Column("alert", UUID, ForeignKey("alert.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="1, 2, ... of the alert"),
    Column("at", instant, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fired_at", instant, comment="which life of the alert; NULL: nothing fired"),
    Column("hushed", Text, comment="why nobody was told of it; NULL: somebody was, or there was nothing to tell"),
    Column("body", JSONB, nullable=False, comment="monitor.alerting.transition, with the evidence as it was"),
    Index("ix_alert_transition_at", "at"),
    comment="every change of every alert; kept for ever",
)

incident = Table(
    "incident",
    metadata,
    Column("key", Text, primary_key=True, comment="what receivers know it by"),
    Column("rule", Text, nullable=False, comment="a rule, or what the outbox says of itself"),
    Column("title", Text, nullable=False),
    Column("grouping", JSONB, nullable=False, comment="[[name, value], ...]"),
    Column("channels", ARRAY(Text), nullable=False, comment="whom it is told to, from its beginning to its end"),
    Column("state", JSONB, nullable=False, comment="monitor.alerting.incident"),
    Column("firing", Integer, nullable=False, comment="alerts that were told and have not resolved"),
    Column("opened_at", instant),
    Column("closed_at", instant, comment="NULL while it is open"),
    Column("changed_at", instant, nullable=False),
    Index("ix_incident_open", "rule", postgresql_where=text("firing > 0")),
    postgresql_with={"fillfactor": 70},
    comment="alerts of one rule and group, told as one",
)

notice = Table(
    "notice",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("incident", Text, ForeignKey("incident.key"), nullable=False),
    Column("ord", Integer, nullable=False, comment="1, 2, ... of the incident, told in this order"),
    Column("kind", Text, nullable=False),
    Column("at", instant, nullable=False),
    Column("queued_at", instant, nullable=False, server_default=NOW, comment="wall time"),
    Column("body", JSONB, nullable=False, comment="monitor.alerting.notice, as it was then"),
    UniqueConstraint("incident", "ord"),
    comment="what is to be told; written with the change that it tells of",
)

delivery = Table(
    "delivery",
    metadata,
    Column("notice", BigInteger, ForeignKey("notice.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("channel", Text, primary_key=True),
    Column("incident", Text, nullable=False),
    Column("ord", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),
    Column("due_at", instant, nullable=False, comment="wall time of the next attempt"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("batch", Text, comment="idempotency key of the attempt under way: what is told together; NULL: none is"),
    Column("lease_until", instant, comment="wall time until which an attempt is somebody's"),
    Column("settled_at", instant, comment="wall time at which it was told, given up or dropped"),
    Column("error", Text, comment="of the last attempt; of what was told, what was left out"),
    CheckConstraint("state IN ('waiting', 'told', 'dead', 'dropped')", name="state"),
    Index("ix_delivery_waiting", "channel", "incident", "ord", postgresql_where=text("state = 'waiting'")),
    Index("ix_delivery_due_at", "channel", "due_at", postgresql_where=text("state = 'waiting'")),
    Index("ix_delivery_dead", "channel", postgresql_where=text("state = 'dead'")),
    Index("ix_delivery_settled_at", "settled_at"),
    postgresql_with={"fillfactor": 70},
    comment="the outbox: a notice on its way to one channel",
)

thread = Table(
    "thread",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("incident", Text, ForeignKey("incident.key"), primary_key=True),
    Column("reference", Text, nullable=False, comment="what the receiver calls it"),
    comment="where a channel's next notice of an incident belongs",
)

channel = Table(
    "channel",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="attempts in a row that failed"),
    Column("closed_until", instant, comment="wall time of the next trial; NULL: it is open"),
    Column("refused_at", instant, comment="wall time since which it refuses everything; NULL: it does not"),
    Column("told_at", instant, comment="wall time of the last success"),
    Column("beat_at", instant, comment="wall time of the last sign of life that it took"),
    Column("error", Text),
    comment="how each channel does",
)

silence = Table(
    "silence",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("match", JSONB, nullable=False, comment="rule, model, segment, signal, severity: lists of patterns"),
    Column("starts_at", instant, nullable=False),
    Column("ends_at", instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", instant, nullable=False),
    Column("expired_at", instant, comment="ended by a person before its time"),
    Column("expired_by", Text),
    CheckConstraint("ends_at > starts_at", name="ends_after_start"),
    Index("ix_silence_ends_at", "ends_at"),
    comment="of what nobody is told for a time; kept for ever",
)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("alarm", BigInteger, ForeignKey("alarm.id"), primary_key=True, autoincrement=False),
    Column("at", instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="alarms of the detectors that a person has dealt with",
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", instant, nullable=False, server_default=NOW, comment="wall time"),
    Column("by", Text, nullable=False),
    Column("did", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Index("ix_audit_at", "at"),
    comment="what people changed; only ever added to",
)
