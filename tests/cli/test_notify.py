"""`caldrift notify test` and `caldrift outbox`: what comes of a notice, in words and exit codes."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from monitor.postgres import outbox
from monitor.postgres.database import Connection, connect
from tests.cli.commands import Run
from tests.notify import pagerduty_fake
from tests.notify.receivers import Reply, receiving
from tests.postgres.queueing import queue, states, story


@pytest.fixture
def connection(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A database of its own, which the command finds in its environment."""
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    with connect(database, "test") as connected:
        yield connected


def write_rules(folder: Path, **channels: Mapping[str, object]) -> str:
    path = folder / "alerts.yaml"
    rule = {"name": "EceHigh", "metric": "ece", "enter": 0.05, "min_labelled": 2000}
    path.write_text(yaml.safe_dump({"rules": [rule], "channels": channels}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, (0, "hook: delivered\n")),
        (503, (3, "caldrift: hook: not now: HTTP 503\n")),
        (401, (2, "channels.hook: refused: HTTP 401\n")),
        (400, (2, "channels.hook: refused: HTTP 400\n")),
    ],
)
def test_a_test_notice_says_what_came_of_it(
    caldrift: Run, connection: Connection, tmp_path: Path, status: int, expected: tuple[int, str]
) -> None:
    with receiving(lambda seen: Reply(status)) as receiver:
        rules = write_rules(tmp_path, hook={"kind": "webhook", "url": receiver.url})
        done = caldrift("notify", "test", "hook", "--rules", rules)
    assert (done.returncode, done.stdout + done.stderr) == expected
    assert json.loads(receiver.seen[0].body)["alerts"][0]["labels"]["alertname"] == "CaldriftTest"


