"""Rules in the leader's turns, on a real Postgres: fired, told, hushed, ended, once and come what may."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from monitor.alerting import notice
from monitor.alerting.alertrules import alert_rules
from monitor.alerting.kept import Kept
from monitor.alerting.routes import Match
from monitor.alerting.rulebook import RuleBook
from monitor.alerting.validation import checked
from monitor.calibration.reading import ReadingSettings
from monitor.drift.watches import Rules
from monitor.errors import BadSettings
from monitor.postgres import silences
from monitor.postgres.database import Connection, connect
from monitor.postgres.leader import LeadershipLostError, take_lead
from monitor.postgres.rule_sets import rule_set
from monitor.rolling.panes import hour_of, start_of
from monitor.rolling.windows import window_named
from monitor.web.pictures import reliability
from monitor.workers import evaluation as evaluation_module
from monitor.workers import rulesource
from monitor.workers.evaluation import turn
from monitor.workers.rulesource import RuleSource
from monitor.workers.standing import Evaluation, Standing, load
from tests.workers.deltas import Events, delta_of_events, some_sets, write_delta

START = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = hour_of(START)
EVALUATION = Evaluation(
    windows=tuple(window_named(name) for name in ("6h", "all")),
    maturity=timedelta(hours=1),
    every=timedelta(hours=1),
    reading=ReadingSettings(min_labels=1, draws=20),
    main_signal="confidence",
    drift=Rules(baseline_labels=2_000),
)
KEPT = Kept(windows=("6h", "all"), bins=10, edges="right_closed", false_pages_per_year=2.0)
ROUTES = """
routes: {{team: {{notify: [hook, other], group_by: {by}, group_wait: 30s, group_interval: 5m}}}}
channels:
  hook: {{kind: webhook, url: "http://127.0.0.1:1/"}}
  other: {{kind: pagerduty, routing_key_env: KEY}}
"""
GAP = """
rules:
  - name: {name}
    metric: signed_gap
    compare: above
    enter: 0.15
    exit: 0.1
    for: 2h
    for_new_labels: 50
    keep_firing_for: 2h
    repeat_every: 6h
    min_labelled: 50
    select: {{model: "*", segment: "{segment}", window: 6h}}
