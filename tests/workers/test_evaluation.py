"""The leader's turns on a real Postgres: exact, once, in any order, through crashes and changes of the leader."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.calibration.reading import Reading, ReadingSettings, reading_from_json
from monitor.calibration.readout import read
from monitor.calibration.sketch import Sketch, empty, merge
from monitor.errors import BadInput
from monitor.postgres import windows
from monitor.postgres.counts import read_counts
from monitor.postgres.database import Connection, connect
from monitor.postgres.leader import LeadershipLostError, take_lead
from monitor.postgres.panes import series_sum
from monitor.postgres.readings import latest
from monitor.postgres.request import Request, answer
from monitor.postgres.series import read_series
from monitor.rolling.deltas import Delta
from monitor.rolling.deltas import merge as merge_deltas
from monitor.rolling.fanout import by_series
from monitor.rolling.panes import EVERYTHING, HOUR, hour_of, start_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import sketches
from monitor.rolling.windows import window_named
from monitor.workers import evaluation as evaluation_module
from monitor.workers.evaluation import NEGATIVE, apply_deltas, turn
from monitor.workers.standing import Evaluation, Standing, load
from tests.workers.deltas import delta_of_events, some_events, some_sets, write_delta

NOW = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
EVALUATION = Evaluation(
    windows=tuple(window_named(name) for name in ("1d", "7d", "all")),
    maturity=timedelta(hours=2),
    every=timedelta(minutes=5),
    reading=ReadingSettings(min_labels=1, draws=50),
    main_signal="confidence",
)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


def lead(connection: Connection, evaluation: Evaluation = EVALUATION) -> Standing:
    """Become the leader."""
    epoch = take_lead(connection)
    assert epoch is not None
    return load(connection, epoch, evaluation)


def at(now: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: now


def run_until_calm(connection: Connection, standing: Standing, now: datetime, turns: int = 5) -> None:
    """Some turns at one instant that leave nothing over: enough for a pass in which nothing new comes."""
    for _ in range(turns):
        while turn(connection, standing, EVALUATION, at(now)).more:
            pass


def test_a_model_is_known_to_be_labelled_only_when_labels_of_it_came(connection: Connection) -> None:
    rng, hour = np.random.default_rng(3), hour_of(NOW)
    written = {}
    for model in ("labelled", "mute"):
        events = some_events(rng, some_sets(connection, model, ["de"]), range(hour - 9, hour), 50)
        written[model] = replace(events, outcome=np.full(50, np.nan)) if model == "mute" else events
    standing = lead(connection)
    for later, model in ((0, "labelled"), (1, "mute")):
        write_delta(connection, delta_of_events(written[model]))
        apply_deltas(connection, standing, EVALUATION, at(NOW + timedelta(hours=later)))
    assert connection.execute("SELECT * FROM arrival ORDER BY model").fetchall() == [
        ("labelled", NOW, NOW),
        ("mute", NOW + timedelta(hours=1), None),
    ]


def some_deltas(connection: Connection, n: int = 4, seed: int = 1, hours: int = 60) -> list[Delta]:
    """Deltas of two segment sets of one model; the last corrects the first."""
    rng = np.random.default_rng(seed)
    sets, hour = some_sets(connection, "m", ["de", "en"]), hour_of(NOW)
    deltas = [delta_of_events(some_events(rng, sets, range(hour - hours, hour), 300)) for _ in range(n)]
    events = some_events(rng, sets, range(hour - hours, hour), 100)
    deltas += [delta_of_events(events), delta_of_events(events, -1)]
    return deltas


def state(connection: Connection) -> dict[str, object]:
    """Everything exact that an evaluation leaves: panes, history and windows by series name, and counters."""
    columns = (
        "cells, n_pred, n, sum_c, sum_c2, sum_y, sum_cy, excess_w, delay_buckets, delays, right_delays, unsplit_delays"
    )
    tables = {
        "pane": "pane_start, width",
        "pane_history": "pane_start, known_at",
        "window_sum": "window_name, start_at, end_at",
    }
    queries = {
        table: f"SELECT model, signal, segment_text, {keys}, {columns} FROM {table} JOIN series ON id = series "
        f"ORDER BY model, signal, segment_text, {keys}"
        for table, keys in tables.items()
    }
    found: dict[str, object] = {key: connection.execute(query.encode()).fetchall() for key, query in queries.items()}
    return {**found, "counts": read_counts(connection)}


def expected_series(connection: Connection, deltas: list[Delta], standing: Standing) -> dict[int, Sketch]:
    """What each series should hold, from the deltas themselves."""
    total: dict[int, Sketch] = {}
    for delta in deltas:
        for key, sketch in sketches(by_series(delta, standing.routes.by_route)):
            total[key >> 32] = merge(total.get(key >> 32, empty()), sketch)
    return total


def newest(connection: Connection, window: str) -> dict[int, Reading]:
    return {one.series: reading_from_json(one.body) for one in latest(connection, [window])}


def test_a_turn_makes_series_panes_windows_and_readings(connection: Connection) -> None:
    deltas = some_deltas(connection)
    for delta in deltas:
        write_delta(connection, delta)
    standing = lead(connection)
    done = turn(connection, standing, EVALUATION, at(NOW))
    assert (done.deltas, done.readings, done.more) == (len(deltas), 9, False)
    assert [one.name.segment for one in read_series(connection)] == ['{"lang":"de"}', '{"lang":"en"}', "{}"]
    expected = expected_series(connection, deltas, standing)
    assert {one: series_sum(connection, one, EVERYTHING).sketch for one in expected} == expected
    assert connection.execute("SELECT count(*) FROM statistics_delta").fetchone() == (0,)
    assert connection.execute("SELECT applied_deltas, evaluated_at FROM evaluation").fetchone() == (len(deltas), NOW)


def test_the_order_and_the_grouping_of_deltas_do_not_matter(
    connection: Connection, other_database: Callable[[], Connection]
) -> None:
    states = []
    for one, order in ((connection, [0, 1, 2, 3, 4, 5]), (other_database(), [4, 3, 5, 1, 0, 2])):
        deltas, standing = some_deltas(one), lead(one)
        turn(one, standing, EVALUATION, at(NOW))
        for place in order:
            write_delta(one, deltas[place])
            if place % 2 or one is connection:
                turn(one, standing, EVALUATION, at(NOW))
        run_until_calm(one, standing, NOW)
        states.append(state(one))
    assert states[0] == states[1]


def test_a_delta_with_a_lower_number_that_is_committed_later_is_not_lost(database: str, connection: Connection) -> None:
    first, second = some_deltas(connection)[:2]
    standing = lead(connection)
    with connect(database, "slow writer") as slow:
        with slow.transaction():
            write_delta(slow, first)
            write_delta(connection, second)
            assert turn(connection, standing, EVALUATION, at(NOW)).deltas == 1
        assert turn(connection, standing, EVALUATION, at(NOW)).deltas == 1
    expected = expected_series(connection, [first, second], standing)
    assert {one: series_sum(connection, one, EVERYTHING).sketch for one in expected} == expected


class CrashError(Exception):
    """Stands for the death of the process at this place."""


@pytest.mark.parametrize("place", ["panes.apply", "windows.absorb", "add_counts", "note_applied"])
def test_a_crash_between_two_steps_repeats_them_and_counts_nothing_twice(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, other_database: Callable[[], Connection], place: str
) -> None:
    undisturbed = other_database()
    for one in (connection, undisturbed):
        for delta in some_deltas(one):
            write_delta(one, delta)
    standing = lead(undisturbed)
    run_until_calm(undisturbed, standing, NOW)

    module, _, name = place.rpartition(".")
    target = getattr(evaluation_module, module) if module else evaluation_module
    step = getattr(target, name)

    def crash(*given: object) -> None:
        step(*given)
        raise CrashError

    standing = lead(connection)
    with monkeypatch.context() as patched:
        patched.setattr(target, name, crash)
        with pytest.raises(CrashError):
            turn(connection, standing, EVALUATION, at(NOW))
    assert connection.execute("SELECT count(*) FROM pane").fetchone() == (0,)
    standing = load(connection, standing.epoch, EVALUATION)
    run_until_calm(connection, standing, NOW)
    assert state(connection) == state(undisturbed)


def test_two_leaders_for_a_moment_double_nothing(database: str, connection: Connection) -> None:
    deltas = some_deltas(connection)
    old = lead(connection)
    for delta in deltas[:3]:
        write_delta(connection, delta)
    turn(connection, old, EVALUATION, at(NOW))
    connection.execute("SELECT pg_advisory_unlock_all()")
    with connect(database, "new leader") as other:
        new = lead(other)
        for delta in deltas[3:]:
            write_delta(other, delta)
        failures: list[BaseException] = []

        def go_on() -> None:
            try:
                turn(connection, old, EVALUATION, at(NOW))
            except LeadershipLostError as lost:
                failures.append(lost)

        thread = threading.Thread(target=go_on)
        thread.start()
        run_until_calm(other, new, NOW)
        thread.join()
        assert len(failures) == 1
        run_until_calm(other, new, NOW)
        expected = expected_series(other, deltas, new)
        assert {one: series_sum(other, one, EVERYTHING).sketch for one in expected} == expected


def test_a_new_leader_goes_on_from_the_stored_windows(database: str, connection: Connection) -> None:
    deltas = some_deltas(connection)
    standing = lead(connection)
    for delta in deltas[:3]:
        write_delta(connection, delta)
    turn(connection, standing, EVALUATION, at(NOW))
    connection.execute("SELECT pg_advisory_unlock_all()")
    with connect(database, "new leader") as other:
        following = lead(other)
        assert following.spans == standing.spans
        for delta in deltas[3:]:
            write_delta(other, delta)
        later = NOW + timedelta(hours=5)
        run_until_calm(other, following, later)
        _assert_windows_equal_recounts(other, following, later)


def test_windows_follow_the_clock_and_equal_recounts(connection: Connection) -> None:
    standing = lead(connection)
    rng = np.random.default_rng(3)
    sets = some_sets(connection, "m", ["de", "en"])
    now = NOW
    for hours in (1, 1, 0, 30, 3, 400, 1):
        now += timedelta(hours=hours)
        hour = hour_of(now)
        write_delta(connection, delta_of_events(some_events(rng, sets, range(hour - 40, hour), 100)))
        run_until_calm(connection, standing, now)
        _assert_windows_equal_recounts(connection, standing, now)


def _assert_windows_equal_recounts(connection: Connection, standing: Standing, now: datetime) -> None:
    keys = np.array(sorted(standing.spans), np.int64)
    found = dict(sketches(windows.read_windows(connection, EVALUATION.names, keys)))
    targets = EVALUATION.targets(now)
    for key, span in standing.spans.items():
        assert span == targets[key & 0xFFFFFFFF]
        assert found[key] == series_sum(connection, key >> 32, span).sketch


def test_once_nothing_new_comes_the_stored_reading_is_what_the_command_reads(connection: Connection) -> None:
    for delta in some_deltas(connection):
        write_delta(connection, delta)
    standing = lead(connection)
    run_until_calm(connection, standing, NOW)
    for one in read_series(connection):
        for window in EVALUATION.windows:
            request = Request(one.name, window, EVALUATION.maturity, EVALUATION.maturity, EVALUATION.reading)
            asked, stored = answer(connection, request, NOW), newest(connection, window.name)[one.id]
            both = [_figures(asked), _figures(stored)]
            assert both[0] == both[1]


def _figures(reading: Reading) -> dict[str, object]:
    """A reading without when it was made, and without the edge that only a request looks up."""
    return {name: getattr(reading, name) for name in reading.__struct_fields__ if name not in {"as_of", "window_start"}}


def test_under_traffic_all_but_the_bands_is_what_the_command_reads(connection: Connection) -> None:
    for delta in some_deltas(connection):
        write_delta(connection, delta)
    standing = lead(connection)
    turn(connection, standing, EVALUATION, at(NOW))
    exact = {"methods", "intervals", "null_band", "ece_debiased", "labelling"}
    for one in read_series(connection):
        request = Request(one.name, EVALUATION.windows[1], EVALUATION.maturity, EVALUATION.maturity, EVALUATION.reading)
        asked, stored = _figures(answer(connection, request, NOW)), _figures(newest(connection, "7d")[one.id])
        assert {key: value for key, value in asked.items() if key not in exact} == {
            key: value for key, value in stored.items() if key not in exact
        }


def test_a_correction_made_after_an_instant_does_not_change_the_reading_as_of_it(connection: Connection) -> None:
    deltas = some_deltas(connection)
    standing = lead(connection)
    write_delta(connection, deltas[0])
    turn(connection, standing, EVALUATION, at(NOW))
    request = Request(
        SeriesName("m", "confidence", "{}"), window_named("7d"), timedelta(0), EVALUATION.maturity, EVALUATION.reading
    )
    known_at = start_of(hour_of(NOW) + 1)
    then = Request(
        request.name, request.window, request.maturity, request.full_maturity, request.reading, known_at=known_at
    )
    later = NOW + 3 * HOUR
    before = answer(connection, then, later)
    assert before.n > 0
    for delta in deltas[1:]:
        write_delta(connection, delta)
    turn(connection, standing, EVALUATION, at(later))
    assert answer(connection, then, later) == before
    assert answer(connection, request, later).n > before.n
    with pytest.raises(BadInput, match="yet to come"):
        answer(connection, then, NOW)
    connection.execute("UPDATE upkeep SET folded_at = %s", (known_at + HOUR,))
    with pytest.raises(BadInput, match="what was known then is kept from 2026-11-01T14:00:00Z on"):
        answer(connection, then, later)


def test_history_put_in_at_once_gets_a_reading_for_each_past_day(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.workers.past.SETTLED_SECONDS", 0.0)
    rng = np.random.default_rng(2)
    sets, hour = some_sets(connection, "m", ["de"]), hour_of(NOW)
    write_delta(connection, delta_of_events(some_events(rng, sets, range(hour - 24 * 20, hour), 4_000)))
    standing = lead(connection)
    run_until_calm(connection, standing, NOW, 30)
    whole = next(one.id for one in read_series(connection) if one.name.segment == "{}")
    rows = connection.execute(
        "SELECT as_of, computed_at, body::text FROM reading WHERE series = %s AND window_name = '7d' ORDER BY as_of",
        (whole,),
    ).fetchall()
    past = [row for row in rows if row[1] - row[0] >= timedelta(days=1)]
    assert len(past) >= 19
    for as_of, _, body in past:
        span = EVALUATION.targets(as_of)[1]
        sketch = series_sum(connection, whole, span).sketch
        found, exact = reading_from_json(body), read(sketch, EVALUATION.reading, reading_from_json(body))
        assert (found.n, found.ece, found.brier) == (exact.n, exact.ece, exact.brier)
    before = len(rows)
    run_until_calm(connection, standing, NOW, 10)
    again = connection.execute(
        "SELECT count(*) FROM reading WHERE series = %s AND window_name = '7d'", (whole,)
    ).fetchone()
    assert again == (before,)


def test_counts_below_zero_are_counted_and_never_read(connection: Connection) -> None:
    rng = np.random.default_rng(4)
    sets, hour = some_sets(connection, "m", ["de"]), hour_of(NOW)
    events = some_events(rng, sets, range(hour - 10, hour - 5), 50)
    write_delta(connection, delta_of_events(events, -1))
    standing = lead(connection)
    run_until_calm(connection, standing, NOW)
    assert read_counts(connection)[NEGATIVE, ""] > 0
    assert newest(connection, "all") == {}
    write_delta(connection, merge_deltas(delta_of_events(events), delta_of_events(events)))
    run_until_calm(connection, standing, NOW)
    assert {reading.n for reading in newest(connection, "all").values()} == {int((~np.isnan(events.outcome)).sum())}


def test_a_window_that_empties_says_so(connection: Connection) -> None:
    standing = lead(connection)
    rng = np.random.default_rng(5)
    sets, hour = some_sets(connection, "m", ["de"]), hour_of(NOW)
    write_delta(connection, delta_of_events(some_events(rng, sets, range(hour - 10, hour - 5), 50)))
    run_until_calm(connection, standing, NOW)
    assert all(reading.n > 0 for reading in newest(connection, "1d").values())
    run_until_calm(connection, standing, NOW + timedelta(days=3))
    assert [reading.n for reading in newest(connection, "1d").values()] == [0, 0]
    assert all(reading.n > 0 for reading in newest(connection, "all").values())


def test_applying_nothing_changes_nothing(connection: Connection) -> None:
    standing = lead(connection)
    assert apply_deltas(connection, standing, EVALUATION, at(NOW)) == (0, 0)
