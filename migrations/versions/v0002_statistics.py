"""The statistics: series, panes, windows, readings, and what the leader and the processes say of themselves."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
JSONB = postgresql.JSONB()


def upgrade() -> None:
    """Make the tables and their single rows."""
    _leader_epoch()
    _series()
    _pane()
    _pane_history()
    _window_sum()
    _reading()
    _count()
    _evaluation()
    _role()
    op.execute("INSERT INTO leader_epoch DEFAULT VALUES")
    op.execute("INSERT INTO evaluation DEFAULT VALUES")


def downgrade() -> None:
    """Drop everything that `upgrade` made, with what it holds."""
    for table in TABLES:
        op.drop_table(table)


TABLES = ("role", "evaluation", "count", "reading", "window_sum", "pane_history", "pane", "series", "leader_epoch")
"""In an order in which they can be dropped."""


def _leader_epoch() -> None:
    op.create_table(
        "leader_epoch",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_leader_epoch_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leader_epoch")),
        comment="the leader's fence: compared and swapped in every transaction that applies deltas",
    )


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("id", sa.Integer, sa.Identity(always=False), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("segment", JSONB, nullable=False, comment="{dimension: value}; {} is the whole model"),
        sa.Column("segment_text", sa.Text, nullable=False, comment="canonical JSON of segment"),
        sa.Column(
            "source_group", sa.Text, server_default=sa.text("''"), nullable=False, comment="'' = primary label sources"
        ),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        comment="model x signal x segment x group of label sources",
    )
    op.create_index(
        "uq_series_name",
        "series",
        [
            sa.literal_column("md5(model)"),
            sa.literal_column("md5(signal)"),
            sa.literal_column("md5(segment_text)"),
            sa.literal_column("md5(source_group)"),
        ],
        unique=True,
    )


def _pane() -> None:
    op.create_table(
        "pane",
        sa.Column("series", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("pane_start", INSTANT, nullable=False, comment="of prediction time"),
        sa.Column("width", sa.Integer, nullable=False, comment="seconds: 3600, or 86400 once merged"),
        *_sketch_columns(),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_pane_series_series")),
        sa.PrimaryKeyConstraint("series", "pane_start", name=op.f("pk_pane")),
        comment="the shortest stored interval of a series",
        postgresql_with={"fillfactor": 80},
    )


def _pane_history() -> None:
    op.create_table(
        "pane_history",
        sa.Column("series", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("pane_start", INSTANT, nullable=False, comment="of prediction time"),
        sa.Column(
            "known_at", INSTANT, nullable=False, comment="clock time when it was applied, rounded up to the hour"
        ),
        sa.Column("width", sa.Integer, nullable=False, comment="seconds"),
        *_sketch_columns(),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_pane_history_series_series")),
        sa.PrimaryKeyConstraint("series", "pane_start", "known_at", name=op.f("pk_pane_history")),
        comment="what was added to panes and when: the state known at T is the sum where known_at <= T",
    )


def _window_sum() -> None:
    op.create_table(
        "window_sum",
        sa.Column("series", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("window_name", sa.Text, nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        *_sketch_columns(),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_window_sum_series_series")),
        sa.PrimaryKeyConstraint("series", "window_name", name=op.f("pk_window_sum")),
        comment="rolling sums: panes that enter are added, panes that leave are subtracted",
        postgresql_with={"fillfactor": 50},
    )


def _reading() -> None:
    op.create_table(
        "reading",
        sa.Column("series", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("window_name", sa.Text, nullable=False),
        sa.Column("as_of", INSTANT, nullable=False, comment="clock time that the reading describes"),
        sa.Column("computed_at", INSTANT, nullable=False, comment="clock time of its evaluation"),
        sa.Column("n", sa.BigInteger, nullable=False, comment="labelled predictions"),
        sa.Column("n_predictions", sa.BigInteger, nullable=False),
        sa.Column("ece", sa.Double, comment="NULL: not enough labels; body.missing says why"),
        sa.Column("ece_low", sa.Double),
        sa.Column("ece_high", sa.Double),
        sa.Column("null_low", sa.Double, comment="null band: what ECE would be if the model were calibrated"),
        sa.Column("null_high", sa.Double),
        sa.Column("signed_gap", sa.Double, comment="mean confidence - outcome rate; positive = over-confident"),
        sa.Column("coverage", sa.Double, comment="labelled / predicted"),
        sa.Column("body", JSONB, nullable=False, comment="the whole reading, as `caldrift reading --json` prints it"),
        sa.ForeignKeyConstraint(["series"], ["series.id"], name=op.f("fk_reading_series_series")),
        sa.PrimaryKeyConstraint("series", "window_name", "as_of", name=op.f("pk_reading")),
        comment="one reading of a series and a window, kept as history",
    )
    op.create_index("ix_reading_as_of", "reading", ["as_of"], unique=False)


def _count() -> None:
    op.create_table(
        "count",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", "model", name=op.f("pk_count")),
        comment="exactly-once counters: summed from deltas in the leader's transaction",
    )


def _evaluation() -> None:
    op.create_table(
        "evaluation",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column("evaluated_at", INSTANT, comment="clock time of the last evaluation; NULL: none yet"),
        sa.Column(
            "applied_deltas", sa.BigInteger, server_default=sa.text("0"), nullable=False, comment="since the beginning"
        ),
        sa.Column("applied_at", INSTANT, comment="clock time when deltas were last applied"),
        sa.Column(
            "panes_read", sa.BigInteger, server_default=sa.text("0"), nullable=False, comment="by the last evaluation"
        ),
        sa.Column(
            "bytes_read", sa.BigInteger, server_default=sa.text("0"), nullable=False, comment="by the last evaluation"
        ),
        sa.Column("took_seconds", sa.Double, comment="wall time of the last evaluation"),
        sa.CheckConstraint("id = 1", name=op.f("ck_evaluation_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
        comment="what the leader did last",
    )


def _role() -> None:
    op.create_table(
        "role",
        sa.Column("name", sa.Text, nullable=False, comment="ingest, evaluate, web"),
        sa.Column("instance", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("beat_at", INSTANT, nullable=False, comment="wall time of the last sign of life"),
        sa.Column("detail", JSONB, server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("name", "instance", name=op.f("pk_role")),
        comment="heartbeats of the processes",
        postgresql_with={"fillfactor": 50},
    )


def _sketch_columns() -> list[sa.Column[list[int]]]:
    return [
        sa.Column(
            "cells", sa.ARRAY(sa.SmallInteger), nullable=False, comment="cell indices, ascending, format version 1"
        ),
        sa.Column("n_pred", sa.ARRAY(sa.BigInteger), nullable=False, comment="predictions in the cell"),
        sa.Column("n", sa.ARRAY(sa.BigInteger), nullable=False, comment="labelled predictions in the cell"),
        sa.Column("sum_c", sa.ARRAY(sa.BigInteger), nullable=False, comment="sum of confidence, 1e-9"),
        sa.Column("sum_c2", sa.ARRAY(sa.BigInteger), nullable=False, comment="sum of squared confidence, 1e-9"),
        sa.Column("sum_y", sa.ARRAY(sa.BigInteger), nullable=False, comment="sum of outcome, 1e-9"),
        sa.Column("sum_cy", sa.ARRAY(sa.BigInteger), nullable=False, comment="sum of confidence times outcome, 1e-9"),
        sa.Column("excess_w", sa.ARRAY(sa.BigInteger), comment="sum of w - 1, 1e-6; NULL when every weight is 1"),
        sa.Column("excess_wy", sa.ARRAY(sa.BigInteger), comment="sum of (w - 1) outcome, 1e-6"),
        sa.Column("excess_wc", sa.ARRAY(sa.BigInteger), comment="sum of (w - 1) confidence, 1e-6"),
        sa.Column("excess_w2", sa.ARRAY(sa.BigInteger), comment="sum of w^2 - 1, 1e-3"),
        sa.Column("excess_w2y", sa.ARRAY(sa.BigInteger), comment="sum of (w^2 - 1) outcome, 1e-3"),
        sa.Column("excess_w2c", sa.ARRAY(sa.BigInteger), comment="sum of (w^2 - 1) confidence, 1e-3"),
        sa.Column("delay_buckets", sa.ARRAY(sa.SmallInteger), nullable=False, comment="label delay buckets, ascending"),
        sa.Column("delays", sa.ARRAY(sa.BigInteger), nullable=False, comment="labels in each delay bucket"),
    ]
