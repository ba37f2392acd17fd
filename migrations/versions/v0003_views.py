"""Views for dashboards. Their names carry a version: a view is never changed, a new one is added beside it."""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

SERIES_V1 = """
CREATE VIEW series_v1 AS
SELECT s.id AS series, s.model, s.signal, s.segment_text AS segment, s.source_group AS source, s.created_at
FROM series AS s
"""
READING_V1 = """
CREATE VIEW reading_v1 AS
SELECT r.series, s.model, s.signal, s.segment_text AS segment, s.source_group AS source, r.window_name,
    r.as_of, r.computed_at, r.n, r.n_predictions, r.ece, r.ece_low, r.ece_high, r.null_low, r.null_high,
    r.signed_gap, r.coverage, r.body
FROM reading AS r JOIN series AS s ON s.id = r.series
"""
PANE_V1 = """
CREATE VIEW pane_v1 AS
SELECT p.series, s.model, s.signal, s.segment_text AS segment, s.source_group AS source, p.pane_start,
    p.width AS width_seconds, t.n_predictions, t.n,
    t.sum_c / 1e9 / nullif(t.n, 0) AS mean_confidence, t.sum_y / 1e9 / nullif(t.n, 0) AS outcome_rate,
    (t.sum_c - t.sum_y) / 1e9 / nullif(t.n, 0) AS signed_gap
FROM pane AS p
JOIN series AS s ON s.id = p.series
CROSS JOIN LATERAL (
    SELECT coalesce(sum(u.n_pred), 0)::bigint AS n_predictions, coalesce(sum(u.n), 0)::bigint AS n,
        coalesce(sum(u.sum_c), 0)::double precision AS sum_c, coalesce(sum(u.sum_y), 0)::double precision AS sum_y
    FROM unnest(p.n_pred, p.n, p.sum_c, p.sum_y) AS u (n_pred, n, sum_c, sum_y)
) AS t
"""


def upgrade() -> None:
    """Make version 1 of the views."""
    for view in (SERIES_V1, READING_V1, PANE_V1):
        op.execute(view)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP VIEW pane_v1, reading_v1, series_v1")