"""


def book(text: str) -> RuleBook:
    found = checked(text, KEPT)
    assert not found.mistakes, found.mistakes
    assert found.file is not None
    assert alert_rules(found.file)
    return RuleBook(text, found.file)


def gap(name: str = "Gap", segment: str = "lang=*", by: str = "[rule, model]", more: str = "") -> str:
    return GAP.format(name=name, segment=segment) + more + ROUTES.format(by=by)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


class Service:
    """A leader whose rules are a text, and the hours that it lives through."""

    def __init__(self, connection: Connection, rules: str) -> None:
        self.connection, self.rules, self.hour, self.minutes = connection, rules, FIRST, 6
        self.rng = np.random.default_rng(1)
        self.sets = dict(zip(("de", "en", "fr"), some_sets(connection, "m", ["de", "en", "fr"]), strict=True))
        epoch = take_lead(connection)
        assert epoch is not None
        self.source = RuleSource(lambda text: book(text or self.rules), EVALUATION.every, "https://caldrift.example")
        self.standing = self.loaded(epoch)

    def loaded(self, epoch: int) -> Standing:
        standing = load(self.connection, epoch, EVALUATION)
        standing.judging = rulesource.begin(self.source, self.connection, epoch)
        return standing

    def restart(self) -> None:
        self.standing = self.loaded(self.standing.epoch)

    def live(self, hours: int, losses: Mapping[str, float]) -> None:
        """Hour after hour: the events of the hour come, and the leader takes its turns just after it."""
        for _ in range(hours):
            for language, loss in losses.items():
                write_delta(self.connection, delta_of_events(self.events(self.sets[language], loss)))
            self.hour += 1
            self.turns()

    def events(self, segment_set: int, loss: float, n: int = 60) -> Events:
        confidence = self.rng.choice([0.6, 0.8, 0.9, 0.95], n)
        outcome = (self.rng.random(n) < confidence - loss).astype(np.float64)
        return Events(np.full(n, segment_set), np.full(n, self.hour), confidence, outcome)

    def turns(self) -> None:
        now = self.now
        for _ in range(3):
            while turn(self.connection, self.standing, EVALUATION, lambda: now).more:
                pass

    @property
    def now(self) -> datetime:
        return start_of(self.hour) + timedelta(minutes=self.minutes)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode()).fetchall()

    def transitions(self) -> list[tuple[str, str, int]]:
        """Segment, reason, hours since the beginning."""
        found = self.rows(
            "SELECT a.segment_text, t.reason, t.at, t.number FROM alert_transition AS t"
            " JOIN alert AS a ON a.id = t.alert"
            " ORDER BY t.at, a.segment_text, t.number"
        )
        return [(segment[9:11], reason, round((at - START) / timedelta(hours=1))) for segment, reason, at, _ in found]

    def notices(self) -> list[notice.Notice]:
        return [notice.decode(body) for (body,) in self.rows("SELECT body::text FROM notice ORDER BY id")]

    def told(self) -> list[tuple[str, list[str], list[str]]]:
        """Kind, segments that fire or recover, and segments that have resolved."""
        return [
            (
                one.kind,
                sorted(each.series.segment for each in one.alerts if each.state != "resolved"),
                sorted(each.series.segment for each in one.alerts if each.state == "resolved"),
            )
            for one in self.notices()
        ]


CALM = {"de": 0.0, "en": 0.0}
DRIFT = {"de": 0.4, "en": 0.0}


def test_a_drift_fires_is_told_with_its_evidence_reminds_and_resolves(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(8, CALM)
    assert service.transitions() == []
    service.live(10, DRIFT)
    service.live(12, CALM)
    reasons = [reason for segment, reason, _ in service.transitions()]
    assert {segment for segment, _, _ in service.transitions()} == {"de"}
    assert reasons == ["pending", "fired", "recovering", "resolved"]
    assert service.told() == [
        ("fired", ["lang=de"], []), ("reminder", ["lang=de"], []), ("resolved", [], ["lang=de"]),
    ]  # fmt: skip
    fired = service.notices()[0].alerts[0]
    assert fired.evidence is not None
    assert fired.evidence.interval is not None
    assert fired.evidence.limit == 0.15
    assert fired.evidence.interval[0] > 0.15
    assert fired.evidence.n == 60 * 6
    assert sum(each.n for each in fired.evidence.bins) == fired.evidence.n
    assert (fired.series.model, fired.summary[:3]) == ("m", "Gap")
    assert str(fired.link).startswith("https://caldrift.example/alerts/")


def test_a_problem_that_comes_back_goes_on_in_the_history_of_its_alert(connection: Connection) -> None:
    service = Service(connection, gap().replace("    repeat_every: 6h\n", "    rollup: {when_share: 0.5}\n"))
    for _ in range(2):
        service.live(14, CALM)
        service.live(8, {"de": 0.4, "en": 0.4})
    service.live(14, CALM)
    lives = service.rows(
        "SELECT array_agg(t.number ORDER BY t.number), array_agg(t.reason ORDER BY t.number)"
        " FROM alert_transition AS t JOIN alert AS a ON a.id = t.alert GROUP BY a.id"
    )
    assert len(lives) == 3
    for numbers, reasons in lives:
        assert numbers == list(range(1, len(numbers) + 1))
        assert [reason for reason in reasons if reason in {"fired", "resolved"}] == ["fired", "resolved"] * 2
    assert [kind for kind, _, _ in service.told()] == ["fired", "resolved", "fired", "resolved"]


def test_each_channel_of_the_route_gets_each_notice_but_no_reminder_goes_to_pagerduty(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(10, DRIFT)
    service.live(12, CALM)
    assert service.rows(
        "SELECT n.kind, d.channel, d.state, ceil(extract(epoch FROM d.due_at - n.queued_at) / 30)::int * 30"
        " FROM delivery AS d"
        " JOIN notice AS n ON n.id = d.notice ORDER BY n.ord, d.channel"
    ) == [
        ("fired", "hook", "waiting", 30), ("fired", "other", "waiting", 30),
        ("reminder", "hook", "waiting", 300),
        ("resolved", "hook", "waiting", 0), ("resolved", "other", "waiting", 0),
    ]  # fmt: skip
    assert service.rows("SELECT firing, opened_at IS NOT NULL, closed_at IS NOT NULL FROM incident") == [
        (0, True, True)
    ]


def test_a_crash_between_any_two_transactions_loses_and_repeats_nothing(
    connection: Connection, other_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lived(service: Service) -> tuple[object, ...]:
        service.live(6, CALM)
        service.live(9, DRIFT)
        service.live(9, CALM)
        states = service.rows("SELECT id, state::text, fired_at, evidence::text FROM alert ORDER BY id")
        return service.transitions(), service.told(), states

    calm = lived(Service(connection, gap()))
    service = Service(other_database(), gap())
    crashes = np.random.default_rng(3)
    steps = {name: getattr(evaluation_module, name) for name in ("roll_windows", "read_windows", "judge_alerts")}
    n_crashes = 0

    def crashing(name: str) -> Any:
        def step(*given: Any) -> Any:
            nonlocal n_crashes
            done = steps[name](*given)
            if crashes.random() < 0.1:
                n_crashes += 1
                raise RuntimeError(name)
            return done

        return step

    for name in steps:
        monkeypatch.setattr(evaluation_module, name, crashing(name))
    turns = service.turns

    def until_it_works() -> None:
        while True:
            try:
                turns()
            except RuntimeError:
                service.restart()
            else:
                return

    monkeypatch.setattr(service, "turns", until_it_works)
    assert lived(service) == calm
    assert n_crashes > 5


def test_nobody_is_told_of_what_is_silenced_until_the_silence_ends(connection: Connection) -> None:
    service = Service(connection, gap())
    silence = silences.add_silence(
        connection, Match(segment=("lang=de",)), service.now, service.now + timedelta(days=9),
        reason="known", by="anna", now=service.now,
    )  # fmt: skip
    service.live(6, CALM)
    service.live(8, {"de": 0.4, "en": 0.4})
    assert service.told() == [("fired", ["lang=en"], [])]
    assert service.rows("SELECT hushed FROM alert WHERE state_name = 'firing' ORDER BY segment_text") == [
        (f"silence {silence}",), (None,),
    ]  # fmt: skip
    silences.expire_silence(connection, silence, by="bert", now=service.now)
    service.live(2, {"de": 0.4, "en": 0.4})
    assert service.told()[1:] == [("changed", ["lang=de", "lang=en"], [])]
    assert service.rows("SELECT by, did FROM audit ORDER BY id") == [
        ("anna", "silence add"),
        ("bert", "silence expire"),
    ]


def test_a_silenced_alert_that_was_told_before_still_tells_its_end(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    silences.add_silence(
        connection, Match(), service.now, service.now + timedelta(days=9),
        reason="known", by="anna", now=service.now,
    )  # fmt: skip
    service.live(12, CALM)
    assert [kind for kind, _, _ in service.told()] == ["fired", "resolved"]


def test_a_rule_renamed_while_it_fires_closes_its_incident_and_begins_anew(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    service.rules = gap("GapWide")
    service.restart()
    service.live(5, DRIFT)
    assert service.rows(
        "SELECT a.rule, array_agg(t.reason ORDER BY t.number) FROM alert_transition AS t"
        " JOIN alert AS a ON a.id = t.alert GROUP BY a.rule ORDER BY a.rule"
    ) == [("Gap", ["pending", "fired", "rule ended"]), ("GapWide", ["pending", "fired"])]
    assert [(one.kind, one.group) for one in service.notices()] == [
        ("fired", (("model", "m"), ("rule", "Gap"))),
        ("resolved", (("model", "m"), ("rule", "Gap"))),
        ("fired", (("model", "m"), ("rule", "GapWide"))),
    ]
    assert service.rows("SELECT rule, firing FROM incident ORDER BY rule") == [("Gap", 0), ("GapWide", 1)]


def test_a_series_that_the_rule_no_longer_selects_resolves_and_says_so(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    service.rules = gap(segment="lang=en")
    service.restart()
    service.live(2, DRIFT)
    assert service.transitions()[-1][:2] == ("de", "series ended")
    assert service.notices()[-1].alerts[0].remark == "the rule does not select the series any longer"


def test_no_labels_hold_an_alert_that_fires(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    service.live(40, {})
    assert service.transitions()[-1][1] == "fired"
    assert service.rows("SELECT state_name, finding FROM alert") == [("firing", "insufficient")]
    assert service.rows("SELECT judged, insufficient FROM rule") == [(2, 2)]


def test_a_route_that_groups_in_another_way_closes_the_old_incident_and_opens_new_ones(connection: Connection) -> None:
    service = Service(connection, gap())
    both = {"de": 0.4, "en": 0.4}
    service.live(6, CALM)
    service.live(8, both)
    assert service.told()[-1][1] == ["lang=de", "lang=en"]
    service.rules = gap(by="[segment]")
    service.restart()
    service.live(1, both)
    after = service.notices()[1:]
    assert sorted((one.kind, dict(one.group).get("segment")) for one in after) == [
        ("fired", "lang=de"), ("fired", "lang=en"), ("resolved", None),
    ]  # fmt: skip
    service.live(12, CALM)
    assert service.rows("SELECT count(*) FROM incident WHERE firing > 0") == [(0,)]


def test_a_route_to_other_channels_ends_an_open_incident_at_the_old_ones_and_begins_it_at_the_new(
    connection: Connection,
) -> None:
    service = Service(connection, gap() + "  third: {kind: webhook, url: 'http://127.0.0.1:1/'}\n")
    service.live(6, CALM)
    service.live(8, DRIFT)
    service.rules = service.rules.replace("[hook, other]", "[other, third]")
    service.restart()
    service.live(1, DRIFT)
    service.live(12, CALM)
    assert service.rows(
        "SELECT d.channel, array_agg(n.kind ORDER BY n.ord) FROM delivery AS d JOIN notice AS n ON n.id = d.notice"
        " WHERE n.kind <> 'reminder' GROUP BY d.channel ORDER BY d.channel"
    ) == [("hook", ["fired", "resolved"]), ("other", ["fired", "resolved"]), ("third", ["fired", "resolved"])]
    assert service.notices()[1].alerts[0].remark == "told elsewhere from now on: the route has changed"
    assert service.rows("SELECT channels, firing FROM incident") == [(["other", "third"], 0)]


def test_while_one_alert_says_it_all_the_others_are_hushed(connection: Connection) -> None:
    other = GAP.format(name="Whole", segment="").replace("rules:\n", "").replace("for: 2h", "for: 0s")
    more = other + "inhibit: [{when: {rule: Whole}, mute: {rule: Gap}}]\n"
    service = Service(connection, gap(more=more))
    service.live(6, CALM)
    service.live(9, {"de": 0.4, "en": 0.4})
    assert {one.group for one in service.notices()} == {(("model", "m"), ("rule", "Whole"))}
    assert service.rows("SELECT DISTINCT hushed FROM alert WHERE rule = 'Gap'") == [("inhibited by Whole",)]
    assert service.rows("SELECT DISTINCT state_name FROM alert WHERE rule = 'Gap'") == [("firing",)]


def test_from_the_given_share_on_many_series_fire_as_one(connection: Connection) -> None:
    text = gap().replace("    repeat_every: 6h\n", "    rollup: {when_share: 0.6}\n")
    service = Service(connection, text)
    service.live(6, {"de": 0.0, "en": 0.0, "fr": 0.0})
    service.live(8, {"de": 0.4, "en": 0.0, "fr": 0.0})
    assert service.told() == [("fired", ["lang=de"], [])]
    service.live(8, {"de": 0.4, "en": 0.4, "fr": 0.4})
    told = service.told()[1:]
    assert told[0] == ("changed", ["", "lang=de"], [])
    assert all("lang=en" not in firing and "lang=fr" not in firing for _, firing, _ in told)
    assert service.rows("SELECT about, hushed FROM alert WHERE hushed IS NOT NULL") == [("series", "rolled up")] * 3
    service.live(20, {"de": 0.0, "en": 0.0, "fr": 0.0})
    assert service.told()[-1][0] == "resolved"
    assert service.rows("SELECT firing FROM incident") == [(0,)]


def test_rules_that_are_refused_change_nothing_and_a_new_leader_keeps_those_that_held(connection: Connection) -> None:
    service = Service(connection, gap())
    held = rule_set(connection)

    def refuse(text: str | None) -> RuleBook:
        if text is None:
            raise BadSettings(["alerts.yaml:1:1: no"])
        return book(text)

    service.source.read = refuse
    assert rulesource.again(service.source, connection, service.standing.epoch) is None
    assert "alerts.yaml:1:1: no" in str(service.source.refused)
    service.restart()
    assert rule_set(connection) == held
    service.live(6, CALM)
    service.live(8, DRIFT)
    assert service.transitions()[-1][1] == "fired"


def test_a_rise_since_the_stretch_before_fires_and_none_without_it(connection: Connection) -> None:
    change = (
        gap()
        .replace("compare: above", "compare: change_above\n    baseline: {kind: trailing, length: 1d}")
        .replace("enter: 0.15", "enter: 0.1")
        .replace("exit: 0.1\n", "exit: 0.05\n")
    )
    service = Service(connection, change)
    service.live(30, {"de": 0.3, "en": 0.0})
    assert service.transitions() == []
    service.live(9, {"de": 0.3, "en": 0.35})
    assert {segment for segment, _, _ in service.transitions()} == {"en"}
    evidence = service.notices()[0].alerts[0].evidence
    assert evidence is not None
    assert evidence.measure == "signed_gap (change)"
    assert 0.1 < evidence.estimate < 0.4


@pytest.mark.parametrize("is_second", [True, False])
def test_a_rise_since_the_model_version_before_fires_and_none_without_another_version(
    connection: Connection, is_second: bool
) -> None:
    text = (
        gap()
        .replace("compare: above", "compare: change_above\n    baseline: {kind: last_version}")
        .replace("enter: 0.15", "enter: 0.1")
        .replace("exit: 0.1\n", "exit: 0.05\n")
    )
    service = Service(connection, text)
    connection.execute("UPDATE segment_set SET model_version = '1', created_at = %s", (START,))
    service.live(12, {"de": 0.1, "en": 0.1})
    if is_second:
        began = start_of(service.hour)
        connection.execute(
            "UPDATE segment_set SET model_version = '2', created_at = %s WHERE id = %s", (began, service.sets["fr"])
        )
    service.live(8, {"de": 0.5, "en": 0.1})
    if not is_second:
        assert service.transitions() == []
        assert service.rows("SELECT count(*) FROM alert") == [(0,)]
        return
    assert {segment for segment, _, _ in service.transitions()} == {"de"}
    assert service.rows(
        "SELECT (evidence -> 'baseline' ->> 'n')::int, (evidence -> 'baseline' ->> 'value')::float8 < 0.2,"
        " (evidence -> 'judged' ->> 'value')::float8 BETWEEN 0.3 AND 0.5 FROM alert"
    ) == [(60 * 6, True, True)]


@pytest.mark.parametrize(("rate", "told"), [("", {"de", "fr"}), ("    false_discovery_rate: 0.001\n", {"de"})])
def test_what_chance_may_explain_is_let_be_where_a_rule_says_so(
    connection: Connection, rate: str, told: set[str]
) -> None:
    rules = gap().replace("    enter: 0.15\n    exit: 0.1\n", f"    enter: 0.05\n    exit: 0.0\n{rate}")
    service = Service(connection, rules.replace("for: 2h", "for: 0s"))
    service.live(6, {"de": 0.4, "en": 0.0, "fr": 0.11})
    assert {segment for segment, reason, _ in service.transitions() if reason == "fired"} == told


def test_a_segment_that_vanishes_holds_its_alert_until_it_comes_back(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    service.live(20, {"en": 0.0})
    assert [reason for _, reason, _ in service.transitions()] == ["pending", "fired"]
    assert service.rows("SELECT state_name, finding FROM alert") == [("firing", "insufficient")]
    service.live(14, CALM)
    assert [reason for _, reason, _ in service.transitions()] == ["pending", "fired", "recovering", "resolved"]
    assert service.told()[-1] == ("resolved", [], ["lang=de"])


def test_a_small_step_back_of_the_clock_is_waited_out_and_a_large_one_blinds_no_alert(connection: Connection) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    before = service.transitions(), service.told()
    judged = service.rows("SELECT judged_at FROM alert")
    service.minutes -= 60
    service.turns()
    assert (service.transitions(), service.told()) == before
    assert service.rows("SELECT judged_at FROM alert") == judged
    service.minutes -= 2 * 24 * 60
    for _ in range(6):
        service.minutes += 60
        service.turns()
    assert service.rows("SELECT judged_at FROM alert") < judged
    service.minutes = 6
    service.live(4, DRIFT)
    numbers = [number for (number,) in service.rows("SELECT number FROM alert_transition ORDER BY number")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert service.rows("SELECT state_name FROM alert") == [("firing",)]
    assert [kind for kind, _, _ in service.told() if kind != "reminder"] == ["fired"]


def test_a_clock_that_jumps_ahead_counts_for_two_evaluations_and_repeats_nothing(connection: Connection) -> None:
    service = Service(connection, gap().replace("for: 2h", "for: 12h"))
    service.live(6, CALM)
    service.live(7, DRIFT)
    assert [reason for _, reason, _ in service.transitions()] == ["pending"]
    service.minutes += 4 * 60  # the window still holds some of the drift
    service.turns()
    assert [reason for _, reason, _ in service.transitions()] == ["pending"]
    assert service.rows("SELECT state -> 'state' ->> 'watched' FROM alert") == [("PT18000S",)]  # 3 h and 2 of the 4


@pytest.mark.usefixtures("font")
def test_an_alarm_of_the_detectors_fires_at_once_and_ends_when_it_is_acknowledged(connection: Connection) -> None:
    text = """
