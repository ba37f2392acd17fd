"""Deployed certificates on a real Postgres: what is watched, once, from when on, and what comes of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitor.calibration.certificates import Promise, certify
from monitor.calibration.sketch import sketch_of
from monitor.errors import BadInput
from monitor.postgres.certificates import Deployed, deploy, deployed, retire, shortfalls
from monitor.postgres.database import Connection, connect
from monitor.rolling.panes import hour_of
from monitor.rolling.segments import SeriesName
from monitor.workers.evaluation import turn
from tests.workers.deltas import Events, delta_of_events, some_sets, write_delta
from tests.workers.test_evaluation import EVALUATION, at, lead

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAME = SeriesName("m", "confidence", "{}")
CERTIFICATE = certify(sketch_of(np.full(400, 0.97), np.arange(400) % 50 > 0), Promise(0.9))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def deploy_one(connection: Connection, now: datetime = NOW, by: str = "ann") -> int:
    return deploy(connection, NAME, CERTIFICATE, parts=["{}"], by=by, now=now)


class Traffic:
    """Events of one model, and a leader who evaluates them."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.standing = connection, lead(connection)
        (self.set,) = some_sets(connection, "m", ["de"])

    def comes(self, since: datetime, hours: int, n: int, right: float, confidence: float = 0.97) -> None:
        """`n` labelled predictions an hour, of which the share `right` is right."""
        hour = np.repeat(hour_of(since) + np.arange(hours), n)
        outcome = np.tile(np.arange(n) < round(n * right), hours).astype(np.float64)
        events = Events(np.full(len(hour), self.set), hour, np.full(len(hour), confidence), outcome)
        write_delta(self.connection, delta_of_events(events))

    def evaluated(self, now: datetime) -> Deployed:
        """How the newest certificate in force stands then."""
        while turn(self.connection, self.standing, EVALUATION, at(now)).more:
            pass
        return deployed(self.connection)[0]


def test_only_mature_predictions_from_the_hour_after_deployment_on_are_counted_and_only_once(
    connection: Connection,
) -> None:
    traffic = Traffic(connection)
    deploy_one(connection)
    traffic.comes(NOW - 5 * HOUR, 10, 20, 1.0)  # panes from 04:00 to 13:00; the first that counts is 10:00
    traffic.comes(NOW - 5 * HOUR, 10, 7, 1.0, confidence=0.5)  # below the threshold
    found = traffic.evaluated(NOW + 4 * HOUR)  # 13:30, and labels are mature after two hours: up to 11:00
    assert (found.seen_n, found.verdict, found.seen_accuracy) == (20, "not broken", 1.0)
    assert traffic.evaluated(NOW + 4 * HOUR + timedelta(minutes=20)).seen_n == 20
    traffic.comes(NOW + HOUR, 2, 20, 0.0)  # late labels of hours that were counted already, and of one that was not
    assert traffic.evaluated(NOW + 5 * HOUR).seen_n == 20 + 40
    again = Traffic.__new__(Traffic)
    again.connection, again.standing = connection, lead(connection)
    assert again.evaluated(NOW + 5 * HOUR).seen_n == 60
    assert again.evaluated(NOW + 3 * DAY).seen_n == 100


def test_a_promise_that_breaks_after_weeks_is_found_and_dated_to_the_day(connection: Connection) -> None:
    traffic = Traffic(connection)
    deploy_one(connection)
    assert shortfalls(connection)["m"] == pytest.approx(-0.1)
    begin = NOW.replace(hour=0, minute=0) + DAY
    traffic.comes(begin, 20 * 24, 10, 1.0)
    traffic.comes(begin + 20 * DAY, 5 * 24, 10, 0.7)
    held = traffic.evaluated(begin + 20 * DAY)
    assert (held.verdict, held.seen_n) == ("not broken", 20 * 240 - 20)
    broken = traffic.evaluated(begin + 25 * DAY + 2 * HOUR)
    assert (broken.verdict, broken.worst_from) == ("broken", begin + 20 * DAY)
    assert broken.worst_n == 5 * 240
    assert broken.worst_accuracy == pytest.approx(0.7)
    shortfall = shortfalls(connection)["m"]
    assert shortfall is not None
    assert 0 < shortfall < 0.2


def test_with_the_bar_of_a_second_signal_the_parts_above_it_are_counted_and_nothing_else(
    connection: Connection,
) -> None:
    standing = lead(connection)
    hour = hour_of(NOW) + 2
    for place, number in enumerate(some_sets(connection, "m", ["de", "en", "fr"])):
        n = 10 ** (place + 1)
        events = Events(np.full(n, number), np.full(n, hour), np.full(n, 0.97), np.ones(n))
        write_delta(connection, delta_of_events(events))
    parts = ['{"lang":"de"}', '{"lang":"en"}', '{"lang":"it"}']
    deploy(connection, NAME, CERTIFICATE, parts=parts, also=["second >= 0.8"], by="ann", now=NOW)
    turn(connection, standing, EVALUATION, at(NOW + 8 * HOUR))
    (found,) = deployed(connection)
    assert (found.also, found.seen_n) == (["second >= 0.8"], 110)


def test_an_outage_of_months_is_caught_up_in_steps_and_ends_as_if_there_had_been_none(connection: Connection) -> None:
    traffic = Traffic(connection)
    deploy_one(connection)
    begin = NOW.replace(hour=0, minute=0) + DAY
    traffic.comes(begin, 70 * 24, 1, 1.0)
    for hours in range(5):
        found = traffic.evaluated(begin + 70 * DAY + (2 + hours) * HOUR)
    assert found.seen_n == 70 * 24


def test_a_new_certificate_of_the_same_promise_takes_the_place_of_the_old_one(connection: Connection) -> None:
    first = deploy_one(connection)
    second = deploy_one(connection, NOW + DAY, by="bob")
    assert [each.id for each in deployed(connection)] == [second]
    old = deployed(connection, "m", past=True)[1]
    assert (old.id, old.retired_at, old.retired_by) == (first, NOW + DAY, "bob")
    other = Promise(0.8, start=0.9)
    sketch = sketch_of(np.full(400, 0.97), np.arange(400) % 50 > 0)
    deploy(connection, NAME, certify(sketch, other), parts=["{}"], by="bob", now=NOW)
    assert len(deployed(connection)) == 2


def test_a_retired_certificate_is_watched_no_longer_and_each_step_is_written_down(connection: Connection) -> None:
    made = deploy_one(connection)
    retire(connection, made, by="bob", now=NOW + HOUR)
    assert (deployed(connection), shortfalls(connection)) == ([], {})
    with pytest.raises(BadInput, match=f"no certificate {made} is in force"):
        retire(connection, made, by="bob", now=NOW + HOUR)
    trail = connection.execute("SELECT \"by\", did, detail ->> 'certificate' FROM audit ORDER BY id").fetchall()
    assert trail == [("ann", "certificate deploy", str(made)), ("bob", "certificate retire", str(made))]


def test_what_was_not_certified_is_not_deployed(connection: Connection) -> None:
    nothing = certify(sketch_of([0.9] * 10, [1.0] * 10), Promise(0.9))
    with pytest.raises(BadInput, match="nothing to deploy: not certifiable with 10 labels"):
        deploy(connection, NAME, nothing, parts=["{}"], by="ann", now=NOW)
    assert deployed(connection) == []
