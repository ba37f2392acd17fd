"""Drift detectors: what they know of each series, which panes they were fed, and their alarms."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

INSTANT = postgresql.TIMESTAMP(timezone=True)

DETECTOR_V1 = """
CREATE VIEW detector_v1 AS
SELECT d.series, s.model, s.signal, s.segment_text AS segment, s.source_group AS source,
    d.baseline IS NOT NULL AS watched, d.began_at, d.until_at, d.labels, d.residual, d.page_evidence, d.page_limit,
    d.warn_evidence, d.warn_limit, d.late_labels
FROM detector AS d JOIN series AS s ON s.id = d.series
"""
ALARM_V1 = """
CREATE VIEW alarm_v1 AS
SELECT a.id, a.series, s.model, s.signal, s.segment_text AS segment, s.source_group AS source, a.tier, a.raised_at,
    a.pane_start, a.band, a.sign, a.onset_at, a.onset_low_at, a.onset_high_at, a.size, a.size_low, a.size_high, a.value,
    a.alpha, a.labels, a.slope, a.intercept
FROM alarm AS a JOIN series AS s ON s.id = a.series
"""


def upgrade() -> None:
    """Make the tables and their views. Detectors begin with the panes that are there."""
    _detector()
    _fed_pane()
    _alarm()
    for view in (DETECTOR_V1, ALARM_V1):
        op.execute(view)


def downgrade() -> None:
    """Drop them, with what they hold."""
    op.execute("DROP VIEW alarm_v1, detector_v1")
    for table in ("alarm", "fed_pane", "detector"):
        op.drop_table(table)


def _detector() -> None:
    op.create_table(
        "detector",
        sa.Column("series", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("first_at", INSTANT, nullable=False, comment="the first pane that was taken"),
        sa.Column(
            "began_at", INSTANT, comment="the first pane of the baseline; NULL: a new one begins with the next pane"
        ),
        sa.Column(
            "until_at", INSTANT, nullable=False, comment="the last pane that was taken; all after it are still to come"
        ),
        sa.Column("panes", sa.BigInteger, nullable=False, comment="panes with labels that were taken since first_at"),
        sa.Column(
            "baseline_panes",
            sa.Integer,
            nullable=False,
            comment="of them, how many have taught the baseline so far",
        ),
        sa.Column("taught_until_at", INSTANT, comment="the last of them, once they were enough"),
        *_sketch_columns(),
        sa.Column(
            "baseline",
            postgresql.JSONB(),
            comment="monitor.drift.baseline, taught by the sketch; NULL: it is still being taught",
        ),
        sa.Column("numbers", sa.LargeBinary, comment="state of the two tiers: float64, little-endian"),
        sa.Column("opinion", sa.LargeBinary, comment="state of river's ADWIN"),
        sa.Column("shift_at", INSTANT, comment="pane at which ADWIN last found a shift"),
        sa.Column("shift", sa.Double, comment="its size, expected minus outcome"),
        sa.Column("shift_mean", sa.Double, comment="mean residual of the window that it kept"),
        sa.Column("shift_panes", sa.Integer, comment="panes in that window"),
        sa.Column("labels", sa.Double, server_default=sa.text("0"), nullable=False, comment="fed since the baseline"),
        sa.Column("residual", sa.Double, comment="their mean of expected minus outcome; NULL: none were fed"),
        sa.Column("page_evidence", sa.Double, comment="log of what the page tier holds; it alarms from page_limit on"),
        sa.Column("page_limit", sa.Double, comment="-log of the false alarms expected a pane; NULL: the tier is off"),
        sa.Column("warn_evidence", sa.Double),
        sa.Column("warn_limit", sa.Double),
        sa.Column(
            "late_labels",
            sa.BigInteger,
            server_default=sa.text("0"),
            nullable=False,
            comment="changed after their pane was fed",
        ),
        sa.Column(
            "renew",
            sa.Boolean,
            server_default=sa.text("false"),
            nullable=False,
            comment="a new baseline was asked for",
        ),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_detector_series_series")),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_detector")),
        comment="drift detectors of a series: its panes teach a baseline, then are fed against it, once and in order",
        postgresql_with={"fillfactor": 50},
    )


def _fed_pane() -> None:
    op.create_table(
        "fed_pane",
        sa.Column("series", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("pane_start", INSTANT, nullable=False, comment="of prediction time"),
        sa.Column("known_at", INSTANT, nullable=False, comment="it was fed as pane_history has it up to here"),
        sa.Column("labels", sa.Double, nullable=False, comment="labels in it then"),
        sa.Column(
            "residual", sa.Double, comment="their mean of expected minus outcome; NULL: they taught the baseline"
        ),
        sa.Column("page_alpha", sa.Double, nullable=False, comment="false pages expected of it"),
        sa.Column("warn_alpha", sa.Double, nullable=False, comment="false warnings expected of it"),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_fed_pane_series_series")),
        sa.PrimaryKeyConstraint("series", "pane_start", name=op.f("pk_fed_pane")),
        comment="which panes the detectors were fed, as they were known when; kept as long as pane_history is whole",
    )


def _alarm() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("tier", sa.Text, nullable=False, comment="page or warn"),
        sa.Column("raised_at", INSTANT, nullable=False, comment="clock time"),
        sa.Column("pane_start", INSTANT, nullable=False, comment="the pane that raised it"),
        sa.Column("band", sa.Text, nullable=False, comment="of confidence: all, low, middle, high"),
        sa.Column("sign", sa.SmallInteger, nullable=False, comment="1 over-confident, -1 under-confident"),
        sa.Column("onset_at", INSTANT, nullable=False, comment="pane at which the drift is estimated to have begun"),
        sa.Column("onset_low_at", INSTANT, nullable=False, comment="95 % interval"),
        sa.Column("onset_high_at", INSTANT, nullable=False),
        sa.Column("size", sa.Double, nullable=False, comment="change of the mean residual, expected minus outcome"),
        sa.Column("size_low", sa.Double, nullable=False, comment="95 % interval"),
        sa.Column("size_high", sa.Double, nullable=False),
        sa.Column("value", sa.Double, nullable=False, comment="what the tier held, at least 1 / alpha"),
        sa.Column("alpha", sa.Double, nullable=False, comment="false alarms expected a pane"),
        sa.Column("labels", sa.Double, nullable=False, comment="fed since the baseline"),
        sa.Column(
            "slope", sa.Double, nullable=False, comment="of a warning: the line over log odds that explains it best"
        ),
        sa.Column("intercept", sa.Double, nullable=False),
        sa.CheckConstraint("tier IN ('page', 'warn')", name=op.f("ck_alarm_tier")),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_alarm_series_series")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
        sa.UniqueConstraint("series", "tier", "pane_start", name=op.f("uq_alarm_series_tier_pane_start")),
        comment="what the detectors said; kept for ever",
    )
    op.create_index("ix_alarm_raised_at", "alarm", ["raised_at"], unique=False)


def _sketch_columns() -> list[sa.Column[list[int]]]:
    def sums(name: str, comment: str, *, nullable: bool = False) -> sa.Column[list[int]]:
        return sa.Column(name, sa.ARRAY(sa.BigInteger), nullable=nullable, comment=comment)

    return [
        sa.Column(
            "cells", sa.ARRAY(sa.SmallInteger), nullable=False, comment="cell indices, ascending, format version 1"
        ),
        sums("n_pred", "predictions in the cell"),
        sums("n", "labelled predictions in the cell"),
        sums("sum_c", "sum of confidence, 1e-9"),
        sums("sum_c2", "sum of squared confidence, 1e-9"),
        sums("sum_y", "sum of outcome, 1e-9"),
        sums("sum_cy", "sum of confidence times outcome, 1e-9"),
        sums("excess_w", "sum of w - 1, 1e-6; NULL when every weight is 1", nullable=True),
        sums("excess_wy", "sum of (w - 1) outcome, 1e-6", nullable=True),
        sums("excess_wc", "sum of (w - 1) confidence, 1e-6", nullable=True),
        sums("excess_w2", "sum of w^2 - 1, 1e-3", nullable=True),
        sums("excess_w2y", "sum of (w^2 - 1) outcome, 1e-3", nullable=True),
        sums("excess_w2c", "sum of (w^2 - 1) confidence, 1e-3", nullable=True),
        sa.Column("delay_buckets", sa.ARRAY(sa.SmallInteger), nullable=False, comment="label delay buckets, ascending"),
        sums("delays", "labels in each delay bucket"),
        sums(
            "right_delays",
            "sum of outcome of the labels in each delay bucket, 1e-9; NULL before revision 0004: not known",
            nullable=True,
        ),
        sums(
            "unsplit_delays",
            "labels in each delay bucket that right_delays was never told of; NULL: none",
            nullable=True,
        ),
    ]