def test_a_test_opens_an_incident_at_pagerduty_and_closes_it(
    caldrift: Run, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER_KEY", pagerduty_fake.ROUTING_KEY)
    service = pagerduty_fake.Service()
    with receiving(service) as receiver:
        pager = {"kind": "pagerduty", "routing_key_env": "PAGER_KEY", "url": receiver.url}
        done = caldrift("notify", "test", "pager", "--rules", write_rules(tmp_path, pager=pager))
    assert (done.returncode, service.pages, service.open) == (0, 1, {})


def test_a_channel_without_its_secret_or_of_no_name_is_named(caldrift: Run, tmp_path: Path) -> None:
    rules = write_rules(tmp_path, hook={"kind": "webhook", "url_env": "NOBODY_SET_THIS"})
    done = caldrift("notify", "test", "hook", "--rules", rules)
    said = "channels.hook.url_env: the variable NOBODY_SET_THIS is not set, or empty, where caldrift deliver runs\n"
    assert (done.returncode, done.stderr) == (2, said)
    done = caldrift("notify", "test", "hok", "--rules", rules)
    assert (done.returncode, done.stderr) == (
        2,
        'caldrift: CHANNEL must be one of channels, got "hok"; did you mean hook?\n',
    )


def test_a_test_that_arrives_ends_what_the_service_thinks_of_the_channel(
    caldrift: Run, connection: Connection, tmp_path: Path
) -> None:
    connection.execute(
        "INSERT INTO channel (name, refused_at, closed_until) VALUES ('hook', now(), now() + interval '1 h')"
    )
    with receiving() as receiver:
        rules = write_rules(tmp_path, hook={"kind": "webhook", "url": receiver.url})
        assert caldrift("notify", "test", "hook", "--rules", rules).returncode == 0
    assert outbox.health(connection, "hook") == outbox.Health()


def test_a_test_needs_no_service(caldrift: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", "postgresql://nobody@127.0.0.1:1/nothing")
    with receiving() as receiver:
        rules = write_rules(tmp_path, hook={"kind": "webhook", "url": receiver.url})
        done = caldrift("notify", "test", "hook", "--rules", rules)
    assert (done.returncode, done.stdout) == (0, "hook: delivered\n")
    assert "the service was not told that the channel works" in done.stderr


def kill_off(connection: Connection, channel: str = "hook") -> None:
    """Have the channel refuse what waits for it."""
    while (batch := outbox.lease(connection, channel, timedelta(minutes=1))) is not None:
        outbox.mark_dead(connection, batch, [], "HTTP 400")


def test_the_list_shows_what_waits_and_what_is_dead_and_why(caldrift: Run, connection: Connection) -> None:
    dead = queue(connection, story("fired", "a"), "hook")
    kill_off(connection)
    waiting = queue(connection, story("changed", "a"), "hook", "mail")
    batch = outbox.lease(connection, "mail", timedelta(minutes=1))
    assert batch is not None
    outbox.mark_told(connection, batch, None, None)
    lines = caldrift("outbox", "list", "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [(each["notice"], each["channel"], each["state"], each["error"]) for each in found] == [
        (waiting, "hook", "waiting", None),
        (dead, "hook", "dead", "HTTP 400"),
    ]
    told = caldrift("outbox", "list", "--state", "told")
    assert "mail  changed  EceHigh: a  told" in told.stdout
    assert told.stderr == "1 shown; in the outbox: 1 waiting, 1 dead\n"
    assert caldrift("outbox", "list", "--state", "lost").returncode == 2


def test_what_is_dead_is_tried_again_unless_the_channel_was_told_more_of_its_incident(
    caldrift: Run, connection: Connection
) -> None:
    old = queue(connection, story("fired", "a"), "hook")
    kill_off(connection)
    queue(connection, story("resolved", "a"), "hook")
    batch = outbox.lease(connection, "hook", timedelta(minutes=1))
    assert batch is not None
    outbox.mark_told(connection, batch, None, None)
    queue(connection, story("fired", "b"), "hook")
    kill_off(connection)
    assert caldrift("outbox", "retry", "--channel", "hook").stdout == "1 to be tried now\n"
    assert states(connection, "hook") == ["dead", "told", "waiting"]
    assert caldrift("outbox", "retry", str(old)).stdout == "0 to be tried now\n"
    rows = connection.execute("SELECT did, detail FROM audit").fetchall()
    assert rows == [("outbox retry", {"channels": ["hook"], "deliveries": 1, "notices": []})]


def test_a_retry_ends_the_wait_and_the_refusal_of_the_channel(caldrift: Run, connection: Connection) -> None:
    queue(connection, story("fired", "a"), "hook")
    batch = outbox.lease(connection, "hook", timedelta(minutes=1))
    assert batch is not None
    outbox.put_off(connection, batch, timedelta(hours=1), timedelta(hours=1), "HTTP 429")
    assert outbox.lease(connection, "hook", timedelta(minutes=1)) is None
    assert caldrift("outbox", "retry", "--all").returncode == 0
    assert outbox.health(connection, "hook").is_open
    assert outbox.lease(connection, "hook", timedelta(minutes=1)) is not None


def test_what_is_dropped_is_never_told_and_what_is_being_told_is_not_dropped(
    caldrift: Run, connection: Connection
) -> None:
    queue(connection, story("fired", "a"), "hook")
    assert outbox.lease(connection, "hook", timedelta(minutes=1)) is not None
    other = queue(connection, story("fired", "b"), "hook", "mail")
    assert caldrift("outbox", "drop", "--channel", "hook").stdout == "1 dropped\n"
    assert states(connection, "hook") == ["waiting", "dropped"]
    assert outbox.lease(connection, "hook", timedelta(minutes=1)) is None
    assert caldrift("outbox", "drop", str(other)).stdout == "1 dropped\n"
    assert states(connection, "mail") == ["dropped"]
    who = [by for (by,) in connection.execute('SELECT "by" FROM audit')]
    assert len(who) == 2
    assert all("@" in by for by in who)


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_nothing_is_changed_without_saying_what(caldrift: Run, connection: Connection, command: str) -> None:
    queue(connection, story("fired"), "hook")
    assert caldrift("outbox", command).returncode == 2
    assert caldrift("outbox", command, "--all", "--channel", "hook").returncode == 2
    assert states(connection, "hook") == ["waiting"]