rules:
  - {name: Drift, metric: drift, for: 0s, keep_firing_for: 0s, severity: critical, select: {segment: "lang=*"}}
""" + ROUTES.format(by="[rule, model]")
    service = Service(connection, text)
    service.live(50, CALM)
    assert service.transitions() == []
    service.live(12, DRIFT)
    assert service.transitions()[0][:2] == ("de", "fired")
    evidence = service.notices()[0].alerts[0].evidence
    assert evidence is not None
    assert evidence.interval is not None
    assert evidence.interval[0] - 0.1 < 0.4 < evidence.interval[1] + 0.1
    assert evidence.bins_of == "6h"
    assert sum(each.n for each in evidence.bins) == 6 * 60
    picture = reliability(service.notices()[0], 0.95)
    assert picture is not None
    assert picture.title == "Reliability, window 6h: m / confidence / lang=de"
    connection.execute("INSERT INTO acknowledgement SELECT id, raised_at, 'anna', 'seen' FROM alarm")
    service.live(2, DRIFT)
    assert service.transitions()[-1][:2] == ("de", "resolved")
    assert service.told()[-1][0] == "resolved"


def test_an_alarm_is_not_missed_though_the_hour_that_raised_it_ended_long_before_the_round(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
rules:
  - {name: Drift, metric: drift, for: 0s, severity: critical, select: {segment: "lang=*"}}
""" + ROUTES.format(by="[rule, model]")
    monkeypatch.setattr("tests.workers.test_judging.EVALUATION", replace(EVALUATION, every=timedelta(minutes=5)))
    service = Service(connection, text)
    service.live(50, CALM)
    for _ in range(12):
        with monkeypatch.context() as busy:
            busy.setattr(evaluation_module, "feed_detectors", lambda *_: 0)
            service.live(1, DRIFT)
            service.minutes = 30
            service.turns()
        service.minutes = 58
        service.turns()
        service.minutes = 6
    assert [reason for _, reason, _ in service.transitions()] == ["fired"]


