"""The views that dashboards read say in plain units what the tables hold in integers."""

import random

import pytest

from monitor.postgres.database import Connection
from monitor.postgres.schema import whole_schema
from tests.postgres.traffic import evaluate, ingest


@pytest.fixture
def filled(connection: Connection) -> Connection:
    ingest(connection, random.Random(3), n=100)
    evaluate(connection)
    return connection


def test_a_pane_shows_means_and_counts_of_its_cells(filled: Connection) -> None:
    rows = filled.execute(
        "SELECT v.n, v.n_predictions, v.mean_confidence, v.outcome_rate, v.signed_gap, v.width_seconds,"
        " p.n, p.n_pred, p.sum_c, p.sum_y FROM pane_v1 AS v JOIN pane AS p USING (series, pane_start)"
    ).fetchall()
    assert len(rows) > 50
    for n, n_predictions, confidence, outcome, gap, width, ns, n_preds, sums_c, sums_y in rows:
        assert (n, n_predictions, width) == (sum(ns), sum(n_preds), 3600)
        if n == 0:
            assert (confidence, outcome, gap) == (None, None, None)
        else:
            assert confidence == pytest.approx(sum(sums_c) / 1e9 / n)
            assert outcome == pytest.approx(sum(sums_y) / 1e9 / n)
            assert gap == pytest.approx(confidence - outcome)


def test_a_reading_bears_the_names_of_its_series(filled: Connection) -> None:
    rows = filled.execute(
        "SELECT v.model, v.signal, v.segment, v.source, v.window_name, v.n, v.body ->> 'model' FROM reading_v1 AS v"
        " JOIN series_v1 AS s ON s.series = v.series AND s.model = v.model AND s.segment = v.segment"
    ).fetchall()
    assert {row[0] for row in rows} == {"a", "b"}
    assert {row[1] for row in rows} == {"confidence", "logprob", "interval", "top_label"}
    assert {row[3] for row in rows} == {"", "complaint"}
    assert all(row[0] == row[6] for row in rows)


def test_every_view_has_a_version_in_its_name_and_none_is_a_table(connection: Connection) -> None:
    views = [row[0] for row in connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'")]
    assert sorted(views) == [
        "alarm_v1", "alert_transition_v1", "alert_v1", "delivery_v1", "detector_v1", "pane_v1", "reading_v1",
        "series_v1",
    ]  # fmt: skip
    assert not set(views) & set(whole_schema.tables)
