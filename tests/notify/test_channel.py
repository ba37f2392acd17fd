"""One notice on each kind of channel of the rules, and how long that may take."""

import json
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from monitor.alerting.channels import Channel
from monitor.alerting.notice import Happening
from monitor.notify import channel as channels
from monitor.notify.channel import Errand, Place, Secrets, Sender
from monitor.notify.exchange import Transport
from monitor.notify.outcome import Dead, Delivered
from monitor.notify.patience import LONGEST, pause
from tests.notify import pagerduty_fake, slack_fake
from tests.notify.alertmanager_fake import Instance
from tests.notify.mail_fake import Mailroom, serving
from tests.notify.receivers import Reply, receiving
from tests.notify.samples import NOTICES, NOW, change, news, notice

SENDER = Sender("caldrift.example", "https://caldrift.example", Transport(timeout=5.0))


def place(secrets: Secrets, **settings: object) -> Place:
    return Place("x", TypeAdapter(Channel).validate_python(settings), secrets)


def errand(kind: str = "fired", reference: str | None = None) -> Errand:
    return Errand(NOTICES[kind], NOW, "key", reference)


def test_a_slack_channel_is_told_by_the_bot_and_continues_where_it_was() -> None:
    slack = slack_fake.Slack()
    with receiving(slack) as receiver:
        where = {"channel": slack_fake.CHANNEL, "base_url": f"{receiver.url}/api/"}
        bot = place(Secrets(slack_fake.TOKEN), kind="slack", token_env="T", **where)
        first = channels.deliver(bot, errand(), SENDER)
        assert isinstance(first, Delivered)
        assert channels.deliver(bot, errand("resolved", first.reference), SENDER) == first
    assert (len(slack.messages), len(slack.threads)) == (1, 1)
    assert channels.keeps_thread(bot.channel)
    assert channels.shows_pictures(bot.channel)


def test_a_slack_webhook_is_told() -> None:
    with receiving(lambda seen: Reply(200, b"ok")) as receiver:
        hook = place(Secrets(receiver.url), kind="slack_webhook", url_env="U")
        assert channels.deliver(hook, errand(), SENDER) == Delivered()
    assert "blocks" in json.loads(receiver.seen[0].body)


def test_pagerduty_opens_closes_and_is_never_reminded() -> None:
    service = pagerduty_fake.Service()
    with receiving(service) as receiver:
        pager = place(Secrets(pagerduty_fake.ROUTING_KEY), kind="pagerduty", routing_key_env="K", url=receiver.url)
        for kind in ("fired", "changed", "reminder"):
            assert isinstance(channels.deliver(pager, errand(kind), SENDER), Delivered)
        assert (len(receiver.seen), service.pages, len(service.open)) == (2, 1, 1)
        assert isinstance(channels.deliver(pager, errand("digest"), SENDER), Delivered)
    assert (service.open, len(service.changes)) == ({}, 1)


def test_pagerduty_is_told_of_no_change_while_it_refuses_the_end() -> None:
    with receiving(lambda seen: Reply(500)) as receiver:
        pager = place(Secrets(pagerduty_fake.ROUTING_KEY), kind="pagerduty", routing_key_env="K", url=receiver.url)
        channels.deliver(pager, errand("digest"), SENDER)
    assert [json.loads(seen.body)["event_action"] for seen in receiver.seen] == ["resolve"]


def test_a_webhook_is_told_with_its_key_and_signature() -> None:
    with receiving() as receiver:
        hook = place(Secrets(receiver.url, "hush"), kind="webhook", url_env="U", hmac_secret_env="S")
        assert channels.deliver(hook, errand("digest"), SENDER) == Delivered()
    headers = receiver.seen[0].headers
    assert headers["idempotency-key"] == "key"
    assert "x-caldrift-signature" in headers
    assert json.loads(receiver.seen[0].body)["status"] == "resolved", "nothing of a digest fires any longer"


def test_alertmanager_is_told_of_every_alert_and_of_none_nothing() -> None:
    instance = Instance()
    with receiving(instance) as receiver:
        manager = place(Secrets(), kind="alertmanager", urls=[receiver.url])
        assert channels.deliver(manager, errand(), SENDER) == Delivered()
        assert instance.firing(NOW) == 3
        assert channels.deliver(manager, Errand(notice(alerts=()), NOW, "key"), SENDER) == Delivered()
        assert len(receiver.seen) == 1


def test_alertmanager_is_told_of_no_change_of_maps() -> None:
    with receiving(Instance()) as receiver:
        manager = place(Secrets(), kind="alertmanager", urls=[receiver.url])
        assert channels.deliver(manager, errand("change"), SENDER) == Delivered(flaw=channels.ALERTS_ONLY)
    assert receiver.seen == []


