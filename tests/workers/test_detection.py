"""The detectors in the leader's turns: mature panes once and in order, as they were known, come what may."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from monitor.calibration.reading import ReadingSettings
from monitor.drift.alarms import Alarm
from monitor.drift.detectors import Limits
from monitor.drift.watches import FedPane, Learning, Pane, Rules, Watch, Watching, anew, feed
from monitor.postgres.database import Connection, connect
from monitor.postgres.detectors import ask_anew, read_references, read_watches, write_alarms
from monitor.postgres.leader import take_lead
from monitor.postgres.panes import series_sum
from monitor.postgres.request import Request, answer
from monitor.postgres.series import read_series
from monitor.rolling.deltas import Delta
from monitor.rolling.deltas import merge as merge_deltas
from monitor.rolling.panes import HOUR, Span, hour_of, start_of
from monitor.rolling.windows import window_named
from monitor.workers import detection
from monitor.workers.evaluation import turn
from monitor.workers.standing import Evaluation, Standing, load
from tests.workers.deltas import Events, delta_of_events, some_sets, write_delta

START = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = hour_of(START)
MATURITY = 3
EVALUATION = Evaluation(
    windows=(window_named("1d"),),
    maturity=timedelta(hours=MATURITY),
    every=timedelta(hours=1),
    reading=ReadingSettings(min_labels=1, draws=20),
    main_signal="confidence",
    drift=Rules(false_pages_per_year=2.0, baseline_labels=400),
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


def lead(connection: Connection) -> Standing:
    epoch = take_lead(connection)
    assert epoch is not None
    return load(connection, epoch, EVALUATION)


def hour_events(rng: np.random.Generator, segment_set: int, hour: int, *, n: int = 20, loss: float = 0.0) -> Events:
    """Calibrated events of one hour, right less often by `loss`."""
    confidence = rng.choice([0.3, 0.6, 0.8, 0.9, 0.95], n)
    outcome = (rng.random(n) < confidence - loss).astype(np.float64)
    return Events(np.full(n, segment_set), np.full(n, hour), confidence, outcome)


def labels_only(events: Events, taken: npt.NDArray[np.bool_]) -> tuple[Events, Events]:
    """The same events without their labels, and with those taken: what a late label turns into what."""
    some = Events(events.segment_set[taken], events.hour[taken], events.confidence[taken], events.outcome[taken])
    return replace(some, outcome=np.full(taken.sum(), np.nan)), some


def live(connection: Connection, standing: Standing, hours: range, by_set: Mapping[int, float], seed: int = 1) -> None:
    """Hour after hour: the events of the hour come, and the leader takes its turns just after it."""
    rng = np.random.default_rng(seed)
    for hour in hours:
        for segment_set, loss in by_set.items():
            write_delta(connection, delta_of_events(hour_events(rng, segment_set, hour, loss=loss)))
        turns(connection, standing, hour + 1)


def turns(connection: Connection, standing: Standing, hour: int, minutes: float = 6.0) -> None:
    now = start_of(hour) + timedelta(minutes=minutes)
    while turn(connection, standing, EVALUATION, lambda: now).more:
        pass


def rows(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    """All of a table that does not depend on who wrote it when."""
    columns = {
        "detector": "series, first_at, began_at, until_at, panes, baseline_panes, baseline::text, numbers, opinion",
        "fed_pane": "series, pane_start, known_at, labels, residual, page_alpha, warn_alpha",
        "alarm": "series, tier, raised_at, pane_start, band, sign, onset_at, size, value, alpha",
    }[table]
    return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3, 4".encode()).fetchall()


def number_of(connection: Connection, segment: str) -> int:
    return next(one.id for one in read_series(connection) if one.name.segment == segment)


def test_a_segment_that_drifts_pages_and_the_others_stay_silent(connection: Connection) -> None:
    de, en = some_sets(connection, "m", ["de", "en"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 100), {de: 0.0, en: 0.0})
    live(connection, standing, range(FIRST + 100, FIRST + 160), {de: 0.4, en: 0.0}, seed=2)
    drifted, quiet = number_of(connection, '{"lang":"de"}'), number_of(connection, '{"lang":"en"}')
    found = connection.execute(
        "SELECT series, sign, onset_low_at, onset_high_at, size_low, size_high, raised_at, value * alpha >= 1"
        " FROM alarm WHERE tier = 'page' ORDER BY id"
    ).fetchall()
    assert quiet not in {row[0] for row in found}
    _, sign, onset_low, onset_high, size_low, size_high, raised_at, reached = next(
        row for row in found if row[0] == drifted
    )
    assert (sign, reached) == (1, True)
    assert onset_low <= start_of(FIRST + 100) <= onset_high
    assert size_low <= 0.4 <= size_high + 0.1
    assert raised_at <= start_of(FIRST + 100 + MATURITY) + 20 * HOUR


def test_after_a_page_the_next_panes_teach_a_new_baseline(connection: Connection) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 60), {de: 0.0})
    live(connection, standing, range(FIRST + 60, FIRST + 120), {de: 0.4}, seed=2)
    series = number_of(connection, '{"lang":"de"}')
    pages = [row for row in rows(connection, "alarm") if row[:2] == (series, "page")]
    assert len(pages) == 1
    (watch,) = read_watches(connection, [series])
    assert isinstance(watch, Watching)
    assert start_of(watch.taken.began) == pages[0][3] + HOUR
    assert watch.baseline.expected(np.array([0.9]), np.array([2]))[0] == pytest.approx(0.5, abs=0.1)


def test_every_mature_pane_is_fed_once_in_order_and_no_younger_one(connection: Connection) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 40), {de: 0.0})
    series = number_of(connection, "{}")
    fed = [row for row in rows(connection, "fed_pane") if row[0] == series]
    assert [row[1] for row in fed] == [start_of(hour) for hour in range(FIRST, FIRST + 40 - MATURITY)]
    assert [row[2] for row in fed] == [row[1] + (MATURITY + 1) * HOUR for row in fed]
    assert {row[3] for row in fed} == {20.0}
    assert [row[4] is None for row in fed] == [place < 20 for place in range(len(fed))]


def test_feeding_the_panes_again_as_they_were_known_gives_the_same_answers(connection: Connection) -> None:
    """Labels that come late change the panes, never what was fed."""
    rng = np.random.default_rng(5)
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    coming: list[tuple[int, Delta]] = []
    for hour in range(FIRST, FIRST + 60):
        events = hour_events(rng, de, hour, n=40, loss=0.25 if hour > FIRST + 40 else 0.0)
        late = rng.random(40) < 0.1
        without, with_label = labels_only(events, late)
        write_delta(connection, delta_of_events(replace(events, outcome=np.where(late, np.nan, events.outcome))))
        later = hour + int(rng.integers(2, 12))
        coming += [(later, delta_of_events(without, -1)), (later, delta_of_events(with_label))]
        for delta in [delta for due, delta in coming if due == hour]:
            write_delta(connection, delta)
        turns(connection, standing, hour + 1)
    series = number_of(connection, "{}")
    fed = [row for row in rows(connection, "fed_pane") if row[0] == series]
    alarms = list[Alarm]()
    again: Watch = anew()
    for _, start, known, labels, residual, page, warn in fed:
        hour = hour_of(start)
        then = series_sum(connection, series, Span(hour, hour + 1), known)
        limits = Limits(np.array([page]), np.array([warn]), EVALUATION.drift.tolerance)
        once = feed([again], [[Pane(hour, then.sketch)]], limits, EVALUATION.drift.baseline_labels)
        again = once.watches[0]
        alarms += once.alarms
        assert once.panes == (FedPane(0, hour, labels, residual),)
    stored = [row for row in rows(connection, "alarm") if row[0] == series]
    assert [(each.tier, start_of(each.pane), each.size, each.value) for each in alarms] == [
        (tier, pane, size, value) for _, tier, _, pane, _, _, _, size, value, _ in stored
    ]
    assert "page" in {each.tier for each in alarms}
    (watch,) = read_watches(connection, [series])
    assert watch.taken == again.taken
    assert isinstance(watch, Watching)
    assert isinstance(again, Watching)
    assert watch.baseline == again.baseline
    assert watch.numbers.tolist() == again.numbers.tolist()
    assert watch.opinion.stored() == again.opinion.stored()


def test_labels_that_change_after_their_pane_was_fed_are_counted_until_the_next_baseline(
    connection: Connection,
) -> None:
    rng = np.random.default_rng(5)
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 40), {de: 0.0})
    late_ones = replace(hour_events(rng, de, FIRST + 10, n=7), outcome=np.ones(7))
    fresh_ones = hour_events(rng, de, FIRST + 39, n=5)
    for events in (late_ones, fresh_ones):
        write_delta(connection, delta_of_events(events))
    turned = replace(late_ones, outcome=1 - late_ones.outcome)
    turns(connection, standing, FIRST + 40, minutes=10)
    write_delta(connection, merge_deltas(delta_of_events(late_ones, -1), delta_of_events(turned)))
    turns(connection, standing, FIRST + 40, minutes=12)
    assert {row[0] for row in connection.execute("SELECT late_labels FROM detector")} == {14}
    ask_anew(connection, [one.id for one in read_series(connection)])
    turns(connection, standing, FIRST + 43)
    assert {row[0] for row in connection.execute("SELECT late_labels FROM detector")} == {0}


def test_what_changed_between_the_hour_and_the_feeding_is_not_fed_but_counted(connection: Connection) -> None:
    rng = np.random.default_rng(5)
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 10), {de: 0.0})
    write_delta(connection, delta_of_events(hour_events(rng, de, FIRST + 10 - MATURITY, n=9)))
    turns(connection, standing, FIRST + 11)
    last = [row[3] for row in rows(connection, "fed_pane") if row[1] == start_of(FIRST + 10 - MATURITY)]
    assert last == [20.0, 20.0]
    assert {row[0] for row in connection.execute("SELECT late_labels FROM detector")} == {9}


def test_a_crash_between_any_two_transactions_changes_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    de, en = some_sets(connection, "m", ["de", "en"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 50), {de: 0.0, en: 0.3})
    calm = {table: rows(connection, table) for table in ("detector", "fed_pane", "alarm")}
    connection.execute("TRUNCATE detector, fed_pane, alarm, acknowledgement")
    connection.execute("TRUNCATE statistics_delta, pane, pane_history, window_sum, reading")
    monkeypatch.setattr(detection, "SERIES_AT_ONCE", 1)
    monkeypatch.setattr(detection, "PANES_AT_ONCE", 2)
    crashes = np.random.default_rng(3)

    def crashing(*given: Any) -> None:
        write_alarms(*given)
        if crashes.random() < 0.2:
            raise RuntimeError

    monkeypatch.setattr(detection, "write_alarms", crashing)
    rng = np.random.default_rng(1)
    epoch = standing.epoch
    standing = load(connection, epoch, EVALUATION)
    for hour in range(FIRST, FIRST + 50):
        for segment_set, loss in {de: 0.0, en: 0.3}.items():
            write_delta(connection, delta_of_events(hour_events(rng, segment_set, hour, loss=loss)))
        for _ in range(60):
            try:
                turns(connection, standing, hour + 1)
                break
            except RuntimeError:
                standing = load(connection, epoch, EVALUATION)
    assert {table: rows(connection, table) for table in calm} == calm


def test_a_backlog_is_fed_only_when_its_panes_have_stopped_filling_and_then_at_once(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old panes come piece by piece, labels of errors first: feeding them half full would look like drift."""
    monkeypatch.setattr(detection, "PANES_AT_ONCE", 7)
    rng = np.random.default_rng(7)
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    late = FIRST + 500
    every = [hour_events(rng, de, hour) for hour in range(FIRST, FIRST + 40)]
    for events in every:
        wrong = events.outcome == 0
        write_delta(connection, delta_of_events(replace(events, outcome=np.where(wrong, 0.0, np.nan))))
    turns(connection, standing, late)
    turns(connection, standing, late + 1)
    for events in every:
        without, with_label = labels_only(events, events.outcome == 1)
        write_delta(connection, delta_of_events(without, -1))
        write_delta(connection, delta_of_events(with_label))
    turns(connection, standing, late + 1, minutes=10)
    turns(connection, standing, late + 2)
    assert rows(connection, "fed_pane") == []
    turns(connection, standing, late + 3)
    fed = rows(connection, "fed_pane")
    assert {row[3] for row in fed} == {20.0}
    assert len(fed) == 2 * 40


