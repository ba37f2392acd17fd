"""The recount agrees with the panes whatever came, and finds every integer that was tampered with."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from monitor.postgres import recount as recounting
from monitor.postgres.database import Connection
from monitor.postgres.panes import merge_days
from monitor.postgres.recount import recount
from monitor.postgres.retention import raise_floor
from monitor.rolling.agreement import Agreement
from monitor.rolling.deltas import Delta
from monitor.rolling.segments import SegmentScheme, classes_of, parse_key, without_classes
from tests.postgres import traffic
from tests.postgres.sessions import another
from tests.postgres.traffic import NOW, START_US, ingest, make_room


def evaluate(connection: Connection) -> None:
    """Apply the deltas that wait now, by a leader of its own."""
    with another(connection) as leader:
        traffic.evaluate(leader)


@pytest.mark.parametrize("seed", range(2))
def test_panes_and_waiting_deltas_are_what_the_pairs_say(either_layout: Connection, seed: int) -> None:
    chance = random.Random(seed)
    make_room(either_layout)
    ingest(either_layout, chance)
    only_waiting = recount(either_layout, "confidence")
    evaluate(either_layout)
    ingest(either_layout, chance)
    both = recount(either_layout, "confidence")
    evaluate(either_layout)
    only_panes = recount(either_layout, "confidence")
    assert [found.differences for found in (only_waiting, both, only_panes)] == [(), (), ()]
    assert [found.n_differences for found in (only_waiting, both, only_panes)] == [0, 0, 0]
    assert (only_waiting.panes, only_waiting.deltas) == (0, 2)
    assert (both.panes > 0, both.deltas) == (True, 2)
    assert (only_panes.pairs > 600, only_panes.deltas) == (True, 0)


def test_the_recount_follows_derived_signals_classes_past_their_bound_and_agreements(connection: Connection) -> None:
    scheme = SegmentScheme(classes=True, agreements=(Agreement("confidence", 0.5, "logprob", 0.5),))
    ingest(connection, random.Random(3), scheme=scheme, max_classes=2)
    evaluate(connection)
    ingest(connection, random.Random(4), scheme=scheme, max_classes=2)
    found = recount(connection, "confidence")
    assert (found.differences, found.deltas) == ((), 2)
    fed = connection.execute(
        "SELECT DISTINCT model, signal FROM series JOIN pane ON id = series WHERE 0 < ANY (n) ORDER BY signal"
    ).fetchall()
    of_classes = [(model, signal) for model, signal in fed if signal.startswith("class:")]
    assert {("a", "class:__other__"), ("b", "class:__other__")} < set(of_classes)
    assert Counter(model for model, _ in of_classes) == {"a": 3, "b": 3}
    sets = connection.execute("SELECT key FROM segment_set").fetchall()
    alike = Counter(without_classes(key) for (text,) in sets if classes_of(key := parse_key(text)))
    assert max(alike.values()) <= 3
    rest = {signal for _, signal in fed} - {signal for _, signal in of_classes}
    assert sorted(rest) == ["confidence", "interval", "logprob", "top_label"]
    quadrants = connection.execute(
        "SELECT DISTINCT segment ->> 'agreement:confidence~logprob' AS q FROM series ORDER BY q NULLS LAST"
    ).fetchall()
    assert [quadrant for (quadrant,) in quadrants] == ["both_high", "both_low", "first_only", "second_only", None]


def test_predictions_from_before_there_were_derived_signals_stay_what_they_were(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    with monkeypatch.context() as old:
        old.setattr(SegmentScheme, "_derived", lambda *_: None)
        ids = ingest(connection, chance)
    evaluate(connection)
    series = connection.execute("SELECT count(*) FROM series WHERE signal IN ('interval', 'top_label')").fetchone()
    assert series == (0,)
    ingest(connection, chance, ids=ids)
    assert recount(connection, "confidence").differences == ()
    evaluate(connection)
    assert recount(connection, "confidence").differences == ()


@pytest.fixture
def filled(connection: Connection) -> Connection:
    """Everything that was ingested is in panes."""
    ingest(connection, random.Random(7))
    evaluate(connection)
    return connection


def test_many_small_chunks_and_spans_count_the_same(filled: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = recount(filled, "confidence")
    monkeypatch.setattr(recounting, "PAGES_A_CHUNK", 1)
    monkeypatch.setattr(recounting, "CELLS_A_COMPARISON", 200)
    assert recount(filled, "confidence") == whole


@pytest.mark.parametrize(
    ("column", "name"),
    [("n_pred", "n_pred"), ("n", "n"), ("sum_c", "sum_c"), ("sum_cy", "sum_cy"), ("excess_w2", "excess_w2")],
)
def test_one_integer_that_was_tampered_with_is_found_and_named(filled: Connection, column: str, name: str) -> None:
    row = filled.execute(
        f"UPDATE pane SET {column}[1] = {column}[1] + 5 WHERE (series, pane_start) = (SELECT series, pane_start"
        f" FROM pane WHERE {column} IS NOT NULL AND cardinality(cells) > 0 ORDER BY series, pane_start LIMIT 1)"
        f" RETURNING pane_start, cells[1], {column}[1], series".encode()
    ).fetchone()
    assert row is not None
    pane_start, cell, tampered, number = row
    found = recount(filled, "confidence")
    assert found.n_differences == 1
    (difference,) = found.differences
    assert (difference.pane_start, difference.place, difference.field) == (pane_start, f"cell {cell}", column)
    assert (difference.expected, difference.stored) == (tampered - 5, tampered)
    model = filled.execute("SELECT model, segment_text FROM series WHERE id = %s", (number,)).fetchone()
    assert model == (difference.series.model, difference.series.segment)
    assert f"the pairs say {tampered - 5}, the panes {tampered}" in difference.line


def test_a_delay_a_pane_and_a_delta_that_are_lost_are_found(filled: Connection) -> None:
    filled.execute(
        "UPDATE pane SET delays[1] = delays[1] - 1 WHERE (series, pane_start) ="
        " (SELECT series, pane_start FROM pane WHERE cardinality(delays) > 0 ORDER BY series, pane_start LIMIT 1)"
    )
    (difference,) = recount(filled, "confidence").differences
    assert difference.place.startswith("delay bucket")
    filled.execute("DELETE FROM pane WHERE pane_start = (SELECT min(pane_start) FROM pane)")
    assert recount(filled, "confidence").n_differences > 10
    ingest(filled, random.Random(8), n=20)
    before = recount(filled, "confidence").n_differences
    filled.execute("DELETE FROM statistics_delta")
    assert recount(filled, "confidence").n_differences > before


def test_right_answers_among_the_delays_are_compared_where_they_are_known(filled: Connection) -> None:
    filled.execute(
        "UPDATE pane SET right_delays[1] = right_delays[1] + 5 WHERE (series, pane_start) ="
        " (SELECT series, pane_start FROM pane WHERE cardinality(delays) > 0 ORDER BY series, pane_start LIMIT 1)"
    )
    found = recount(filled, "confidence")
    (difference,) = found.differences
    assert (difference.place[:12], difference.field, found.n_differences) == ("delay bucket", "sum_y", 1)
    assert difference.stored == difference.expected + 5
    filled.execute("UPDATE pane SET right_delays = NULL, unsplit_delays = NULL")
    ingest(filled, random.Random(8))
    evaluate(filled)
    assert recount(filled, "confidence").n_differences == 0
    filled.execute("UPDATE pane SET delays[1] = delays[1] + 1 WHERE cardinality(delays) > 0 AND series = 1")
    fields = {each.field for each in recount(filled, "confidence").differences}
    assert fields == {"n"}


def test_a_pair_counted_twice_is_found(filled: Connection) -> None:
    filled.execute(
        "INSERT INTO pair (id, predicted_at, confidence, segment_set)"
        " SELECT gen_random_uuid(), predicted_at, confidence, segment_set FROM pair WHERE confidence = 0.9 LIMIT 1"
    )
    differences = recount(filled, "confidence").differences
    assert differences
    assert {each.field for each in differences} == {"n_pred"}


def test_at_most_a_hundred_differences_are_kept_and_all_are_counted(filled: Connection) -> None:
    filled.execute("DELETE FROM pane")
    found = recount(filled, "confidence")
    assert len(found.differences) == recounting.MOST_SHOWN
    assert found.n_differences > recounting.MOST_SHOWN


def test_panes_merged_to_days_are_compared_by_day(filled: Connection) -> None:
    series = [row[0] for row in filled.execute("SELECT id FROM series").fetchall()]
    day = datetime.fromtimestamp(START_US // 1_000_000, UTC).date() + timedelta(days=3)
    before = (day - date(1970, 1, 1)).days * 24
    hours = recount(filled, "confidence").panes
    with filled.transaction():
        merge_days(filled, np.array(series), before)
    merged = recount(filled, "confidence")
    assert merged.differences == ()
    assert merged.panes < hours
    filled.execute("UPDATE pane SET n_pred[1] = n_pred[1] + 1 WHERE width > 3600 AND series = 1")
    difference = recount(filled, "confidence").differences[0]
    assert difference.width == timedelta(days=1)
    assert "(24 h)" in difference.line


def test_panes_under_the_floor_are_left_alone(filled: Connection) -> None:
    floor_at = datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC) - timedelta(days=3)
    raise_floor(filled, floor_at)
    filled.execute("UPDATE pane SET n_pred[1] = 99 WHERE pane_start < %s", (floor_at,))
    filled.execute("DELETE FROM pair WHERE predicted_at < %s AND confidence < 0.5", (floor_at,))
    found = recount(filled, "confidence")
    assert found.differences == ()
    assert found.floor_at == floor_at


def test_the_recount_sees_one_snapshot_and_writes_nothing(filled: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    read_waiting = recounting._sum_waiting

    def evaluated_meanwhile(connection: Connection) -> tuple[int, Delta]:
        evaluate(filled)
        return read_waiting(connection)

    ingest(filled, random.Random(9), n=50)
    monkeypatch.setattr(recounting, "_sum_waiting", evaluated_meanwhile)
    with another(filled) as reader:
        found = recount(reader, "confidence")
    assert (found.deltas, found.differences) == (2, ())
    assert filled.execute("SELECT count(*) FROM statistics_delta").fetchone() == (0,)
