"""A backtest over the store tells what the leader told while it happened, whatever became known later."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.alerting.alertrules import alert_rules
from monitor.alerting.force import force_of
from monitor.alerting.kept import Kept
from monitor.alerting.validation import checked
from monitor.backtest.detectors import Watched
from monitor.backtest.replay import Period, Replay, Setting, tried
from monitor.backtest.report import Backtest
from monitor.calibration.reading import ReadingSettings
from monitor.drift.watches import Rules
from monitor.postgres import known as known_module
from monitor.postgres.database import Connection, connect
from monitor.postgres.installation import read_clock
from monitor.postgres.known import known_hours, known_series
from monitor.postgres.leader import take_lead
from monitor.postgres.panes import KEY
from monitor.postgres.sketches import COLUMNS, read_stack
from monitor.rolling.deltas import Delta
from monitor.rolling.deltas import merge as merge_deltas
from monitor.rolling.panes import HOUR, hour_of, start_of
from monitor.rolling.segments import parse_segment, segment_text
from monitor.rolling.stacks import plus
from monitor.rolling.windows import window_named
from monitor.workers.evaluation import turn
from monitor.workers.judging import load_judging
from monitor.workers.standing import Evaluation, Standing, load
from tests.workers.deltas import Events, delta_of_events, some_sets, write_delta

START = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = hour_of(START)
EVALUATION = Evaluation(
    windows=(window_named("1d"), window_named("all")),
    maturity=timedelta(hours=3),
    every=HOUR,
    reading=ReadingSettings(min_labels=1, draws=20),
    main_signal="confidence",
    drift=Rules(false_pages_per_year=2.0, baseline_labels=400),
)
SETTING = Setting(
    windows=EVALUATION.windows,
    maturity=EVALUATION.maturity,
    reading=EVALUATION.reading,
    drift=EVALUATION.drift,
    main_signal=EVALUATION.main_signal,
)
KEPT = Kept(("1d", "all"), 10, "right_closed", 2.0)
RULES = """
defaults: {select: {window: 1d, segment: "*"}, min_labelled: 150, for: 1h, keep_firing_for: 3h}
rules:
  - {name: Gap, metric: signed_gap, compare: above, enter: 0.05, exit: 0.03}
  - {name: Sure, extends: Gap, false_discovery_rate: 0.00001}
  - {name: Errors, metric: confident_error_share, enter: 0.06, exit: 0.04}
  - {name: Score, metric: brier, enter: 0.2, exit: 0.19, evidence: point}
  - {name: Rise, metric: accuracy, compare: change_below, enter: -0.04, exit: -0.02, evidence: point,
     baseline: {kind: trailing, length: 1d}}
  - {name: Few, metric: coverage, enter: 0.8, exit: 0.85, min_labelled: 0, min_label_coverage: 0, for_new_labels: 0}
