"""Rules about models and the service on a real Postgres: each fires and resolves, once, whoever leads."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from monitor.alerting import notice
from monitor.alerting.round import Look
from monitor.alerting.target import Target
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Said, Verdict
from monitor.postgres import monitored
from monitor.postgres.database import Connection, connect
from monitor.postgres.heartbeats import Process, beat, forget
from monitor.postgres.offsets import Reader, begin, note_high_waters, note_left
from monitor.postgres.rule_sets import put_rule_set
from monitor.workers.clock import wall_now
from monitor.workers.keeper import Keeping, Memory, keep
from monitor.workers.round import carry_out
from tests.alerting.rounds import KEPT, force_by
from tests.postgres.queueing import queue, story

HOUR = timedelta(hours=1)
READER = Reader("caldrift", "cluster")
RULES = """
rules:
  - name: {name}
    metric: {metric}
    enter: {enter}
    for: 0s
    keep_firing_for: 0s
    {more}
routes: {{team: {{notify: [hook], group_by: [rule, model]}}}}
channels: {{hook: {{kind: webhook, url: "http://127.0.0.1:1/"}}}}
"""


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


class Keeper:
    """A keeper, and what came of its rounds."""

    def __init__(self, connection: Connection, text: str) -> None:
        self.connection, self.memory = connection, Memory()
        self.keeping = Keeping("", KEPT, timedelta(minutes=5), "https://caldrift.example")
        self.put(text)

    def put(self, text: str) -> None:
        put_rule_set(self.connection, text, wall_now())

    def keep(self) -> list[tuple[str, str]]:
        """A round: the model of each alert that changed its state, and why."""
        changes = keep(self.connection, self.keeping, self.memory)
        found = [(change.after.target.model, change.decision.transition) for change in changes]
        return [(model, transition.reason) for model, transition in found if transition is not None]

    def told(self) -> list[tuple[str, str]]:
        rows = self.connection.execute("SELECT body::text FROM notice WHERE incident <> 'stuck' ORDER BY id").fetchall()
        notices = [notice.decode(body) for (body,) in rows]
        return [(one.kind, one.alerts[0].summary) for one in notices]


def rules(metric: str = "evaluation_late", enter: str = "1h", name: str = "A", more: str = "") -> str:
    return RULES.format(name=name, metric=metric, enter=enter, more=more)


def evaluated(connection: Connection, at: datetime) -> None:
    connection.execute("UPDATE evaluation SET evaluated_at = %s", (at,))


def model_of(connection: Connection, model: str, labelled_at: datetime) -> None:
    connection.execute(
        "INSERT INTO series (model, signal, segment, segment_text, created_at)"
        " VALUES (%s, 'confidence', '{}', '{}', %s)",
        (model, labelled_at),
    )
    monitored.note_arrivals(connection, {model}, {model}, labelled_at)


def labels_come_late(connection: Connection) -> None:
    model_of(connection, "m", wall_now() - 60 * HOUR)
    monitored.note_arrivals(connection, {"m"}, set(), wall_now())


def recalibrated(connection: Connection, at: datetime) -> None:
    connection.execute(
        "INSERT INTO recalibration (model, signal, cause, due_at, at, outcome, sentence, body)"
        " VALUES ('m', 'confidence', 'schedule', %s, %s, 'kept', 'kept the old map', 'null')",
        (at, at),
    )


def it_was_recalibrated_long_ago(connection: Connection) -> None:
    recalibrated(connection, wall_now() - timedelta(days=70))


def it_is_recalibrated(connection: Connection) -> None:
    recalibrated(connection, wall_now())


def messages_wait(connection: Connection) -> None:
    begin(connection, READER, {("predictions", 0): 0}, {("predictions", 0): 0})
    note_high_waters(connection, READER, {("predictions", 0): 20}, wall_now() - HOUR)


def messages_are_bad(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO dead_letter (topic, part, kafka_offset, reason, message, received_at)"
        " SELECT 'predictions', 0, n, 'schema', 'bad', now() FROM generate_series(1, 11) AS n"
    )


def nothing_is_evaluated(connection: Connection) -> None:
    evaluated(connection, wall_now() - 2 * HOUR)


def a_notice_waits(connection: Connection) -> None:
    queue(connection, story("fired", "stuck"), "slack")
    connection.execute("UPDATE incident SET firing = 0")  # only its notice counts here
    connection.execute("UPDATE delivery SET due_at = now() - interval '1 h'")


def labels_come(connection: Connection) -> None:
    monitored.note_arrivals(connection, set(), {"m"}, wall_now())


def messages_are_applied(connection: Connection) -> None:
    connection.execute("UPDATE kafka_offset SET next_offset = high_water, waits_since = NULL")


def messages_are_old(connection: Connection) -> None:
    connection.execute("UPDATE dead_letter SET received_at = now() - interval '25 h'")


def it_is_evaluated(connection: Connection) -> None:
    evaluated(connection, wall_now())


def the_notice_is_told(connection: Connection) -> None:
    connection.execute("UPDATE delivery SET state = 'told' WHERE channel = 'slack'")


def a_promise_breaks(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO certificate (model, signal, segment_text, also, parts, side, target, delta, threshold, n,"
        " accuracy, bound, deployed_at, deployed_by, watched_to, seen_n, shortfall) SELECT 'm', 'confidence', '{}',"
        " '{}', '{\"{}\"}', 'accept', 0.95, 0.05, 0.9, 400, 0.98, 0.955, now(), 'ann', now(), 500, shortfall"
        " FROM unnest(ARRAY[-0.01, 0.03]) AS each (shortfall)"
    )


def it_is_retired(connection: Connection) -> None:
    connection.execute("UPDATE certificate SET retired_at = now(), retired_by = 'ann' WHERE shortfall > 0")


Deed = Callable[[Connection], None]
METRICS: dict[str, tuple[str, Deed, Deed, str]] = {
    "labels_stale": ("48h", labels_come_late, labels_come, "A: labels_stale is 60h (m)"),
    "recalibration_late": ("62d", it_was_recalibrated_long_ago, it_is_recalibrated, "A: recalibration_late is 70d (m)"),
    "certificate_breach": ("0", a_promise_breaks, it_is_retired, "A: certificate_breach is 0.03 (m)"),
    "intake_stopped": ("10m", messages_wait, messages_are_applied, "A: intake_stopped is 1h"),
    "consumer_lag": ("15", messages_wait, messages_are_applied, "A: consumer_lag is 20"),
    "dead_letters": ("10", messages_are_bad, messages_are_old, "A: dead_letters is 11"),
    "evaluation_late": ("1h", nothing_is_evaluated, it_is_evaluated, "A: evaluation_late is 2h"),
    "outbox_stuck": ("30m", a_notice_waits, the_notice_is_told, "A: outbox_stuck is 1h"),
}


@pytest.mark.parametrize("metric", METRICS)
def test_each_rule_about_the_monitor_fires_is_told_and_resolves(connection: Connection, metric: str) -> None:
    enter, goes_wrong, gets_well, said = METRICS[metric]
    model = "m" if metric in {"labels_stale", "certificate_breach", "recalibration_late"} else ""
    keeper = Keeper(connection, rules(metric, enter))
    assert keeper.keep() == []
    goes_wrong(connection)
    assert keeper.keep() == [(model, "fired")]
    assert keeper.keep() == []
    gets_well(connection)
    assert keeper.keep() == [(model, "resolved")]
    assert [kind for kind, _ in keeper.told()] == ["fired", "resolved"]
    assert keeper.told()[0][1].startswith(said)
    assert connection.execute("SELECT state_name, hushed FROM alert").fetchall() == [("ok", None)]
    assert connection.execute("SELECT name, judged, insufficient FROM rule").fetchall() == [("A", 1, 0)]


def test_that_nobody_reads_is_noticed_though_the_last_who_did_ended_in_order(connection: Connection) -> None:
    keeper, process = Keeper(connection, rules("intake_stopped", "10m")), Process("ingest", 1, "here")
    messages_wait(connection)
    messages_are_applied(connection)
    beat(connection, process, {})
    assert keeper.keep() == []
    note_left(connection, READER, wall_now() - HOUR)
    assert keeper.keep() == [], "another still reads"
    forget(connection, process)
    assert keeper.keep() == [("", "fired")]
    assert keeper.told()[0][1].startswith("A: intake_stopped is 1h")
    beat(connection, process, {})
    assert keeper.keep() == [("", "resolved")]


def test_a_leader_that_stands_still_is_noticed_by_whoever_tells(connection: Connection) -> None:
    """Nothing here leads: no epoch is taken and nothing but the clock goes on."""
    keeper = Keeper(connection, rules())
    evaluated(connection, wall_now() - HOUR + timedelta(minutes=1))
    assert keeper.keep() == []
    evaluated(connection, wall_now() - HOUR - timedelta(minutes=1))
    assert keeper.keep() == [("", "fired")]


def test_of_what_nobody_ever_saw_nothing_is_said(connection: Connection) -> None:
    keeper = Keeper(connection, "defaults: {on_insufficient_data: alert}\n" + rules())
    assert keeper.keep() == []
    assert connection.execute("SELECT judged, insufficient FROM rule").fetchall() == [(1, 1)]


def test_of_two_keepers_at_once_one_judges(connection: Connection, database: str) -> None:
    first = Keeper(connection, rules())
    nothing_is_evaluated(connection)
    with connect(database, "test") as other:
        second = Keeper(other, rules())
        with connection.transaction():
            assert first.keep() == [("", "fired")]
            assert second.keep() == []
            assert other.execute("SELECT count(*) FROM alert").fetchone() == (0,)
        assert second.keep() == []
        it_is_evaluated(connection)
        assert second.keep() == [("", "resolved")]
        assert first.keep() == []
    assert connection.execute("SELECT number, reason FROM alert_transition ORDER BY number").fetchall() == [
        (1, "fired"), (2, "resolved"),
    ]  # fmt: skip
    assert [kind for kind, _ in first.told()] == ["fired", "resolved"]


@pytest.mark.parametrize(
    ("text", "reason", "remark"),
    [
        (rules("labels_stale", "48h", "B"), "rule ended", "the rule is gone, or off"),
        (rules("labels_stale", "48h", more="mode: 'off'"), "rule ended", "the rule is gone, or off"),
        (rules("labels_stale", "48h", more='select: {model: "!m"}'), "series ended", "does not select the model"),
        (rules("dead_letters", "100"), "rule ended", "the rule is about something else now"),
        (rules("ece", "0.4", more="min_labelled: 500"), "rule ended", "the rule is about something else now"),
    ],
)
def test_an_alert_ends_and_says_why_where_no_rule_looks_at_its_model_any_longer(
    connection: Connection, text: str, reason: str, remark: str
) -> None:
    keeper = Keeper(connection, rules("labels_stale", "48h"))
    labels_come_late(connection)
    assert keeper.keep() == [("m", "fired")]
    keeper.put(text)
    changed = keeper.keep()
    assert ("m", reason) in changed
    rows = connection.execute("SELECT body::text FROM notice WHERE kind = 'resolved'").fetchall()
    (ended,) = (notice.decode(body) for (body,) in rows)
    assert remark in str(ended.alerts[0].remark)
    assert changed[:-1] == ([("m", "fired")] if "name: B" in text else [])


def test_an_alert_of_a_model_that_is_gone_ends(connection: Connection) -> None:
    keeper = Keeper(connection, rules("labels_stale", "48h"))
    labels_come_late(connection)
    assert keeper.keep() == [("m", "fired")]
    connection.execute("DELETE FROM arrival")
    assert keeper.keep() == [("m", "series ended")]
    assert [kind for kind, _ in keeper.told()] == ["fired", "resolved"]


def test_a_problem_of_the_service_that_comes_back_goes_on_in_the_history_of_its_alert(connection: Connection) -> None:
    keeper = Keeper(connection, rules())
    for _ in range(3):
        nothing_is_evaluated(connection)
        assert keeper.keep() == [("", "fired")]
        it_is_evaluated(connection)
        assert keeper.keep() == [("", "resolved")]
    assert [kind for kind, _ in keeper.told()] == ["fired", "resolved"] * 3
    assert connection.execute("SELECT array_agg(number ORDER BY number) FROM alert_transition").fetchone() == (
        [1, 2, 3, 4, 5, 6],
    )


def test_rules_that_this_process_cannot_read_leave_those_before_in_force(connection: Connection) -> None:
    keeper = Keeper(connection, rules())
    nothing_is_evaluated(connection)
    assert keeper.keep() == [("", "fired")]
    keeper.put("rules: [{name: A, metric: of a later version, enter: 1}]")
    assert keeper.keep() == []
    it_is_evaluated(connection)
    assert keeper.keep() == [("", "resolved")]


def show(connection: Connection, at: datetime) -> None:
    """Have the service's clock show an instant, and run an hour in a second."""
    connection.execute(
        "UPDATE installation SET clock_epoch_at = %s, clock_started_at = clock_timestamp(), clock_rate = 3600", (at,)
    )


