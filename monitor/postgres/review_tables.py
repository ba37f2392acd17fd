"""The schema of review: draws of spot checks, what people are asked to look at, and what they said. Clock time."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
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

from monitor.postgres.tables import instant, metadata

spot_draw = Table(
    "spot_draw",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("model", Text, nullable=False),
    Column("since_at", instant, nullable=False, comment="of prediction time"),
    Column("until_at", instant, nullable=False, comment="not included; the next draw begins here"),
    Column("share", Double, nullable=False, comment="of the predictions, in expectation; (0, 1]"),
    Column(
        "strata", JSONB, nullable=False, comment="[{low, high, n, labelled, accuracy, propensity, drawn}] by confidence"
    ),
    Column(
        "gain", Double, nullable=False, comment="variance expected, over that of one share for all; 1: not stratified"
    ),
    Column("made_at", instant, nullable=False),
    Column("made_by", Text, nullable=False),
    UniqueConstraint("model", "since_at"),
    CheckConstraint("until_at > since_at", name="until_after_since"),
    comment="periods whose predictions were drawn for spot checks, once; kept for ever",
)

review_item = Table(
    "review_item",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("queue", Text, nullable=False, comment="errors, spot_check"),
    Column("model", Text, nullable=False),
    Column("prediction", UUID, nullable=False, comment="pair.id"),
    Column("predicted_at", instant, nullable=False),
    Column("signal", Text, nullable=False, comment="whose confidence it was chosen by"),
    Column("confidence", Double, nullable=False, comment="0..1"),
    Column("segments", JSONB, nullable=False),
    Column("place", Double, nullable=False, comment="the least comes first"),
    Column("is_control", Boolean, nullable=False, server_default=text("false"), comment="errors: drawn at random"),
    Column("alike", Integer, nullable=False, server_default=text("0"), comment="errors: others that say the same"),
    Column("draw", BigInteger, ForeignKey("spot_draw.id"), comment="spot_check: the draw"),
    Column("propensity", Double, comment="spot_check: with which it was drawn, (0, 1]"),
    Column("chosen_at", instant, nullable=False),
    CheckConstraint("queue IN ('errors', 'spot_check')", name="queue"),
    CheckConstraint("(queue = 'spot_check') = (propensity IS NOT NULL)", name="propensity"),
    UniqueConstraint("queue", "prediction"),
    Index("ix_review_item_place", "model", "queue", "place", "id"),
    comment="predictions that people are asked to look at",
)

review_answer = Table(
    "review_answer",
    metadata,
    Column("item", BigInteger, ForeignKey("review_item.id"), primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False, comment="one of monitor.review.reasons"),
    Column("note", Text, nullable=False),
    Column("outcome", Double, comment="what the label said before the answer, 0..1; NULL: there was none"),
    Column("label", JSONB, comment="the label event that it became, by our field names; NULL: none"),
    Column("given_at", instant, nullable=False, comment="the label's time"),
    Column("by", Text, nullable=False),
    Column("settled_at", instant, comment="once the label is acknowledged by the broker, or there is none to send"),
    Index("ix_review_answer_unsettled", "item", postgresql_where=text("settled_at IS NULL")),
    comment="what people said of them; kept for ever",
)