def test_the_detectors_raise_as_few_pages_as_any_rule_asks_for(connection: Connection) -> None:
    budget = "rules: [{name: A, metric: drift, false_pages_per_year: 0.5}, {name: B, metric: drift}]"
    service = Service(connection, budget)
    service.live(8, CALM)
    asked = service.standing.detecting.alphas
    service.rules = budget.replace("0.5", "0.1")
    service.restart()
    service.live(1, CALM)
    assert asked
    for series, (page, warning) in service.standing.detecting.alphas.items():
        assert page == pytest.approx(asked[series][0] / 5)
        assert warning == pytest.approx(asked[series][1])
    service.rules = budget.replace(", false_pages_per_year: 0.5", "")
    service.restart()
    service.live(1, CALM)
    pages = {series: page for series, (page, _) in service.standing.detecting.alphas.items()}
    assert pages == {series: pytest.approx(4 * page) for series, (page, _) in asked.items()}


def test_a_rule_in_the_shadow_is_judged_and_nobody_is_told_until_it_is_active(connection: Connection) -> None:
    service = Service(connection, gap().replace("    for: 2h", "    mode: shadow\n    for: 2h"))
    service.live(6, CALM)
    service.live(8, DRIFT)
    assert service.transitions()[-1][1] == "fired"
    assert service.told() == []
    service.rules = gap()
    service.restart()
    service.live(1, DRIFT)
    assert service.told() == [("fired", ["lang=de"], [])]