def test_on_a_clock_that_runs_fast_a_wait_counts_from_round_to_round_and_a_route_waits_less(
    connection: Connection,
) -> None:
    """Between two rounds, 5 s apart, five hours pass: no longer than two evaluations, so all of them count."""
    keeper = Keeper(connection, rules().replace("for: 0s", "for: 8h"))
    start = wall_now()
    evaluated(connection, start - 2 * HOUR)
    reasons = []
    for round_ in range(3):
        show(connection, start + round_ * 5 * HOUR)
        reasons.append(keeper.keep())
    assert reasons == [[("", "pending")], [], [("", "fired")]]
    assert connection.execute(
        "SELECT round(extract(epoch FROM d.due_at - n.queued_at), 4)::float8 FROM delivery AS d"
        " JOIN notice AS n ON n.id = d.notice"
    ).fetchall() == [(pytest.approx(30 / 3600, abs=1e-4),)]


def test_an_alert_follows_a_route_that_groups_in_another_way(connection: Connection) -> None:
    keeper = Keeper(connection, rules("labels_stale", "48h"))
    labels_come_late(connection)
    keeper.keep()
    keeper.put(rules("labels_stale", "48h").replace("group_by: [rule, model]", "group_by: [rule]"))
    assert keeper.keep() == []
    assert connection.execute(
        "SELECT i.grouping, i.firing, array_agg(n.kind ORDER BY n.ord) FROM incident AS i"
        " JOIN notice AS n ON n.incident = i.key GROUP BY i.key ORDER BY i.firing"
    ).fetchall() == [([["model", "m"], ["rule", "A"]], 0, ["fired", "resolved"]), ([["rule", "A"]], 1, ["fired"])]


