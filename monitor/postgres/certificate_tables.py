"""The schema of deployed certificates and of what their watch has counted. Clock time."""

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, Double, ForeignKey, Identity, Index, Table, Text

from monitor.postgres.tables import instant, metadata

certificate = Table(
    "certificate",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("model", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("segment_text", Text, nullable=False, comment="canonical JSON"),
    Column("also", ARRAY(Text), nullable=False, comment="bars of other signals, as consistency >= 0.8"),
    Column("parts", ARRAY(Text), nullable=False, comment="the segments that are counted: with bars, those above them"),
    Column("side", Text, nullable=False, comment="accept: at or above the threshold; reject: below it"),
    Column("target", Double, nullable=False),
    Column("delta", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("n", BigInteger, nullable=False, comment="labels on the side when it was certified"),
    Column("accuracy", Double, nullable=False, comment="of them"),
    Column("bound", Double, nullable=False, comment="of that accuracy"),
    Column("coverage", Double, comment="share of all predictions on the side, then"),
    Column("deployed_at", instant, nullable=False),
    Column("deployed_by", Text, nullable=False),
    Column("retired_at", instant),
    Column("retired_by", Text),
    Column("watched_to", instant, nullable=False, comment="panes that start from here on have still to be counted"),
    Column("seen_n", BigInteger, nullable=False, comment="labels on the side since it was deployed, mature ones"),
    Column("seen_accuracy", Double, comment="of them"),
    Column("seen_bound", Double, comment="of the accuracy, at every look; NULL: labels were sampled unevenly"),
    Column("shortfall", Double, comment="by how much that bound misses the target; above 0: broken"),
    Column("worst_from", instant, comment="from which day on the evidence against the promise is strongest"),
    Column("worst_n", BigInteger, comment="labels from there on"),
    Column("worst_accuracy", Double, comment="of them"),
    CheckConstraint("side IN ('accept', 'reject')", name="side"),
    Index("ix_certificate_deployed_at", "model", "deployed_at"),
    comment="thresholds that somebody deployed, and how their promises stand; kept for ever",
)

certificate_day = Table(
    "certificate_day",
    metadata,
    Column("certificate", BigInteger, ForeignKey("certificate.id"), primary_key=True),
    Column("day", instant, primary_key=True, comment="UTC midnight of the day of the predictions"),
    Column("n", BigInteger, nullable=False, comment="labels on the side, counted when they were mature"),
    Column("right", Double, nullable=False, comment="sum of their outcomes"),
    Column("weight", Double, nullable=False, comment="sum of 1 / propensity"),
    Column("square", Double, nullable=False, comment="sum of the squares"),
    comment="what was counted for each deployed certificate; days without labels are absent",
)