def test_two_leaders_for_a_moment_write_one_history(connection: Connection, database: str) -> None:
    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(7, DRIFT)
    old = service.standing
    with connect(database, "test") as second:
        connection.execute("SELECT pg_advisory_unlock_all()")
        epoch = take_lead(second)
        assert epoch is not None
        assert epoch > old.epoch
        with pytest.raises(LeadershipLostError):
            service.live(1, DRIFT)
        service.connection = second
        service.standing = service.loaded(epoch)
        service.turns()
        service.live(3, DRIFT)
        numbers = service.rows("SELECT number FROM alert_transition ORDER BY number")
        assert numbers == [(1,), (2,)]
        assert [kind for kind, _, _ in service.told()] == ["fired"]


def test_an_error_of_ours_holds_the_alert_and_is_said(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_given: object, **_named: object) -> None:
        raise ZeroDivisionError("a defect")

    service = Service(connection, gap())
    service.live(6, CALM)
    service.live(8, DRIFT)
    before = service.rows("SELECT state_name, fired_at FROM alert")
    monkeypatch.setattr("monitor.alerting.readingrule.of_reading", fails)
    service.live(20, CALM)
    assert service.rows("SELECT state_name, fired_at FROM alert") == before
    assert service.rows("SELECT error FROM rule") == [("ZeroDivisionError: a defect",)]
    monkeypatch.undo()
    service.live(4, CALM)
    assert service.rows("SELECT error FROM rule") == [(None,)]
    assert service.transitions()[-1][1] == "resolved"