def test_what_fires_on_a_series_inhibits_a_rule_about_its_model(connection: Connection) -> None:
    text = rules("labels_stale", "48h").replace("rules:", "rules:\n  - {name: Gap, metric: ece, enter: 0.5}")
    text += "inhibit: [{when: {rule: Gap}, mute: {rule: A}}]\n"
    keeper = Keeper(connection, text)
    labels_come_late(connection)
    force = force_by(text)
    fires = Look(
        rule="Gap",
        severity="error",
        terms=Terms(wait=timedelta(0), for_new_labels=0),
        target=Target("series", "m", "confidence", "{}", "", "7d", 1),
        verdict=Verdict("crossed", Said(as_of=wall_now(), reason="a test")),
    )
    with connection.transaction():
        carry_out(connection, force, [fires], {}, wall_now())
    assert keeper.keep() == [("m", "fired")]
    assert connection.execute("SELECT hushed FROM alert WHERE rule = 'A'").fetchall() == [("inhibited by Gap",)]
    assert connection.execute("SELECT count(*) FROM incident WHERE rule = 'A'").fetchone() == (0,)


def test_an_incident_says_when_it_was_opened_last_and_closed_only_while_it_is(connection: Connection) -> None:
    keeper, start, found = Keeper(connection, rules()), wall_now(), []
    for hours, evaluated_at in ((3, 0), (5, 5), (8, 5)):
        show(connection, start + hours * HOUR)
        evaluated(connection, start + evaluated_at * HOUR)
        assert len(keeper.keep()) == 1
        found += connection.execute("SELECT opened_at, closed_at FROM incident").fetchall()
    hours_of = [[None if at is None else round((at - start) / HOUR) for at in row] for row in found]
    assert hours_of == [[3, None], [3, 5], [8, None]]


