"""Recalibration by the leader, on a real Postgres: due once, judged, promoted, settled, rolled back, come what may."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from monitor.alerting import notice
from monitor.calibration.calibrators.lookup import Lookup
from monitor.errors import BadInput, Refused
from monitor.postgres import calibrators
from monitor.postgres.calibrators import (
    all_in_force,
    back_to,
    in_force,
    previous,
    promote,
    promotion_of,
    promotions,
    runs,
    store,
    stored,
)
from monitor.postgres.database import Connection, connect
from monitor.postgres.leader import LeadershipLostError
from monitor.postgres.monitored import recalibration_ages
from monitor.recalibration.plan import Mode, Plans
from monitor.recalibration.regret import Regret
from monitor.recalibration.trial import Tried
from monitor.rolling.panes import hour_of, start_of
from monitor.workers import rota
from monitor.workers.recalibration import Request, attempt, carry_out, regrets
from monitor.workers.rota import AGAIN
from tests.alerting.rounds import force_by
from tests.workers.recalibrating import RIGHT, WRONG, Service, alert, plan

RULES = """
rules: [{name: Gap, metric: signed_gap, compare: above, enter: 0.2}]
routes: {team: {notify: [hook]}}
channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/"}}
"""


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


def test_a_map_that_passes_is_put_in_force_on_the_first_of_the_month_and_tells_segments_apart(
    connection: Connection,
) -> None:
    service = Service(connection, plan())
    service.live(20, WRONG)
    service.attend()
    assert service.outcomes() == []
    service.live(10, WRONG)
    service.attend()
    assert service.outcomes() == [("schedule", "passed")]
    assert service.versions() == [1]
    found = in_force(connection, "m")
    assert found is not None
    assert found.calibrator is not None
    assert (found.by, found.stage) == ("caldrift", "active")
    lookup = Lookup(found.calibrator.calibrator)
    assert lookup.apply(0.9, {"lang": "de"}) == pytest.approx(0.6, abs=0.07)
    assert lookup.apply(0.9, {"lang": "en"}) == pytest.approx(0.85, abs=0.07)
    assert runs(connection, "m")[0].due_at == datetime(2026, 7, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(("mode", "in_force_after"), [("propose", []), ("shadow", [1]), ("automatic", [1])])
def test_the_mode_says_what_becomes_of_a_map(connection: Connection, mode: Mode, in_force_after: list[int]) -> None:
    service = Service(connection, plan(mode))
    service.live(30, WRONG)
    service.attend()
    assert [each.version for each in stored(connection, "m")] == [1]
    assert service.versions() == in_force_after
    assert [each.stage for each in promotions(connection, "m")] == (["shadow"] if mode == "shadow" else ["active"])[
        : len(in_force_after)
    ]


def test_a_model_whose_plan_is_off_is_left_alone(connection: Connection) -> None:
    service = Service(connection, plan("off"))
    service.live(30, WRONG)
    service.attend()
    assert service.outcomes() == []


def test_months_that_downtime_skipped_are_caught_up_once_and_only_once(connection: Connection) -> None:
    service = Service(connection, plan("propose"))
    service.live(20, WRONG)
    service.now += timedelta(days=75)  # nobody leads for two and a half months
    service.attend()
    assert [run.due_at for run in runs(connection, "m")] == [datetime(2026, 9, 1, 3, tzinfo=UTC)]
    for _ in range(3):
        service.lead()
        service.attend()
        service.now += timedelta(days=5)
    assert len(runs(connection, "m")) == 1


def test_two_leaders_and_a_crash_between_fit_and_promotion_make_one_run(connection: Connection, database: str) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    request = Request("m", plan(), "schedule", datetime(2026, 7, 1, 3, tzinfo=UTC))
    first = attempt(connection, service.how, request, service.now)
    with connect(database, "other") as other:
        second = attempt(other, service.how, request, service.now)
        with connection.transaction(force_rollback=True):  # the crash
            assert carry_out(connection, first, "automatic", "caldrift") is not None
        assert stored(connection, "m") == []
        assert carry_out(other, second, "automatic", "caldrift") is not None
        assert carry_out(connection, first, "automatic", "caldrift") is None
    assert service.outcomes() == [("schedule", "passed")]
    assert service.versions() == [1]
    assert len(stored(connection, "m")) == 1


def test_one_who_does_not_lead_any_longer_writes_nothing(connection: Connection) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    connection.execute("UPDATE leader_epoch SET epoch = epoch + 1")
    with pytest.raises(LeadershipLostError):
        service.attend()
    assert (service.outcomes(), stored(connection, "m"), service.versions()) == ([], [], [])


def test_a_calibrated_model_keeps_what_it_has_and_the_run_says_why(connection: Connection) -> None:
    service = Service(connection, plan())
    service.live(30, RIGHT)
    service.attend()
    (run,) = runs(connection, "m")
    assert run.outcome == "kept"
    assert run.sentence.startswith("kept the old map: ")
    assert run.trial is not None
    assert run.trial.holdout_labels > 500
    assert service.versions() == []


@pytest.mark.parametrize("labels", [0, 1])
def test_a_model_with_hardly_a_label_has_a_run_that_says_so(connection: Connection, labels: int) -> None:
    service = Service(connection, plan())
    service.live(0.25, WRONG, n=labels)
    service.now += timedelta(days=40)
    if labels:
        service.attend()
        (run,) = runs(connection, "m")
        assert run.outcome == "kept"
        assert "labels" in run.sentence
    with pytest.raises(BadInput, match="no predictions"):
        attempt(connection, service.how, Request("gone", plan(), "demand"), service.now)


def test_what_does_harm_is_rolled_back_and_what_helps_stays(connection: Connection) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    service.attend()
    service.live(3, WRONG)
    service.attend()
    assert service.versions() == [1]
    service.live(20, RIGHT)  # whoever makes the model mended it
    service.attend()
    assert service.versions() == [1, None]
    (last, _) = promotions(connection, "m")
    assert last.reason.startswith("rolled back: on ")
    service.attend()
    assert service.versions() == [1, None]


def test_weeks_that_went_well_do_not_excuse_days_of_harm(connection: Connection) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    service.attend()
    service.live(20, WRONG)
    service.attend()
    service.live(4, RIGHT)
    service.attend()
    assert service.versions() == [1, None]
    (last, _) = promotions(connection, "m")
    since = hour_of(service.now - service.how.maturity - timedelta(days=3))
    assert f"labels since {start_of(since):%Y-%m-%d %H:%M} its log loss is higher" in last.reason


def test_a_plan_that_does_not_roll_back_leaves_harm_in_force(connection: Connection) -> None:
    service = Service(connection, plan(rolls_back=False))
    service.live(30, WRONG)
    service.attend()
    service.live(20, RIGHT)
    service.attend()
    assert service.versions() == [1]


def test_of_two_promotions_at_once_one_is_refused_and_named(connection: Connection) -> None:
    service = Service(connection, plan("propose"))
    service.live(30, WRONG)
    service.attend()
    (artefact,) = stored(connection, "m")
    mine = promotion_of(artefact, None, service.now, "me", "first")
    yours = promotion_of(artefact, None, service.now, "you", "also first")
    promote(connection, mine)
    with pytest.raises(Refused, match=r"version 1 \(by me, first\)"):
        promote(connection, yours)
    assert [each.by for each in promotions(connection, "m")] == ["me"]
    assert connection.execute('SELECT "by", did FROM audit').fetchall() == [("me", "promote")]


def test_rolling_back_leads_to_the_map_before_and_then_to_as_stated(connection: Connection) -> None:
    service = Service(connection, plan("propose"))
    service.live(30, WRONG)
    found = attempt(connection, service.how, Request("m", plan(), "demand"), service.now)
    assert found.candidate is not None
    for _ in range(3):
        artefact = store(connection, found.candidate, service.now)
        promote(connection, promotion_of(artefact, in_force(connection, "m"), service.now, "me", "next"))
    assert service.versions() == [1, 2, 3]
    wanted: list[int | None] = [2, 1, None]
    for version in wanted:
        before, back = in_force(connection, "m"), previous(connection, "m", "confidence")
        assert before is not None
        assert (None if back is None else back.version) == version
        promote(connection, back_to(before, back, service.now, "me", "back"))
    assert service.versions() == [1, 2, 3, *wanted]


def test_what_was_promoted_last_is_in_force_though_the_clock_of_who_did_it_is_behind(connection: Connection) -> None:
    service = Service(connection, plan("propose"))
    service.live(30, WRONG)
    service.attend()
    (artefact,) = stored(connection, "m")
    promote(connection, promotion_of(artefact, None, service.now + timedelta(minutes=10), "a fast clock", "try it"))
    first = in_force(connection, "m", "confidence")
    assert first is not None
    promote(connection, back_to(first, None, service.now, "the page", "back"))
    for found in (in_force(connection, "m", "confidence"), in_force(connection, "m"), *all_in_force(connection)):
        assert found is not None
        assert (found.by, found.version) == ("the page", None)
    assert previous(connection, "m", "confidence") is None
    promote(connection, promotion_of(artefact, in_force(connection, "m"), service.now, "the page", "again"))
    assert [each.version for each in all_in_force(connection)] == [1]


def test_a_person_who_is_faster_than_the_roll_back_of_a_harmful_map_ends_no_leader(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    service.attend()
    service.live(20, RIGHT)

    def while_a_person_acts(*given: Any) -> Iterator[Regret]:
        yield from regrets(*given)
        with connect(database, "a person") as other:
            before = in_force(other, "m")
            assert before is not None
            promote(other, back_to(before, None, service.now, "me", "seen it"))

    monkeypatch.setattr(rota, "regrets", lambda *given: list(while_a_person_acts(*given)))
    service.attend()
    assert [each.by for each in promotions(connection, "m")] == ["me", "caldrift"]


def test_a_promotion_lets_detectors_learn_anew_once(connection: Connection) -> None:
    service = Service(connection, plan("propose"))
    service.live(30, WRONG)
    service.attend()
    service.live(1, WRONG)
    (artefact,) = stored(connection, "m")
    assert connection.execute("SELECT count(*) FROM detector WHERE renew").fetchone() == (0,)
    promote(connection, promotion_of(artefact, None, service.now, "me", "by hand"))
    service.attend()
    watched = connection.execute("SELECT count(*), count(*) FILTER (WHERE renew) FROM detector").fetchone()
    assert watched == (3, 3)
    connection.execute("UPDATE detector SET renew = false")
    service.attend()
    assert connection.execute("SELECT count(*) FROM detector WHERE renew").fetchone() == (0,)
    assert calibrators.unsettled(connection) == []


def test_an_alert_asks_for_runs_and_once_one_passed_waits_for_as_long_again(connection: Connection) -> None:
    service = Service(connection, plan(on_alerts=("Drift",), schedule="0 3 1 1 *"))
    service.live(3, RIGHT)
    fired_at = service.now
    alert(connection, "firing", fired_at)
    service.attend()
    service.attend()
    assert service.outcomes() == [("alert", "kept")]
    service.now += AGAIN / 2
    service.attend()
    assert len(service.outcomes()) == 1
    service.live(2, WRONG, n=180)
    service.attend()
    assert service.outcomes() == [("alert", "kept"), ("alert", "passed")]
    service.now = fired_at + 2 * (service.now - fired_at) - timedelta(seconds=1)
    service.attend()
    assert len(service.outcomes()) == 2
    service.now += timedelta(seconds=1)
    service.attend()
    assert len(service.outcomes()) == 3
    assert runs(connection, "m")[0].at == service.now
    service.now = fired_at + 28 * AGAIN
    service.attend()
    assert len(service.outcomes()) == 3


def test_an_alert_that_is_over_or_of_another_rule_asks_for_nothing(connection: Connection) -> None:
    service = Service(connection, plan(on_alerts=("Other",), schedule="0 3 1 1 *"))
    service.live(3, RIGHT)
    alert(connection, "firing", service.now)
    service.attend()
    service.how = replace(service.how, plans=Plans(plan(on_alerts=("Drift",), schedule="0 3 1 1 *")))
    connection.execute("UPDATE alert SET state_name = 'ok'")
    service.attend()
    assert service.outcomes() == []


@pytest.mark.parametrize("failure", [np.linalg.LinAlgError("Singular matrix"), OverflowError("math range error")])
def test_a_fit_that_fails_as_no_fit_should_is_a_run_that_failed_and_ends_no_leader(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)

    def failing(*_: object) -> Tried:
        raise failure

    monkeypatch.setattr("monitor.workers.recalibration.tried", failing)
    service.attend()
    service.attend()
    (run,) = runs(connection, "m")
    assert (run.outcome, run.sentence) == ("failed", f"failed: {failure}")


def test_labels_from_before_a_drift_are_left_out(connection: Connection) -> None:
    service = Service(connection, plan("propose"))
    service.live(20, RIGHT)
    onset = start_of(hour_of(service.now))
    service.live(10, WRONG)
    connection.execute(
        "INSERT INTO alarm (series, tier, raised_at, pane_start, band, sign, onset_at, onset_low_at, onset_high_at,"
        " size, size_low, size_high, value, alpha, labels, slope, intercept)"
        " SELECT id, 'page', %(at)s, %(at)s, 'all', 1, %(at)s, %(at)s, %(at)s, .3, .2, .4, 9, .001, 100, 1, 0"
        " FROM series WHERE segment_text = '{}'",
        {"at": onset},
    )
    service.attend()
    (run,) = runs(connection, "m")
    assert run.trial is not None
    assert run.trial.since >= onset
    assert run.outcome == "passed"


def test_people_are_told_once_of_proposals_promotions_roll_backs_and_months_without_a_change(
    connection: Connection,
) -> None:
    service = Service(connection, plan("propose"))
    service.force = force_by(RULES)
    service.live(30, WRONG)
    service.attend()
    service.attend()
    (artefact,) = stored(connection, "m")
    promote(connection, promotion_of(artefact, None, service.now, "me", "it passed"))
    service.attend()
    before = in_force(connection, "m")
    assert before is not None
    promote(connection, back_to(before, None, service.now, "me", "not today"))
    service.attend()
    service.live(35, RIGHT)
    service.attend()
    service.attend()
    told = [
        notice.decode(body).change
        for (body,) in connection.execute("SELECT body::text FROM notice ORDER BY id").fetchall()
    ]
    assert [(each.what, each.version, each.by) for each in told if each is not None] == [
        ("proposed", 1, "caldrift"),
        ("promoted", 1, "me"),
        ("rolled_back", None, "me"),
        ("kept", None, "caldrift"),
    ]
    assert len(told) == 4
    promoted = told[1]
    assert promoted is not None
    assert promoted.report == "https://caldrift.example/reports/m/2026-07"
    assert sum(each.n for each in promoted.before) == pytest.approx(sum(each.n for each in promoted.after), abs=5)
    assert dict(promoted.facts)["maps by"] == "lang"


def test_a_map_of_another_version_of_caldrift_is_left_in_force_and_the_run_says_what_is_wrong(
    connection: Connection,
) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    service.attend()
    connection.execute("UPDATE calibrator SET body = replace(body, '\"format\": 1', '\"format\": 9')")
    service.live(33, WRONG)
    service.attend()
    last = runs(connection, "m")[0]
    assert (last.outcome, last.due_at) == ("failed", datetime(2026, 8, 1, 3, tzinfo=UTC))
    assert "format 9" in last.sentence
    assert service.versions() == [1]
    since = datetime.now(UTC) - datetime(2026, 7, 1, 3, tzinfo=UTC)
    assert abs(recalibration_ages(connection)["m"] - since) < timedelta(hours=1), "what failed did not run"
