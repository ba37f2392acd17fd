"""Label delays by outcome: how many of the labels in each delay bucket were right. What is stored does not tell."""

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

TABLES = ("pane", "pane_history", "window_sum")


def upgrade() -> None:
    """Add the columns. Rows that are there keep NULL, which says that right and wrong labels were not told apart."""
    for table in TABLES:
        op.add_column(
            table,
            sa.Column(
                "right_delays",
                sa.ARRAY(sa.BigInteger),
                comment="sum of outcome of the labels in each delay bucket, 1e-9; NULL before revision 0004: not known",
            ),
        )
        op.add_column(
            table,
            sa.Column(
                "unsplit_delays",
                sa.ARRAY(sa.BigInteger),
                comment="labels in each delay bucket that right_delays was never told of; NULL: none",
            ),
        )


def downgrade() -> None:
    """Drop the columns, and the buckets that only they kept: without labels a bucket is no bucket."""
    for table in TABLES:
        op.execute(
            f"""
            UPDATE {table} SET
                delay_buckets = ARRAY(SELECT b FROM unnest(delay_buckets, delays) AS u (b, n) WHERE n <> 0 ORDER BY b),
                delays = ARRAY(SELECT n FROM unnest(delay_buckets, delays) AS u (b, n) WHERE n <> 0 ORDER BY b)
            WHERE 0 = ANY (delays)
            """
        )
        op.drop_column(table, "unsplit_delays")
        op.drop_column(table, "right_delays")
