"""Acting on what is seen: recalibration maps, their runs and promotions; review by people."""

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
    _review()
    _certificates()
    _intake()


def downgrade() -> None:
    """Drop them, with what they hold."""
    op.drop_column("kafka_offset", "left_at")
    for table in (
        "certificate_day",
        "certificate",
        "review_answer",
        "review_item",
        "spot_draw",
        "promotion",
        "recalibration",
        "calibrator",
    ):
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


def _review() -> None:
    op.create_table(
        "spot_draw",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("since_at", INSTANT, nullable=False, comment="of prediction time"),
        sa.Column("until_at", INSTANT, nullable=False, comment="not included; the next draw begins here"),
        sa.Column("share", sa.Double, nullable=False, comment="of the predictions, in expectation; (0, 1]"),
        sa.Column(
            "strata",
            postgresql.JSONB(),
            nullable=False,
            comment="[{low, high, n, labelled, accuracy, propensity, drawn}] by confidence",
        ),
        sa.Column(
            "gain",
            sa.Double,
            nullable=False,
            comment="variance expected, over that of one share for all; 1: not stratified",
        ),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.CheckConstraint("until_at > since_at", name=op.f("ck_spot_draw_until_after_since")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spot_draw")),
        sa.UniqueConstraint("model", "since_at", name=op.f("uq_spot_draw_model_since_at")),
        comment="periods whose predictions were drawn for spot checks, once; kept for ever",
    )
    op.create_table(
        "review_item",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("queue", sa.Text, nullable=False, comment="errors, spot_check"),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prediction", sa.UUID, nullable=False, comment="pair.id"),
        sa.Column("predicted_at", INSTANT, nullable=False),
        sa.Column("signal", sa.Text, nullable=False, comment="whose confidence it was chosen by"),
        sa.Column("confidence", sa.Double, nullable=False, comment="0..1"),
        sa.Column("segments", postgresql.JSONB(), nullable=False),
        sa.Column("place", sa.Double, nullable=False, comment="the least comes first"),
        sa.Column(
            "is_control",
            sa.Boolean,
            server_default=sa.text("false"),
            nullable=False,
            comment="errors: drawn at random",
        ),
        sa.Column(
            "alike",
            sa.Integer,
            server_default=sa.text("0"),
            nullable=False,
            comment="errors: others that say the same",
        ),
        sa.Column("draw", sa.BigInteger, comment="spot_check: the draw"),
        sa.Column("propensity", sa.Double, comment="spot_check: with which it was drawn, (0, 1]"),
        sa.Column("chosen_at", INSTANT, nullable=False),
        sa.CheckConstraint("queue IN ('errors', 'spot_check')", name=op.f("ck_review_item_queue")),
        sa.CheckConstraint("(queue = 'spot_check') = (propensity IS NOT NULL)", name=op.f("ck_review_item_propensity")),
        sa.ForeignKeyConstraint(["draw"], ["spot_draw.id"], name=op.f("fk_review_item_draw_spot_draw")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_item")),
        sa.UniqueConstraint("queue", "prediction", name=op.f("uq_review_item_queue_prediction")),
        comment="predictions that people are asked to look at",
    )
    op.create_index("ix_review_item_place", "review_item", ["model", "queue", "place", "id"], unique=False)
    op.create_table(
        "review_answer",
        sa.Column("item", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, comment="one of monitor.review.reasons"),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("outcome", sa.Double, comment="what the label said before the answer, 0..1; NULL: there was none"),
        sa.Column(
            "label", postgresql.JSONB(), comment="the label event that it became, by our field names; NULL: none"
        ),
        sa.Column("given_at", INSTANT, nullable=False, comment="the label's time"),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column(
            "settled_at", INSTANT, comment="once the label is acknowledged by the broker, or there is none to send"
        ),
        sa.ForeignKeyConstraint(["item"], ["review_item.id"], name=op.f("fk_review_answer_item_review_item")),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_review_answer")),
        comment="what people said of them; kept for ever",
    )
    op.create_index(
        "ix_review_answer_unsettled",
        "review_answer",
        ["item"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NULL"),
    )


def _certificates() -> None:
    op.create_table(
        "certificate",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("segment_text", sa.Text, nullable=False, comment="canonical JSON"),
        sa.Column("also", sa.ARRAY(sa.Text), nullable=False, comment="bars of other signals, as consistency >= 0.8"),
        sa.Column(
            "parts",
            sa.ARRAY(sa.Text),
            nullable=False,
            comment="the segments that are counted: with bars, those above them",
        ),
        sa.Column("side", sa.Text, nullable=False, comment="accept: at or above the threshold; reject: below it"),
        sa.Column("target", sa.Double, nullable=False),
        sa.Column("delta", sa.Double, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False, comment="labels on the side when it was certified"),
        sa.Column("accuracy", sa.Double, nullable=False, comment="of them"),
        sa.Column("bound", sa.Double, nullable=False, comment="of that accuracy"),
        sa.Column("coverage", sa.Double, comment="share of all predictions on the side, then"),
        sa.Column("deployed_at", INSTANT, nullable=False),
        sa.Column("deployed_by", sa.Text, nullable=False),
        sa.Column("retired_at", INSTANT),
        sa.Column("retired_by", sa.Text),
        sa.Column(
            "watched_to", INSTANT, nullable=False, comment="panes that start from here on have still to be counted"
        ),
        sa.Column(
            "seen_n",
            sa.BigInteger,
            nullable=False,
            comment="labels on the side since it was deployed, mature ones",
        ),
        sa.Column("seen_accuracy", sa.Double, comment="of them"),
        sa.Column(
            "seen_bound", sa.Double, comment="of the accuracy, at every look; NULL: labels were sampled unevenly"
        ),
        sa.Column("shortfall", sa.Double, comment="by how much that bound misses the target; above 0: broken"),
        sa.Column("worst_from", INSTANT, comment="from which day on the evidence against the promise is strongest"),
        sa.Column("worst_n", sa.BigInteger, comment="labels from there on"),
        sa.Column("worst_accuracy", sa.Double, comment="of them"),
        sa.CheckConstraint("side IN ('accept', 'reject')", name=op.f("ck_certificate_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        comment="thresholds that somebody deployed, and how their promises stand; kept for ever",
    )
    op.create_index("ix_certificate_deployed_at", "certificate", ["model", "deployed_at"], unique=False)
    op.create_table(
        "certificate_day",
        sa.Column("certificate", sa.BigInteger, nullable=False),
        sa.Column("day", INSTANT, nullable=False, comment="UTC midnight of the day of the predictions"),
        sa.Column("n", sa.BigInteger, nullable=False, comment="labels on the side, counted when they were mature"),
        sa.Column("right", sa.Double, nullable=False, comment="sum of their outcomes"),
        sa.Column("weight", sa.Double, nullable=False, comment="sum of 1 / propensity"),
        sa.Column("square", sa.Double, nullable=False, comment="sum of the squares"),
        sa.ForeignKeyConstraint(
            ["certificate"], ["certificate.id"], name=op.f("fk_certificate_day_certificate_certificate")
        ),
        sa.PrimaryKeyConstraint("certificate", "day", name=op.f("pk_certificate_day")),
        comment="what was counted for each deployed certificate; days without labels are absent",
    )


def _intake() -> None:
    op.add_column(
        "kafka_offset",
        sa.Column(
            "left_at",
            INSTANT,
            comment="clock time at which a process that reads last ended in order; NULL: none did",
        ),
    )