def test_a_pane_that_still_fills_holds_back_those_after_it(connection: Connection) -> None:
    rng = np.random.default_rng(7)
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 6), {de: 0.0})
    for hour in range(FIRST + 6, FIRST + 14):
        if hour != FIRST + 8:
            write_delta(connection, delta_of_events(hour_events(rng, de, hour)))
        if hour == FIRST + 8 + MATURITY:  # comes as its pane is mature
            write_delta(connection, delta_of_events(hour_events(rng, de, FIRST + 8)))
        turns(connection, standing, hour + 1)
    series = number_of(connection, "{}")
    fed = [
        (hour_of(row[1]) - FIRST, hour_of(row[2]) - FIRST) for row in rows(connection, "fed_pane") if row[0] == series
    ]
    assert fed[6:] == [(6, 10), (7, 11), (8, 14), (9, 14), (10, 14)]


def test_a_pane_below_zero_is_never_fed_and_holds_nothing_back(connection: Connection) -> None:
    rng = np.random.default_rng(7)
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 10), {de: 0.0})
    gone = replace(hour_events(rng, de, FIRST + 8, n=15), confidence=np.full(15, 0.3))
    write_delta(connection, delta_of_events(gone, -1))
    live(connection, standing, range(FIRST + 10, FIRST + 16), {de: 0.0}, seed=3)
    series = number_of(connection, "{}")
    fed = [hour_of(row[1]) - FIRST for row in rows(connection, "fed_pane") if row[0] == series]
    assert fed == [*range(8), *range(9, 13)]