"""


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def lead(connection: Connection) -> Standing:
    """A leader that judges these rules."""
    epoch = take_lead(connection)
    assert epoch is not None
    found = checked(RULES, KEPT)
    assert found.file is not None, found.mistakes
    force = force_of(found.file, EVALUATION.every, "test")
    standing = load(connection, epoch, EVALUATION)
    standing.judging = load_judging(connection, force, read_clock(connection))
    return standing


def events(rng: np.random.Generator, segment_set: int, hour: int, loss: float) -> Events:
    confidence = rng.choice([0.3, 0.6, 0.8, 0.9, 0.95], 25)
    outcome = (rng.random(25) < confidence - loss).astype(np.float64)
    outcome[rng.random(25) < 0.1 + 0.3 * (hour % 40 < 8)] = np.nan
    return Events(np.full(25, segment_set), np.full(25, hour), confidence, outcome)


def live(connection: Connection, standing: Standing, hours: range, losses: Mapping[int, float]) -> list[Events]:
    """Hour after hour: its events come, every third hour with labels for an earlier one, and the leader takes turns."""
    came: list[Events] = []
    for hour in hours:
        rng = np.random.default_rng(hour)
        for segment_set, loss in losses.items():
            new = events(rng, segment_set, hour, loss)
            came.append(new)
            write_delta(connection, delta_of_events(new))
        if not hour % 3 and len(came) > 12:
            write_delta(connection, corrected(came[-11]))
        turns(connection, standing, start_of(hour + 1))
    return came


def turns(connection: Connection, standing: Standing, now: datetime) -> None:
    while turn(connection, standing, EVALUATION, lambda: now).more:
        pass


def corrected(given: Events) -> Delta:
    """Every second label turned: what was counted is taken away, what is right now is added."""
    turned = replace(given, outcome=np.where(np.arange(len(given.hour)) % 2 == 0, 1 - given.outcome, given.outcome))
    return merge_deltas(delta_of_events(given, -1), delta_of_events(turned))


def told_live(connection: Connection) -> list[tuple[object, ...]]:
    """Alerts, transition by transition, as the leader wrote them."""
    return connection.execute(
        "SELECT a.rule, a.model, a.segment_text, t.reason, t.at FROM alert_transition AS t JOIN alert AS a"
        " ON a.id = t.alert WHERE t.reason IN ('fired', 'resolved') ORDER BY t.at, 1, 2, 3"
    ).fetchall()


def backtest(connection: Connection, end: datetime) -> Backtest:
    found = checked(RULES, KEPT)
    assert found.file is not None
    forces = [tried(found.file, alert_rules(found.file), HOUR)]
    replay = Replay(forces, known_series(connection), SETTING, Period(end_at=end))
    [report] = replay.run(known_hours(connection, end), lambda _: None)
    return report


def told_afterwards(report: Backtest) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for rule in report.rules:
        for span in rule.alerts:
            segment = span.series.get("segment", "")
            text = segment_text(parse_segment(segment))
            found.append((rule.rule, span.series["model"], text, "fired", span.fired_at))
            if span.resolved_at is not None:
                found.append((rule.rule, span.series["model"], text, "resolved", span.resolved_at))
    return sorted(found, key=lambda each: (each[4], *each[:3]))


def test_a_backtest_tells_what_the_leader_told_and_what_its_detectors_raised(connection: Connection) -> None:
    de, en = some_sets(connection, "m", ["de", "en"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 60), {de: 0.0, en: 0.0})
    live(connection, standing, range(FIRST + 60, FIRST + 120), {de: 0.3, en: 0.0})
    live(connection, standing, range(FIRST + 120, FIRST + 170), {de: 0.0, en: 0.0})
    end = start_of(FIRST + 170)
    report, told = backtest(connection, end), told_live(connection)
    assert told_afterwards(report) == told
    assert {each[0] for each in told} == {"Gap", "Sure", "Errors", "Score", "Rise", "Few"}
    assert any(each[3] == "resolved" for each in told)
    assert raised_afterwards(connection, end - HOUR) == raised_live(connection)

    # What becomes known later, corrections above all, changes nothing before.
    rng = np.random.default_rng(1)
    for hour in range(FIRST + 20, FIRST + 110):
        write_delta(connection, corrected(events(rng, de, hour, 0.0)))
    turns(connection, standing, end + HOUR)
    assert backtest(connection, end) == report
    assert backtest(connection, end + HOUR) != report


def raised_live(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT series, tier, (extract(epoch FROM raised_at) / 3600)::int,"
        " (extract(epoch FROM pane_start) / 3600)::int, band, sign, size, value, labels FROM alarm ORDER BY 3, 1, 2"
    ).fetchall()


def raised_afterwards(connection: Connection, end: datetime) -> list[tuple[object, ...]]:
    series = known_series(connection)
    watched = Watched(series, EVALUATION.drift, EVALUATION.maturity)
    found = []
    for known in known_hours(connection, end):
        for each in watched.advance(known):
            of = (each.series, each.tier, known.hour, each.pane)
            found.append((*of, each.band, each.sign, each.size, each.value, each.labels))
    return sorted(found, key=lambda each: (each[2], each[0], each[1]))


def test_a_history_larger_than_one_fetch_comes_whole_and_in_order(connection: Connection) -> None:
    (de,) = some_sets(connection, "m", ["de"])
    standing = lead(connection)
    live(connection, standing, range(FIRST, FIRST + 30), {de: 0.0})
    end = start_of(FIRST + 40)
    hours = list(known_hours(connection, end))
    assert [known.hour for known in hours] == list(range(FIRST + 1, FIRST + 31))
    total = plus(*(known.changes for known in hours))
    stored = read_stack(connection, f"SELECT {KEY}, {COLUMNS} FROM pane", {}).stack
    assert total.keys.tolist() == stored.keys.tolist()
    assert np.array_equal(total.sums, stored.sums)
    for size in (1, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(known_module, "FETCH", known_module.FETCH.replace(str(known_module.ROWS_AT_ONCE), str(size)))
            again = list(known_hours(connection, end))
        assert [known.hour for known in again] == [known.hour for known in hours]
        assert all(np.array_equal(one.changes.sums, two.changes.sums) for one, two in zip(again, hours, strict=True))
