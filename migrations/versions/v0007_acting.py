"""Acting on what is seen: recalibration maps, their runs and promotions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    _recalibration()


def downgrade() -> None:
    """Drop them, with what they hold."""
    for table in ("promotion", "recalibration", "calibrator"):
        op.drop_table(table)


def _recalibration() -> None:
    op.create_table(
        "calibrator",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("signal", sa.Text, nullable=False, comment="what is recalibrated"),
        sa.Column("version", sa.Integer, nullable=False, comment="1, 2, ... of the model and signal"),
        sa.Column("fingerprint", sa.Text, nullable=False, comment="digest of the body"),
        sa.Column("body", sa.Text, nullable=False, comment="the artefact, JSON; it never changes"),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibrator")),
        sa.UniqueConstraint("model", "signal", "version", name=op.f("uq_calibrator_model_signal_version")),
        comment="recalibration maps; kept for ever",
    )
    op.create_table(
        "recalibration",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False, comment="schedule, alert, demand"),
        sa.Column("due_at", INSTANT, comment="when it was due, by the schedule or after an alert; NULL: on demand"),
        sa.Column("alert", sa.UUID, comment="the alert that caused it"),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False, comment="passed, kept, failed"),
        sa.Column("sentence", sa.Text, nullable=False, comment="the verdict in words"),
        sa.Column("body", postgresql.JSONB(), nullable=False, comment="monitor.recalibration.trial.Trial"),
        sa.Column("calibrator", sa.BigInteger, comment="the candidate; NULL: none could be fitted"),
        sa.Column("told_at", INSTANT, comment="when the leader told of it"),
        sa.CheckConstraint("outcome IN ('passed', 'kept', 'failed')", name=op.f("ck_recalibration_outcome")),
        sa.ForeignKeyConstraint(["calibrator"], ["calibrator.id"], name=op.f("fk_recalibration_calibrator_calibrator")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalibration")),
        comment="runs: what was fitted, and what the gate said; one a model and due time; kept for ever",
    )
    op.create_index("uq_recalibration_due_at", "recalibration", ["model", "signal", "cause", "due_at"], unique=True)
    op.create_index("ix_recalibration_at", "recalibration", ["model", "at"], unique=False)
    op.create_table(
        "promotion",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False, comment="1, 2, ...; the last is in force"),
        sa.Column("calibrator", sa.BigInteger, comment="NULL: confidences as stated"),
        sa.Column("stage", sa.Text, nullable=False, comment="active; shadow: applied and monitored, but not acted on"),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("checked_at", INSTANT, comment="when its losses were last held against those as stated"),
        sa.Column("settled_at", INSTANT, comment="when the leader began anew what depends on it, and told of it"),
        sa.CheckConstraint("stage IN ('active', 'shadow')", name=op.f("ck_promotion_stage")),
        sa.ForeignKeyConstraint(["calibrator"], ["calibrator.id"], name=op.f("fk_promotion_calibrator_calibrator")),
        sa.PrimaryKeyConstraint("model", "signal", "number", name=op.f("pk_promotion")),
        comment="what was put in force when; only ever added to",
    )