def test_pagerduty_is_told_of_maps_that_are_applied_and_pages_nobody() -> None:
    service = pagerduty_fake.Service()
    with receiving(service) as receiver:
        pager = place(Secrets(pagerduty_fake.ROUTING_KEY), kind="pagerduty", routing_key_env="K", url=receiver.url)
        for said in (change(what="proposed"), change(what="kept")):
            outcome = channels.deliver(pager, Errand(news(said, last=said), NOW, "key"), SENDER)
            assert outcome == Delivered(flaw=channels.NOT_CHANGED)
        assert receiver.seen == []
        waited = news(change(), last=change(what="kept", sentence="Nothing is better."))
        for told in (NOTICES["change"], waited):
            assert channels.deliver(pager, Errand(told, NOW, "key"), SENDER) == Delivered()
    assert (service.open, service.pages) == ({}, 0)
    first, second = (event["payload"] for event in service.changes)
    assert first["summary"] == second["summary"] == "triage-v3 / stated: map 4 in force"
    assert "told with it" not in first["custom_details"]
    assert second["timestamp"] == "2026-11-22T09:59:00Z", "when it was in force, not when it was told"
    assert second["custom_details"]["told with it"].endswith("map 4 kept: Nothing is better.")


@pytest.mark.parametrize(
    ("what", "seen"), [("proposed", True), ("promoted", True), ("rolled_back", True), ("kept", None)]
)
def test_later_changes_follow_in_the_thread_of_the_first_and_are_seen_in_the_channel_unless_nothing_changed(
    what: Happening, seen: bool | None
) -> None:
    slack = slack_fake.Slack()
    with receiving(slack) as receiver:
        where = {"channel": slack_fake.CHANNEL, "base_url": f"{receiver.url}/api/"}
        bot = place(Secrets(slack_fake.TOKEN), kind="slack", token_env="T", **where)
        first = channels.deliver(bot, errand("change"), SENDER)
        assert isinstance(first, Delivered)
        later = news(last=change(what=what), at=NOW + timedelta(days=30))
        assert channels.deliver(bot, Errand(later, NOW, "key", first.reference), SENDER) == first
    [(root, message)] = slack.messages.items()
    assert "reply_broadcast" not in message
    [reply] = slack.threads[root]
    assert reply.get("reply_broadcast") is seen
    assert "2026-12-22" in json.dumps(message), "the first message is kept current"


def test_mail_is_handed_over() -> None:
    with serving(Mailroom()) as room:
        mail = place(
            Secrets(),
            kind="email",
            host="127.0.0.1",
            port=room.port,
            security="none",
            **{"from": "caldrift@example.com", "to": ["team@example.com"]},
        )
        assert isinstance(channels.deliver(mail, errand(), SENDER), Delivered)
    assert room.recipients == [["team@example.com"]]


def test_signs_of_life_go_to_machines_only() -> None:
    slack = place(Secrets("x"), kind="slack_webhook", url_env="U")
    found = channels.beat(slack, timedelta(minutes=1), NOW, SENDER)
    assert found == Dead("slack_webhook takes no signs of life", permanent=True)


@pytest.mark.parametrize(
    ("requests", "settings"),
    [
        (6, {"kind": "slack", "token_env": "T", "channel": "C"}),
        (1, {"kind": "slack_webhook", "url_env": "U"}),
        (2, {"kind": "pagerduty", "routing_key_env": "K"}),
        (1, {"kind": "webhook", "url_env": "U"}),
        (3, {"kind": "alertmanager", "urls": ["http://a.example", "http://b.example", "http://c.example"]}),
        (9, {"kind": "email", "host": "h", "from": "a@b.example", "to": ["c@d.example"]}),
    ],
)
def test_a_lease_outlasts_every_request_of_an_attempt(requests: int, settings: dict[str, object]) -> None:
    channel: Channel = TypeAdapter(Channel).validate_python(settings)
    assert channels.longest_attempt(channel, 10.0) > timedelta(seconds=10 * requests)


@given(st.integers(1, 10_000), st.integers())
def test_pauses_double_up_to_five_minutes_and_differ_by_chance(attempts: int, seed: int) -> None:
    longest = timedelta(seconds=min(LONGEST.total_seconds(), 2.0 ** min(attempts - 1, 60)))
    assert longest / 2 <= pause(attempts, Random(seed)) <= longest
    assert pause(attempts, Random(seed)) != pause(attempts, Random(seed + 1))