def test_news_of_an_open_incident_wait_until_the_interval_of_the_route_is_over(connection: Connection) -> None:
    keeper = Keeper(connection, rules("labels_stale", "48h").replace("group_by: [rule, model]", "group_by: [rule]"))
    labels_come_late(connection)
    assert keeper.keep() == [("m", "fired")]
    model_of(connection, "n", wall_now() - 60 * HOUR)
    monitored.note_arrivals(connection, {"n"}, set(), wall_now())
    assert keeper.keep() == [("n", "fired")]
    (first,), (second,) = connection.execute("SELECT queued_at FROM notice ORDER BY ord").fetchall()
    assert connection.execute("SELECT due_at FROM delivery ORDER BY ord").fetchall() == [
        (first + timedelta(seconds=30),), (first + timedelta(minutes=5),),
    ]  # fmt: skip
    assert second < first + timedelta(minutes=5)


def test_on_a_clock_that_runs_fast_news_wait_a_shorter_while(connection: Connection) -> None:
    keeper = Keeper(connection, rules("labels_stale", "48h").replace("group_by: [rule, model]", "group_by: [rule]"))
    show(connection, wall_now())
    for model in "mn":
        model_of(connection, model, wall_now() - 60 * HOUR)
        monitored.note_arrivals(connection, {model}, set(), wall_now())
        assert keeper.keep() == [(model, "fired")]
    waits = "SELECT max(d.due_at) < min(n.queued_at) + interval '1 min' FROM delivery AS d, notice AS n"
    assert connection.execute(waits.encode()).fetchone() == (True,)


def test_pagerduty_is_not_reminded_of_what_it_reminds_people_of(connection: Connection) -> None:
    text = rules(more="repeat_every: 6h").replace("notify: [hook]", "notify: [hook, pager]")
    keeper, start = (
        Keeper(connection, text.replace("{hook: {", "{pager: {kind: pagerduty, routing_key_env: K}, hook: {")),
        wall_now(),
    )
    evaluated(connection, start)
    for hours in (3, 12):
        show(connection, start + hours * HOUR)
        keeper.keep()
    assert connection.execute(
        "SELECT n.kind, array_agg(d.channel ORDER BY d.channel) FROM notice AS n JOIN delivery AS d ON d.notice = n.id"
        " GROUP BY n.id ORDER BY n.id"
    ).fetchall() == [("fired", ["hook", "pager"]), ("reminder", ["hook"])]
