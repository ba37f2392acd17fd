"""The role deliver: every outcome in every state of a channel, and channels that keep out of each other's way."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.alerting.notice import Kind, Notice
from monitor.errors import Unavailable
from monitor.notify.slack import Picture
from monitor.postgres.database import Connection, connect
from monitor.workers.clock import wall_now
from tests.notify import pagerduty_fake, slack_fake
from tests.notify.alertmanager_fake import Instance
from tests.notify.receivers import Receiver, Reply, receiving
from tests.notify.slack_fake import Slack
from tests.postgres.queueing import queue, states, story
from tests.workers.delivering import deliver_process, delivering, put_rules, until


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def hook(receiver: Receiver) -> dict[str, object]:
    return {"kind": "webhook", "url": receiver.url}


def slack_channel(receiver: Receiver, **more: object) -> dict[str, object]:
    return {
        "kind": "slack",
        "token_env": "SLACK_TOKEN",
        "channel": slack_fake.CHANNEL,
        "base_url": f"{receiver.url}/api/",
        **more,
    }


def said(receiver: Receiver) -> list[tuple[str, str]]:
    """Of each request to a webhook: the incident, and whether it fires."""
    return [(body["groupKey"], body["status"]) for body in (json.loads(seen.body) for seen in receiver.seen)]


def settled(connection: Connection, channel: str = "hook") -> bool:
    return "waiting" not in states(connection, channel)


def told(connection: Connection, channel: str = "hook") -> bool:
    return set(states(connection, channel)) == {"told"}


REPLIES = {
    "delivered": Reply(200),
    "try again": Reply(503),
    "wait": Reply(429, headers={"Retry-After": "3600"}),
    "dead message": Reply(400),
    "dead channel": Reply(401),
}
ROWS = {
    # what the channel answers, in which state it is: what becomes of the delivery, and of the channel
    ("delivered", "open"): ("told", (0, False, False)),
    ("try again", "open"): ("waiting", (1, False, False)),
    ("wait", "open"): ("waiting", (1, True, False)),
    ("dead message", "open"): ("dead", (0, False, False)),
    ("dead channel", "open"): ("dead", (0, True, True)),
    ("delivered", "failing"): ("told", (0, False, False)),
    ("try again", "failing"): ("waiting", (5, True, False)),
    ("wait", "failing"): ("waiting", (5, True, False)),
    ("dead message", "failing"): ("dead", (0, False, False)),
    ("dead channel", "failing"): ("dead", (0, True, True)),
    ("delivered", "on trial"): ("told", (0, False, False)),
    ("try again", "on trial"): ("waiting", (7, True, False)),
    ("wait", "on trial"): ("waiting", (7, True, False)),
    ("dead message", "on trial"): ("dead", (0, False, False)),
    ("dead channel", "on trial"): ("dead", (0, True, True)),
    ("delivered", "closed"): ("waiting", (6, True, False)),
    ("delivered", "refusing"): ("dead", (0, True, True)),
    ("delivered", "refusing, on trial"): ("told", (0, False, False)),
    ("try again", "refusing, on trial"): ("waiting", (1, False, False)),
    ("dead message", "refusing, on trial"): ("dead", (0, False, False)),
    ("dead channel", "refusing, on trial"): ("dead", (0, True, True)),
}
BEFORE = {
    "open": None,
    "failing": (4, None, False),
    "on trial": (6, "-1 s", False),
    "closed": (6, "1 h", False),
    "refusing": (0, "1 h", True),
    "refusing, on trial": (0, "-1 s", True),
}


@pytest.mark.parametrize(("answer", "state"), ROWS)
def test_what_becomes_of_a_notice_and_its_channel(
    database: str, connection: Connection, answer: str, state: str
) -> None:
    expected, after = ROWS[answer, state]
    with receiving(lambda seen: REPLIES[answer]) as receiver, receiving() as last_resort:
        put_rules(connection, {"hook": hook(receiver), "last": hook(last_resort)}, fallback=["last"])
        with delivering(database):
            row = "SELECT FROM role WHERE name = 'deliver' AND (detail->>'channels')::int = 2"
            until(lambda: connection.execute(row).rowcount == 1, "it has read the rules")  # which forgives channels
            before = BEFORE[state]
            if before is not None:
                connection.execute(
                    "INSERT INTO channel (name, failures, closed_until, refused_at)"
                    " VALUES ('hook', %s, clock_timestamp() + %s::interval, CASE WHEN %s THEN now() END)",
                    before,
                )
            with connection.transaction():  # after so many attempts the next pause is longer than the test
                queue(connection, story("fired"), "hook")
                connection.execute("UPDATE delivery SET attempts = 9")
            attempted = "SELECT FROM delivery WHERE channel = 'hook' AND (attempts > 9 AND lease_until IS NULL)"
            if state == "closed":
                until(lambda: connection.execute("SELECT pg_sleep(0.3)").rowcount == 1, "some looks")
                assert receiver.seen == []
            else:
                until(lambda: connection.execute(attempted).rowcount == 1, "one attempt is over")
            found = connection.execute(
                "SELECT failures, coalesce(closed_until > clock_timestamp(), false), refused_at IS NOT NULL"
                " FROM channel WHERE name = 'hook'"
            ).fetchone()
            assert (states(connection, "hook"), found) == ([expected], after)
            if expected == "dead":
                until(lambda: told(connection, "last"), "it is raised")
                assert said(last_resort) == [("incident", "firing")]
            else:
                assert states(connection, "last") == []


def test_an_outage_ends_in_one_message_of_what_happened_meanwhile(database: str, connection: Connection) -> None:
    with receiving() as receiver:
        receiver.script += [Reply(503)] * 2
        put_rules(connection, {"hook": hook(receiver)})
        with delivering(database):
            queue(connection, story("fired"), "hook")
            until(lambda: len(receiver.seen) == 1, "a first attempt")
            queue(connection, story("changed", "incident", "de", "fr"), "hook")
            queue(connection, story("resolved", "incident", "de"), "hook")
            until(lambda: told(connection), "everything is told")
    digest = json.loads(receiver.seen[-1].body)
    assert digest["status"] == "resolved"
    assert {alert["labels"]["segment"]: alert["status"] for alert in digest["alerts"]} == {
        "lang=de": "resolved",
        "lang=fr": "resolved",
    }
    assert len(receiver.seen) == 3


def test_a_repeat_has_the_key_of_what_it_repeats_and_news_has_another(database: str, connection: Connection) -> None:
    with receiving() as receiver:
        receiver.script.append(Reply(500))
        put_rules(connection, {"hook": hook(receiver)})
        with delivering(database):
            queue(connection, story("fired"), "hook")
            until(lambda: told(connection), "it is told")
            queue(connection, story("resolved"), "hook")
            until(lambda: len(receiver.seen) == 3 and told(connection), "its end is told")
    first, again, news = (seen.headers["idempotency-key"] for seen in receiver.seen)
    assert first == again != news


def test_a_channel_that_hangs_and_is_flooded_does_not_hold_up_another(database: str, connection: Connection) -> None:
    with receiving(lambda seen: Reply(200, slowly=1.0)) as slow, receiving() as quick:
        put_rules(connection, {"slow": hook(slow), "quick": hook(quick)})
        for number in range(200):
            queue(connection, story("fired", f"flood {number}"), "slow")
        with delivering(database, timeout=5.0):
            until(lambda: bool(slow.seen), "the flood has begun")
            for number in range(50):
                queue(connection, story("fired", f"i{number}"), "quick")
            until(lambda: told(connection, "quick"), "the other channel is told")
            assert len(slow.seen) < 50, "they do not take turns"


def test_a_slack_thread_goes_on_until_the_incident_is_over(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", slack_fake.TOKEN)
    slack = Slack()
    with receiving(slack) as receiver:
        put_rules(connection, {"slack": slack_channel(receiver)})
        stories: tuple[tuple[Kind, ...], ...] = (("fired", "changed"), ("reminder", "resolved"), ("fired",))
        for kinds in stories:
            with delivering(database):  # a new process each time
                for kind in kinds:
                    queue(connection, story(kind), "slack")
                    until(lambda: told(connection, "slack"), f"{kind} is told")
    first, second = slack.messages
    assert [message["text"].split(" · ")[0] for message in slack.messages.values()] == ["RESOLVED", "FIRING"]
    assert [reply["text"].split(" · ")[0] for reply in slack.threads[first]] == ["CHANGED", "STILL FIRING", "RESOLVED"]
    assert second not in slack.threads


def test_an_incident_whose_end_nobody_was_told_begins_a_message_of_its_own_when_it_opens_again(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", slack_fake.TOKEN)
    slack = Slack()
    with receiving(slack) as receiver:
        put_rules(connection, {"slack": slack_channel(receiver)})
        queue(connection, story("fired"), "slack")
        with delivering(database):
            until(lambda: told(connection, "slack"), "told")
        queue(connection, story("resolved"), "slack")
        connection.execute("UPDATE delivery SET state = 'dropped' WHERE state = 'waiting'")
        queue(connection, story("fired"), "slack")
        with delivering(database):
            until(lambda: len(slack.messages) == 2, "a message of its own")
            assert slack.threads == {}
            queue(connection, story("resolved"), "slack")
            until(lambda: states(connection, "slack")[-1] == "told", "told")
    assert connection.execute("SELECT FROM thread").rowcount == 0, "what is over is continued by nothing"


def test_without_a_thread_each_notice_is_a_message_of_its_own(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", slack_fake.TOKEN)
    slack = Slack()
    with receiving(slack) as receiver:
        put_rules(connection, {"slack": slack_channel(receiver, thread=False)})
        with delivering(database):
            for kind in ("fired", "resolved"):
                queue(connection, story(kind), "slack")
                until(lambda: told(connection, "slack"), f"{kind} is told")
    assert (len(slack.messages), slack.threads) == (2, {})


def test_the_picture_comes_with_the_first_message_and_its_failure_holds_up_nothing(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", slack_fake.TOKEN)
    slack = Slack()

    def picture(notice: Notice) -> Picture | None:
        if notice.incident.key == "bad":
            raise Unavailable("no font is installed")
        return Picture(b"PNG", "Reliability", "a diagram")

    with receiving(slack) as receiver:
        slack.url = receiver.url
        put_rules(connection, {"slack": slack_channel(receiver), "plain": slack_channel(receiver, diagram=False)})
        with delivering(database, picture=picture):
            queue(connection, story("fired", "good"), "slack", "plain")
            until(lambda: told(connection, "slack") and told(connection, "plain"), "told")
            queue(connection, story("changed", "good"), "slack")
            queue(connection, story("fired", "bad"), "slack")
            until(lambda: told(connection, "slack"), "told")
    assert len(slack.shared) == 1
    row = connection.execute("SELECT error FROM delivery WHERE incident = 'bad'").fetchone()
    assert row == ("without the picture: no font is installed",)


def test_a_late_digest_closes_at_pagerduty_what_an_attempt_of_unknown_end_opened(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", pagerduty_fake.ROUTING_KEY)
    service = pagerduty_fake.Service()
    with receiving(service) as receiver:
        put_rules(connection, {"pager": {"kind": "pagerduty", "routing_key_env": "PAGER_KEY", "url": receiver.url}})
        service.open["incident"] = {}
        queue(connection, story("fired"), "pager")
        queue(connection, story("resolved"), "pager")
        queue(connection, story("reminder", "other"), "pager")
        with delivering(database):
            until(lambda: told(connection, "pager"), "told")
    assert (service.open, service.pages, len(service.changes)) == ({}, 0, 1)


def test_what_waits_for_a_channel_that_cannot_be_used_is_raised_and_told_once_it_can(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    with receiving() as receiver, receiving() as last_resort:
        put_rules(
            connection,
            {"hook": {"kind": "webhook", "url_file": str(secret)}, "last": hook(last_resort)},
            fallback=["last"],
        )
        with delivering(database) as reload:
            queue(connection, story("fired"), "hook", "gone")
            until(lambda: told(connection, "last"), "it is raised")
            assert (states(connection, "hook"), states(connection, "gone")) == (["dead"], ["dead"])
            reasons: dict[str, str] = dict(
                connection.execute("SELECT channel, error FROM delivery WHERE state = 'dead'").fetchall()
            )
            assert reasons == {
                "hook": f"channels.hook.url_file: {secret} cannot be read: No such file or directory",
                "gone": "there is no such channel in the rules in force",
            }
            secret.write_text(f"{receiver.url}\n")
            reload.set()
            query = "SELECT FROM role WHERE (detail->>'channels')::int = 2"
            until(lambda: connection.execute(query).rowcount == 1, "the secret is read")
            queue(connection, story("fired", "second"), "hook")
            until(lambda: said(receiver) == [("second", "firing")], "it is told")


def test_new_rules_are_taken_over_and_broken_ones_are_not(database: str, connection: Connection) -> None:
    with receiving() as first, receiving() as second:
        put_rules(connection, {"hook": hook(first)})
        with delivering(database):
            queue(connection, story("fired", "a"), "hook")
            until(lambda: told(connection), "told")
            connection.execute("INSERT INTO rule_set (digest, body, loaded_at) VALUES ('x', 'rules: what?', now())")
            queue(connection, story("fired", "b"), "hook")
            until(lambda: told(connection), "the rules before still hold")
            put_rules(connection, {"hook": hook(second)})
            queue(connection, story("fired", "c"), "hook", after=timedelta(seconds=2.5))
            until(lambda: told(connection), "told by the new ones")
    assert (said(first), said(second)) == ([("a", "firing"), ("b", "firing")], [("c", "firing")])


def test_a_notice_that_cannot_be_read_is_dead_and_the_next_one_is_told(database: str, connection: Connection) -> None:
    with receiving() as receiver:
        put_rules(connection, {"hook": hook(receiver)})
        bad = queue(connection, story("fired", "bad"), "hook")
        connection.execute("UPDATE notice SET body = '{\"version\": 9}' WHERE id = %s", (bad,))
        queue(connection, story("fired", "good"), "hook")
        with delivering(database):
            until(lambda: settled(connection), "both are settled")
    assert (states(connection, "hook"), said(receiver)) == (["dead", "told"], [("good", "firing")])


def test_alertmanager_hears_again_of_what_fires_and_not_of_what_is_over(database: str, connection: Connection) -> None:
    instance = Instance()
    with receiving(instance) as receiver:
        put_rules(connection, {"am": {"kind": "alertmanager", "urls": [receiver.url], "resend_every": "1s"}})
        with delivering(database):
            queue(connection, story("fired", "a", "de"), "am")
            queue(connection, story("fired", "b", "fr"), "am")
            until(lambda: told(connection, "am"), "told")
            queue(connection, story("resolved", "b", "fr"), "am")
            until(lambda: told(connection, "am"), "told")
            assert instance.firing(wall_now()) == 1
            ends = max(instance.ends.values())
            until(lambda: max(instance.ends.values()) > ends + timedelta(seconds=2), "it is told again, twice")
            assert instance.firing(wall_now()) == 1


def test_signs_of_life_are_given_while_rules_are_judged_and_no_longer(database: str, connection: Connection) -> None:
    instance = Instance()
    beats = "UPDATE evaluation SET evaluated_at = clock_timestamp() - %s::interval"
    with receiving() as receiver, receiving(instance) as manager:
        put_rules(
            connection,
            {"hook": hook(receiver), "am": {"kind": "alertmanager", "urls": [manager.url]}},
            heartbeat={"every": "1s", "notify": ["hook", "am"]},
        )
        with delivering(database):
            until(lambda: connection.execute("SELECT FROM role").rowcount == 1, "it runs")
            assert receiver.seen == [], "nothing was evaluated yet"
            connection.execute(beats, ("1 min",))
            until(lambda: len(receiver.seen) > 2 and len(instance.ends) == 2, "signs of life")
            connection.execute(beats, ("1 h",))
            until(lambda: connection.execute("SELECT pg_sleep(1.5)").rowcount == 1, "one more may be on its way")
            count = len(receiver.seen)
            until(lambda: connection.execute("SELECT pg_sleep(2)").rowcount == 1, "no more come")
            assert len(receiver.seen) == count
    alerts = [json.loads(labels)["alertname"] for labels in instance.ends]
    assert sorted(alerts) == ["CaldriftHeartbeat", "CaldriftSilent"]
    beats_of = json.loads(receiver.seen[-1].body)
    assert beats_of["alerts"][0]["labels"] == {"alertname": "CaldriftHeartbeat", "instance": "test", "severity": "info"}


def test_without_a_database_the_role_waits_and_says_so_and_stops_when_it_is_told(tmp_path: Path) -> None:
    with deliver_process("postgresql://nobody@127.0.0.1:1/nothing", tmp_path) as process:
        until(lambda: "does not answer" in (tmp_path / "deliver.log").read_text(), "it says what it waits for")
        process.terminate()
        assert process.wait(25) == 0


def test_the_role_stops_in_order_and_takes_back_its_sign_of_life(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    with receiving(lambda seen: Reply(200, slowly=1.0)) as receiver:
        put_rules(connection, {"hook": hook(receiver)})
        queue(connection, story("fired", "a"), "hook")
        with deliver_process(database, tmp_path) as process:
            until(lambda: len(receiver.seen) == 1, "an attempt is under way")
            process.terminate()
            assert process.wait(25) == 0
    assert states(connection, "hook") == ["told"]
    assert connection.execute("SELECT FROM role").rowcount == 0
