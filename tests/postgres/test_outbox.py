"""The outbox: who may tell what, in which order, and what becomes of it."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.alerting.notice import decode
from monitor.postgres import outbox
from monitor.postgres.database import Connection
from monitor.postgres.outbox import Batch, Health
from tests.postgres.plans import nodes, plan
from tests.postgres.queueing import let_pass, queue, states, story
from tests.postgres.sessions import another

LEASE = timedelta(minutes=2)
SHORT = timedelta(seconds=3)


def leased(connection: Connection, channel: str = "slack") -> Batch:
    found = outbox.lease(connection, channel, LEASE)
    assert found is not None
    return found


def kinds(batch: Batch) -> list[str]:
    return [decode(body).kind for body in batch.bodies]


def test_all_that_waits_of_an_incident_is_told_together_and_of_no_other_incident(connection: Connection) -> None:
    queue(connection, story("fired", "a"), "slack")
    queue(connection, story("fired", "b"), "slack")
    queue(connection, story("changed", "a", "de", "fr"), "slack", after=timedelta(hours=1))
    queue(connection, story("resolved", "a"), "slack", "mail")
    first, second = leased(connection), leased(connection)
    assert (first.incident, kinds(first)) == ("a", ["fired", "changed", "resolved"])
    assert (second.incident, kinds(second)) == ("b", ["fired"])
    assert outbox.lease(connection, "slack", LEASE) is None
    assert kinds(leased(connection, "mail")) == ["resolved"]


def test_what_is_not_due_yet_waits_and_an_end_does_not_wait_for_it(connection: Connection) -> None:
    queue(connection, story("fired"), "slack", after=timedelta(seconds=30))
    assert outbox.lease(connection, "slack", LEASE) is None
    queue(connection, story("resolved"), "slack")
    assert kinds(leased(connection)) == ["fired", "resolved"]


def test_after_a_death_the_same_notices_are_told_with_the_same_key_and_later_ones_wait(connection: Connection) -> None:
    queue(connection, story("fired"), "slack", after=timedelta(hours=1))
    queue(connection, story("changed"), "slack")
    dead = leased(connection)
    queue(connection, story("resolved"), "slack")
    assert outbox.lease(connection, "slack", LEASE) is None, "somebody may still be telling the first"
    let_pass(connection, ["lease_until"])
    again = leased(connection)
    assert (again.key, again.notices, again.attempts) == (dead.key, dead.notices, 2)
    outbox.mark_told(connection, again, None, None)
    later = leased(connection)
    assert kinds(later) == ["resolved"]
    assert later.key != dead.key


def test_an_outage_ends_in_one_message_and_news_does_not_shorten_the_wait(connection: Connection) -> None:
    queue(connection, story("fired"), "slack")
    outbox.put_off(connection, leased(connection), timedelta(minutes=1), None, "HTTP 503")
    queue(connection, story("resolved"), "slack")
    assert outbox.lease(connection, "slack", LEASE) is None
    let_pass(connection, ["due_at"])
    assert kinds(leased(connection)) == ["fired", "resolved"]


def test_a_key_names_channel_incident_and_what_is_told_and_nothing_runs_into_another() -> None:
    keys = [("a", "b", 1), ("a", "b", 2), ("ab", "", 1), ("", "ab", 1), ("a", "b1", 1)]
    assert len({outbox.batch_key(*key) for key in keys}) == len(keys)
    assert outbox.batch_key("a", "b", 1) == outbox.batch_key("a", "b", 1)


def test_two_processes_never_tell_one_incident_at_a_time(connection: Connection) -> None:
    for number in range(3):
        queue(connection, story("fired", f"i{number}"), "slack")
    with another(connection) as other:
        taken = [outbox.lease(each, "slack", LEASE) for each in (connection, other, connection, other)]
    assert sorted(batch.incident for batch in taken if batch is not None) == ["i0", "i1", "i2"]
    assert taken.count(None) == 1


def test_whoever_is_about_to_lease_is_not_waited_for(connection: Connection) -> None:
    queue(connection, story("fired", "a"), "slack")
    queue(connection, story("fired", "b"), "slack")
    with another(connection) as other, other.transaction():
        assert leased(other).incident == "a"
        assert leased(connection).incident == "b", "the first is not committed yet"


def test_what_another_took_between_the_look_and_the_lock_is_not_taken_too(connection: Connection) -> None:
    queue(connection, story("fired", "a"), "slack")
    with another(connection) as other:
        leased(other)
    with connection.transaction():
        assert outbox._leased(connection, "slack", "a", LEASE) is None


def test_who_says_it_was_told_when_it_was_marked_already_changes_nothing(connection: Connection) -> None:
    queue(connection, story("fired"), "slack")
    late = leased(connection)
    let_pass(connection, ["lease_until"])
    outbox.mark_told(connection, leased(connection), "C1/2.0", None)
    queue(connection, story("fired", "b"), "slack")
    outbox.put_off(connection, leased(connection), timedelta(minutes=1), None, "HTTP 500")
    outbox.mark_told(connection, late, "C1/1.0", None)
    assert connection.execute("SELECT reference FROM thread").fetchall() == [("C1/2.0",)]
    assert outbox.health(connection, "slack").failures == 1


@pytest.mark.parametrize("says_first", ["who told it", "who did not"])
def test_what_was_told_is_told_whoever_says_so_last(connection: Connection, says_first: str) -> None:
    queue(connection, story("fired"), "slack")
    late = leased(connection)
    let_pass(connection, ["lease_until"])
    second = leased(connection)
    if says_first == "who told it":
        outbox.mark_told(connection, late, "C1/1.0", None)
    outbox.put_off(connection, second, timedelta(minutes=1), None, "HTTP 500")
    if says_first == "who did not":
        outbox.mark_told(connection, late, "C1/1.0", None)
    assert states(connection, "slack") == ["told"]
    assert outbox.health(connection, "slack") == Health()


@pytest.mark.parametrize("why", ["they are being told", "they wait for another attempt"])
def test_incidents_that_nobody_may_tell_now_hide_no_other_one(connection: Connection, why: str) -> None:
    for number in range(20):
        queue(connection, story("fired", f"i{number}"), "slack")
        batch = leased(connection)
        if why == "they wait for another attempt":
            outbox.put_off(connection, batch, timedelta(hours=1), None, "HTTP 503")
    for number in range(20):
        queue(connection, story("resolved", f"i{number}"), "slack")
    queue(connection, story("fired", "other"), "slack")
    assert leased(connection).incident == "other"


@pytest.mark.parametrize("outcome", ["put off", "dead", "refused"])
def test_a_verdict_that_comes_after_the_end_of_its_lease_counts_for_nothing(
    connection: Connection, outcome: str
) -> None:
    queue(connection, story("fired"), "slack")
    late = leased(connection)
    let_pass(connection, ["lease_until"])
    leased(connection)
    match outcome:
        case "put off":
            outbox.put_off(connection, late, timedelta(0), None, "no")
        case "dead":
            outbox.mark_dead(connection, late, ["mail"], "no")
        case _:
            outbox.mark_refused(connection, late, ["mail"], "no", timedelta(minutes=10))
    assert (states(connection, "slack"), states(connection, "mail")) == (["waiting"], [])
    assert outbox.health(connection, "slack") == Health()


def test_what_is_dead_is_raised_once_on_the_channels_of_the_fallback_route(connection: Connection) -> None:
    queue(connection, story("fired"), "slack", "mail")
    queue(connection, story("changed", "incident", "de", "fr"), "slack")
    outbox.mark_dead(connection, leased(connection), ["slack", "mail", "pager"], "HTTP 400")
    assert states(connection, "slack") == ["dead", "dead"]
    assert states(connection, "mail") == ["waiting", "waiting"]
    assert kinds(leased(connection, "pager")) == ["fired", "changed"]
    assert kinds(leased(connection, "mail")) == ["fired", "changed"]
    assert not outbox.health(connection, "slack").refuses


def test_a_channel_that_failed_five_times_in_a_row_is_closed_and_then_tried_once_at_a_time(
    connection: Connection,
) -> None:
    for number in range(8):
        queue(connection, story("fired", f"i{number}"), "slack")
    for failures in range(5):
        assert outbox.health(connection, "slack") == Health(failures=failures, error="HTTP 503" if failures else None)
        outbox.put_off(connection, leased(connection), timedelta(minutes=1), None, "HTTP 503")
    closed = outbox.health(connection, "slack")
    assert not closed.is_open
    assert closed.is_on_trial
    let_pass(connection, ["closed_until"])
    assert outbox.health(connection, "slack").is_open
    with another(connection) as other:
        trial = outbox.lease(connection, "slack", LEASE, on_trial=True)
        assert trial is not None
        assert outbox.lease(other, "slack", LEASE, on_trial=True) is None
        assert not outbox.health(other, "slack").is_open
        outbox.put_off(connection, trial, timedelta(minutes=1), None, "HTTP 503")
        assert not outbox.health(other, "slack").is_open
        let_pass(connection, ["closed_until"])
        trial = outbox.lease(other, "slack", LEASE, on_trial=True)
        assert trial is not None
        outbox.mark_told(other, trial, None, None)
    assert outbox.health(connection, "slack") == Health()


def test_a_wait_that_the_receiver_asks_for_closes_the_channel_at_once(connection: Connection) -> None:
    queue(connection, story("fired"), "slack")
    outbox.put_off(connection, leased(connection), SHORT, SHORT, "HTTP 429")
    assert not outbox.health(connection, "slack").is_open


def test_so_does_one_that_it_asks_for_after_it_failed_before(connection: Connection) -> None:
    for incident, closed_for in (("a", None), ("b", timedelta(minutes=1))):
        queue(connection, story("fired", incident), "slack")
        outbox.put_off(connection, leased(connection), timedelta(minutes=1), closed_for, "HTTP 429")
    assert not outbox.health(connection, "slack").is_open


def test_a_channel_that_says_no_to_one_notice_has_answered_and_is_well(connection: Connection) -> None:
    queue(connection, story("fired", "a"), "slack")
    outbox.put_off(connection, leased(connection), SHORT, None, "HTTP 500")
    queue(connection, story("fired", "b"), "slack")
    outbox.mark_dead(connection, leased(connection), [], "HTTP 400")
    assert outbox.health(connection, "slack") == Health()


def test_whoever_comes_too_late_for_the_trial_takes_nothing(connection: Connection) -> None:
    for incident in "ab":
        queue(connection, story("fired", incident), "slack")
    outbox.put_off(connection, leased(connection), SHORT, timedelta(minutes=1), "HTTP 429")
    assert outbox.lease(connection, "slack", LEASE, on_trial=True) is None
    assert leased(connection).attempts == 1


def test_a_channel_has_refused_since_it_refused_first(connection: Connection) -> None:
    since = []
    for incident in "ab":
        queue(connection, story("fired", incident), "slack")
        outbox.mark_refused(connection, leased(connection), [], "invalid_auth", timedelta(minutes=10))
        since.append(connection.execute("SELECT refused_at FROM channel").fetchone())
    assert since[0] == since[1] != (None,)


def test_a_refusal_lasts_until_a_success_or_until_it_is_forgiven(connection: Connection) -> None:
    for number in range(3):
        queue(connection, story("fired", f"i{number}"), "slack")
    outbox.mark_refused(connection, leased(connection), [], "invalid_auth", timedelta(minutes=10))
    assert outbox.health(connection, "slack") == Health(is_open=False, refuses=True, error="invalid_auth")
    outbox.mark_refused(connection, leased(connection), [], "invalid_auth", None)
    outbox.forgive(connection, ["slack"])
    assert outbox.health(connection, "slack") == Health(error="invalid_auth")
    outbox.mark_refused(connection, leased(connection), [], "invalid_auth", timedelta(0))
    queue(connection, story("fired", "i4"), "slack")
    trial = outbox.lease(connection, "slack", LEASE, on_trial=True)
    assert trial is not None
    outbox.mark_told(connection, trial, None, None)
    assert outbox.health(connection, "slack") == Health()


def test_a_thread_is_remembered_until_its_incident_is_over(connection: Connection) -> None:
    references = []
    for kind, kept in (("fired", "C1/1.0"), ("changed", "C1/1.0"), ("resolved", None), ("fired", "C1/2.0")):
        queue(connection, story(kind), "slack", "mail")  # type: ignore[arg-type]  # each is a kind
        batch = leased(connection)
        references.append(batch.reference)
        outbox.mark_told(connection, batch, kept, None)
    assert references == [None, "C1/1.0", "C1/1.0", None]
    assert leased(connection, "mail").reference is None


def test_a_flaw_of_what_was_told_is_kept(connection: Connection) -> None:
    queue(connection, story("fired"), "slack")
    outbox.mark_told(connection, leased(connection), None, "without the picture: HTTP 500")
    row = connection.execute("SELECT error, settled_at IS NOT NULL FROM delivery").fetchone()
    assert row == ("without the picture: HTTP 500", True)


def test_what_stands_is_the_last_that_a_channel_was_told_of_each_open_incident(connection: Connection) -> None:
    for key in ("a", "b"):
        queue(connection, story("fired", key), "am")
        outbox.mark_told(connection, leased(connection, "am"), None, None)
    queue(connection, story("changed", "a", "de", "fr"), "am")
    outbox.mark_told(connection, leased(connection, "am"), None, None)
    queue(connection, story("changed", "a", "it"), "am", after=timedelta(hours=1))
    assert {key: decode(body).kind for key, body in outbox.standing(connection, "am").items()} == {
        "a": "changed",
        "b": "fired",
    }
    assert [len(decode(body).alerts) for body in outbox.last_told(connection, "am", ["a"])] == [2]
    queue(connection, story("resolved", "b"), "am")
    assert set(outbox.standing(connection, "am")) == {"a"}


def test_only_channels_of_which_something_is_due_are_looked_after(connection: Connection) -> None:
    queue(connection, story("fired", "a"), "gone", after=timedelta(hours=1))
    assert outbox.due_channels(connection) == []
    queue(connection, story("fired", "b"), "gone")
    assert outbox.due_channels(connection) == ["gone"]


STEPS = st.lists(st.sampled_from(["queue", "tell", "die", "retry", "expire", "due"]), min_size=1, max_size=25)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(STEPS)
def test_whatever_happens_everything_is_told_in_order_and_nothing_twice_but_after_a_death(
    connection: Connection, steps: list[str]
) -> None:
    connection.execute("TRUNCATE incident, notice, delivery, thread, channel CASCADE")
    queued = deaths = 0
    told: list[list[int]] = []
    for step in [*steps, "expire", "due", "tell", "tell"]:
        match step:
            case "queue":
                queued += 1
                queue(connection, story("fired"), "slack")
            case "tell" | "die" | "retry":
                batch = outbox.lease(connection, "slack", LEASE)
                if batch is None:
                    continue
                if step == "retry":
                    outbox.put_off(connection, batch, timedelta(hours=1), None, "HTTP 500")
                    continue
                told.append(list(batch.notices))
                deaths += step == "die"
                if step == "tell":
                    outbox.mark_told(connection, batch, None, None)
            case "expire":
                let_pass(connection, ["lease_until"])
            case _:
                let_pass(connection, ["due_at"])
    assert states(connection, "slack") == ["told"] * queued
    said = [number for batch in told for number in batch]
    assert sorted(set(said)) == [number for (number,) in connection.execute("SELECT id FROM notice ORDER BY id")]
    assert len(told) - len({tuple(batch) for batch in told}) <= deaths
    for earlier, later in pairwise(told):
        assert later == earlier or later[0] > earlier[-1]


@pytest.mark.parametrize("statement", [outbox.DUE, outbox.WAITING, outbox.TAKEN, outbox.STANDING])
def test_the_cost_of_looking_does_not_grow_with_what_was_told(connection: Connection, statement: str) -> None:
    connection.execute(
        "INSERT INTO incident (key, rule, title, grouping, channels, state, firing, changed_at)"
        " SELECT 'i' || n, 'r', '', '[]', '{}', '{}', 0, now() FROM generate_series(1, 2000) AS n"
    )
    connection.execute(
        "INSERT INTO notice (incident, ord, kind, at, body)"
        " SELECT 'i' || 1 + n % 2000, n, 'fired', now(), '{}' FROM generate_series(1, 20000) AS n"
    )
    connection.execute(
        "INSERT INTO delivery (notice, channel, incident, ord, state, due_at)"
        " SELECT id, 'slack', incident, ord, CASE WHEN ord > 19900 THEN 'waiting' ELSE 'told' END, now() FROM notice"
    )
    connection.execute("ANALYZE incident, notice, delivery")
    chosen = plan(
        connection, statement.replace("FOR UPDATE OF d", ""), {"channel": "slack", "incident": "i7", "limit": 8}
    )
    whole = {str(node["Relation Name"]) for node in nodes(chosen) if node["Node Type"] == "Seq Scan"}
    assert not whole, f"reads all of {whole}"