def test_a_window_after_the_baseline_is_compared_with_its_confidences(connection: Connection) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 40), {de: 0.0})
    series = number_of(connection, "{}")
    reference = read_references(connection, [series])[series]
    assert reference.until_at == start_of(FIRST + 20)
    assert reference.sketch == series_sum(connection, series, Span(FIRST, FIRST + 20)).sketch
    request = Request(
        read_series(connection, [series])[0].name,
        window_named("12h"),
        EVALUATION.maturity,
        EVALUATION.maturity,
        EVALUATION.reading,
    )
    found = answer(connection, request, start_of(FIRST + 40)).confidence_shift
    assert found is not None
    assert (found.n_reference, found.interval[0]) == (400, 0.0)
    assert found.distance <= found.null_band[1]
    overlapping = replace(request, window=window_named("24h"))
    assert answer(connection, overlapping, start_of(FIRST + 40)).confidence_shift is None
    live(connection, standing, range(FIRST + 40, FIRST + 43), {de: 0.0}, seed=9)
    assert read_references(connection, [series])[series].sketch == reference.sketch


def test_series_of_other_label_sources_are_not_watched(connection: Connection) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    connection.execute("INSERT INTO label_source (name, is_primary) VALUES ('complaint', false)")
    standing = lead(connection)
    rng = np.random.default_rng(1)
    for hour in range(FIRST, FIRST + 10):
        once = delta_of_events(hour_events(rng, de, hour))
        write_delta(connection, once)
        write_delta(
            connection,
            replace(once, source=np.full_like(once.source, 1), delay_source=np.full_like(once.delay_source, 1)),
        )
        turns(connection, standing, hour + 1)
    primary = {one.id for one in read_series(connection) if not one.name.source_group}
    assert len(read_series(connection)) > len(primary)
    assert {row[0] for row in rows(connection, "detector")} == primary


def test_a_new_baseline_that_was_asked_for_begins_with_the_next_pane(connection: Connection) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 40), {de: 0.0})
    series = number_of(connection, "{}")
    assert ask_anew(connection, [series]) == 1
    live(connection, standing, range(FIRST + 40, FIRST + 45), {de: 0.0}, seed=4)
    (watch,) = read_watches(connection, [series])
    assert isinstance(watch, Learning)
    assert (watch.taken.began, watch.baseline_panes) == (FIRST + 40 - MATURITY, 5)
    (other,) = read_watches(connection, [number_of(connection, '{"lang":"de"}')])
    assert isinstance(other, Watching)


def test_budgets_of_nothing_feed_nothing(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    off = replace(EVALUATION, drift=Rules(false_pages_per_year=0.0, false_warnings_per_year=0.0))
    monkeypatch.setattr("tests.workers.test_detection.EVALUATION", off)
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 10), {de: 0.0})
    assert rows(connection, "fed_pane") == []
