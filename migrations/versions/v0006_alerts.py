"""Alerts: rules as they were judged, states and their changes, incidents, the outbox, silences."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

INSTANT = postgresql.TIMESTAMP(timezone=True)

ALERT_V1 = """
CREATE VIEW alert_v1 AS
SELECT id, rule, about, series, model, signal, segment_text AS segment, source_group AS source,
    window_name AS window, severity, state_name AS state, finding, judged_at, fired_at, hushed
FROM alert
"""
ALERT_TRANSITION_V1 = """
CREATE VIEW alert_transition_v1 AS
SELECT t.alert, a.rule, a.model, a.signal, a.segment_text AS segment, a.window_name AS window, a.severity, t.number,
    t.at, t.before, t.after, t.reason, t.fired_at, t.hushed
FROM alert_transition AS t JOIN alert AS a ON a.id = t.alert
"""
DELIVERY_V1 = """
CREATE VIEW delivery_v1 AS
SELECT d.notice, d.channel, n.incident, i.rule, n.kind, n.queued_at, d.state, d.attempts, d.due_at, d.settled_at,
    d.error
FROM delivery AS d JOIN notice AS n ON n.id = d.notice JOIN incident AS i ON i.key = n.incident
"""
ARRIVALS = """
INSERT INTO arrival (model, predicted_at, labelled_at)
SELECT s.model, max(least(h.known_at, c.now)), max(least(h.known_at, c.now)) FILTER (WHERE 0 < ANY (h.n))
FROM pane_history AS h JOIN series AS s ON s.id = h.series
CROSS JOIN (SELECT clock_epoch_at + (clock_timestamp() - clock_started_at) * clock_rate AS now FROM installation) AS c
WHERE s.segment_text = '{}' GROUP BY s.model
"""


def upgrade() -> None:
    """Make the tables and their views."""
    _rules()
    _alerts()
    _incidents()
    _outbox()
    _people()
    op.add_column(
        "kafka_offset",
        sa.Column(
            "waits_since",
            INSTANT,
            comment="clock time from which on messages waited; NULL: none does, as last seen",
        ),
    )
    op.add_column("segment_set", sa.Column("created_at", INSTANT, comment="wall time; NULL: before revision 0006"))
    op.alter_column("segment_set", "created_at", server_default=sa.text("now()"))
    op.create_index("ix_pane_history_known_at", "pane_history", ["known_at"], postgresql_using="brin")
    for view in (ALERT_V1, ALERT_TRANSITION_V1, DELIVERY_V1):
        op.execute(view)


def downgrade() -> None:
    """Drop them, with what they hold."""
    op.execute("DROP VIEW delivery_v1, alert_transition_v1, alert_v1")
    op.drop_index("ix_pane_history_known_at", "pane_history")
    op.drop_column("segment_set", "created_at")
    op.drop_column("kafka_offset", "waits_since")
    for table in (
        "audit",
        "acknowledgement",
        "silence",
        "channel",
        "thread",
        "delivery",
        "notice",
        "incident",
        "alert_transition",
        "alert",
        "rule",
        "rule_set",
        "arrival",
    ):
        op.drop_table(table)


def _rules() -> None:
    op.create_table(
        "arrival",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("predicted_at", INSTANT, comment="when a prediction of the model last came"),
        sa.Column("labelled_at", INSTANT, comment="when a label of a known prediction last came; NULL: none ever did"),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_arrival")),
        comment="when something of each model last came",
        postgresql_with={"fillfactor": 50},
    )
    op.execute(ARRIVALS)
    op.create_table(
        "rule_set",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of the body"),
        sa.Column("body", sa.Text, nullable=False, comment="the rule file"),
        sa.Column("loaded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_set")),
        comment="rule files that were in force, each from its row on until the next; kept for ever",
    )
    op.create_table(
        "rule",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False, comment="active, shadow"),
        sa.Column("judged_at", INSTANT, nullable=False, comment="the last time"),
        sa.Column("judged", sa.Integer, nullable=False, comment="series, models or the service, then"),
        sa.Column("insufficient", sa.Integer, nullable=False, comment="of them"),
        sa.Column("error", sa.Text, comment="the last failure; NULL: none the last time"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rule")),
        comment="rules that are judged, and what came of it the last time",
    )


def _alerts() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.UUID, nullable=False, comment="digest of the rule and of what it looks at"),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False, comment="series, rollup, model, service"),
        sa.Column("series", sa.Integer, comment="NULL: not about one series"),
        sa.Column("model", sa.Text, server_default=sa.text("''"), nullable=False, comment="empty: about the service"),
        sa.Column("signal", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column(
            "segment_text",
            sa.Text,
            server_default=sa.text("''"),
            nullable=False,
            comment="as in series; empty: about no series",
        ),
        sa.Column("source_group", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column("window_name", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("state_name", sa.Text, nullable=False),
        sa.Column("state", postgresql.JSONB(), nullable=False, comment="monitor.alerting.states"),
        sa.Column("judged_at", INSTANT, nullable=False),
        sa.Column("fired_at", INSTANT, comment="the last time; NULL: it never did"),
        sa.Column(
            "evidence", postgresql.JSONB(), nullable=False, comment="of the last verdict: monitor.alerting.verdict"
        ),
        sa.Column("finding", sa.Text, nullable=False, comment="of the last verdict"),
        sa.Column("labels_seen", sa.BigInteger, comment="labels of the series that had ever matured by then"),
        sa.Column("hushed", sa.Text, comment="why nobody is told of it; NULL: somebody is"),
        sa.CheckConstraint("about IN ('series', 'rollup', 'model', 'service')", name=op.f("ck_alert_about")),
        sa.CheckConstraint("state_name IN ('ok', 'pending', 'firing', 'recovering')", name=op.f("ck_alert_state_name")),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_alert_series_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        comment="a rule on what it looks at, once anything was the matter with it; what was always well has no row",
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_alert_open", "alert", ["state_name"], unique=False, postgresql_where=sa.text("state_name <> 'ok'")
    )
    op.create_index("ix_alert_series", "alert", ["series"], unique=False)
    op.create_table(
        "alert_transition",
        sa.Column("alert", sa.UUID, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False, comment="1, 2, ... of the alert"),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("fired_at", INSTANT, comment="which life of the alert; NULL: nothing fired"),
        sa.Column(
            "hushed", sa.Text, comment="why nobody was told of it; NULL: somebody was, or there was nothing to tell"
        ),
        sa.Column(
            "body",
            postgresql.JSONB(),
            nullable=False,
            comment="monitor.alerting.transition, with the evidence as it was",
        ),
        sa.ForeignKeyConstraint(["alert"], ["alert.id"], name=op.f("fk_alert_transition_alert_alert")),
        sa.PrimaryKeyConstraint("alert", "number", name=op.f("pk_alert_transition")),
        comment="every change of every alert; kept for ever",
    )
    op.create_index("ix_alert_transition_at", "alert_transition", ["at"], unique=False)


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("key", sa.Text, nullable=False, comment="what receivers know it by"),
        sa.Column("rule", sa.Text, nullable=False, comment="a rule, or what the outbox says of itself"),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("grouping", postgresql.JSONB(), nullable=False, comment="[[name, value], ...]"),
        sa.Column(
            "channels",
            sa.ARRAY(sa.Text),
            nullable=False,
            comment="whom it is told to, from its beginning to its end",
        ),
        sa.Column("state", postgresql.JSONB(), nullable=False, comment="monitor.alerting.incident"),
        sa.Column("firing", sa.Integer, nullable=False, comment="alerts that were told and have not resolved"),
        sa.Column("opened_at", INSTANT),
        sa.Column("closed_at", INSTANT, comment="NULL while it is open"),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_incident")),
        comment="alerts of one rule and group, told as one",
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_incident_open", "incident", ["rule"], unique=False, postgresql_where=sa.text("firing > 0"))
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("ord", sa.Integer, nullable=False, comment="1, 2, ... of the incident, told in this order"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("queued_at", INSTANT, server_default=sa.text("now()"), nullable=False, comment="wall time"),
        sa.Column("body", postgresql.JSONB(), nullable=False, comment="monitor.alerting.notice, as it was then"),
        sa.ForeignKeyConstraint(["incident"], ["incident.key"], name=op.f("fk_notice_incident_incident")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("incident", "ord", name=op.f("uq_notice_incident_ord")),
        comment="what is to be told; written with the change that it tells of",
    )


def _outbox() -> None:
    op.create_table(
        "delivery",
        sa.Column("notice", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("ord", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False, comment="wall time of the next attempt"),
        sa.Column("attempts", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column(
            "batch", sa.Text, comment="idempotency key of the attempt under way: what is told together; NULL: none is"
        ),
        sa.Column("lease_until", INSTANT, comment="wall time until which an attempt is somebody's"),
        sa.Column("settled_at", INSTANT, comment="wall time at which it was told, given up or dropped"),
        sa.Column("error", sa.Text, comment="of the last attempt; of what was told, what was left out"),
        sa.CheckConstraint("state IN ('waiting', 'told', 'dead', 'dropped')", name=op.f("ck_delivery_state")),
        sa.ForeignKeyConstraint(["notice"], ["notice.id"], name=op.f("fk_delivery_notice_notice"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("notice", "channel", name=op.f("pk_delivery")),
        comment="the outbox: a notice on its way to one channel",
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "ix_delivery_due_at",
        "delivery",
        ["channel", "due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_delivery_dead", "delivery", ["channel"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index("ix_delivery_settled_at", "delivery", ["settled_at"], unique=False)
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["channel", "incident", "ord"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "thread",
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False, comment="what the receiver calls it"),
        sa.ForeignKeyConstraint(["incident"], ["incident.key"], name=op.f("fk_thread_incident_incident")),
        sa.PrimaryKeyConstraint("channel", "incident", name=op.f("pk_thread")),
        comment="where a channel's next notice of an incident belongs",
    )
    op.create_table(
        "channel",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "failures", sa.Integer, server_default=sa.text("0"), nullable=False, comment="attempts in a row that failed"
        ),
        sa.Column("closed_until", INSTANT, comment="wall time of the next trial; NULL: it is open"),
        sa.Column("refused_at", INSTANT, comment="wall time since which it refuses everything; NULL: it does not"),
        sa.Column("told_at", INSTANT, comment="wall time of the last success"),
        sa.Column("beat_at", INSTANT, comment="wall time of the last sign of life that it took"),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel")),
        comment="how each channel does",
    )


def _people() -> None:
    op.create_table(
        "silence",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column(
            "match",
            postgresql.JSONB(),
            nullable=False,
            comment="rule, model, segment, signal, severity: lists of patterns",
        ),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("expired_at", INSTANT, comment="ended by a person before its time"),
        sa.Column("expired_by", sa.Text),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_silence_ends_after_start")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silence")),
        comment="of what nobody is told for a time; kept for ever",
    )
    op.create_index("ix_silence_ends_at", "silence", ["ends_at"], unique=False)
    op.create_table(
        "acknowledgement",
        sa.Column("alarm", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["alarm.id"], name=op.f("fk_acknowledgement_alarm_alarm")),
        sa.PrimaryKeyConstraint("alarm", name=op.f("pk_acknowledgement")),
        comment="alarms of the detectors that a person has dealt with",
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("at", INSTANT, server_default=sa.text("now()"), nullable=False, comment="wall time"),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("did", sa.Text, nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="what people changed; only ever added to",
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
