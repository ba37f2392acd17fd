"""The schema of recalibration: artefacts, the runs that fitted them, and what was put in force when. Clock time."""

from sqlalchemy import (
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
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from monitor.postgres.tables import instant, metadata

calibrator = Table(
    "calibrator",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("model", Text, nullable=False),
    Column("signal", Text, nullable=False, comment="what is recalibrated"),
    Column("version", Integer, nullable=False, comment="1, 2, ... of the model and signal"),
    Column("fingerprint", Text, nullable=False, comment="digest of the body"),
    Column("body", Text, nullable=False, comment="the artefact, JSON; it never changes"),
    Column("created_at", instant, nullable=False),
    UniqueConstraint("model", "signal", "version"),
    comment="recalibration maps; kept for ever",
)

recalibration = Table(
    "recalibration",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("model", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("cause", Text, nullable=False, comment="schedule, alert, demand"),
    Column("due_at", instant, comment="when it was due, by the schedule or after an alert; NULL: on demand"),
    Column("alert", UUID, comment="the alert that caused it"),
    Column("at", instant, nullable=False),
    Column("outcome", Text, nullable=False, comment="passed, kept, failed"),
    Column("sentence", Text, nullable=False, comment="the verdict in words"),
    Column("body", JSONB, nullable=False, comment="monitor.recalibration.trial.Trial"),
    Column("calibrator", BigInteger, ForeignKey("calibrator.id"), comment="the candidate; NULL: none could be fitted"),
    Column("told_at", instant, comment="when the leader told of it"),
    CheckConstraint("outcome IN ('passed', 'kept', 'failed')", name="outcome"),
    Index("uq_recalibration_due_at", "model", "signal", "cause", "due_at", unique=True),
    Index("ix_recalibration_at", "model", "at"),
    comment="runs: what was fitted, and what the gate said; one a model and due time; kept for ever",
)

promotion = Table(
    "promotion",
    metadata,
    Column("model", Text, primary_key=True),
    Column("signal", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="1, 2, ...; the last is in force"),
    Column("calibrator", BigInteger, ForeignKey("calibrator.id"), comment="NULL: confidences as stated"),
    Column("stage", Text, nullable=False, comment="active; shadow: applied and monitored, but not acted on"),
    Column("at", instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("checked_at", instant, comment="when its losses were last held against those as stated"),
    Column("settled_at", instant, comment="when the leader began anew what depends on it, and told of it"),
    CheckConstraint("stage IN ('active', 'shadow')", name="stage"),
    comment="what was put in force when; only ever added to",
)
