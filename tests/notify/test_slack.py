"""Slack: one root an incident that stays current, changes in its thread, and what each of Slack's words comes to."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.notify import slack_words
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.slack import Picture, SlackBot, SlackHook, send, send_by_hook
from monitor.notify.slack_blocks import render
from tests.notify.faults import CONNECTIONS, HTML, STATUSES, Place, answering, meaning, means, passes
from tests.notify.receivers import Receiver, Reply, receiving
from tests.notify.samples import NOTICES, NOW, notice
from tests.notify.slack_fake import CHANNEL, TOKEN, Slack

FIRED, CHANGED, RESOLVED = (render(NOTICES[kind]) for kind in ("fired", "changed", "resolved"))
PICTURE = Picture(b"\x89PNG and so on", "Reliability", "The curve is below the diagonal above 0.8")


@pytest.fixture
def slack() -> Slack:
    return Slack()


@pytest.fixture
def receiver(slack: Slack) -> Iterator[Receiver]:
    with receiving(slack) as found:
        slack.url = found.url
        yield found


@pytest.fixture
def bot(receiver: Receiver) -> SlackBot:
    return SlackBot(TOKEN, CHANNEL, f"{receiver.url}/api/")


def by_bot(place: Place) -> Outcome:
    return send(SlackBot(TOKEN, CHANNEL, f"{place.url}/api/"), FIRED, NOW, transport=place.transport)


def by_hook(place: Place) -> Outcome:
    return send_by_hook(SlackHook(f"{place.url}/services/T/B/hush"), FIRED, NOW, place.transport)


def test_an_incident_is_one_root_that_stays_current_with_its_changes_in_the_thread(slack: Slack, bot: SlackBot) -> None:
    told = send(bot, FIRED, NOW)
    assert isinstance(told, Delivered)
    for change in (CHANGED, RESOLVED):
        assert send(bot, change, NOW, reference=told.reference) == told
    [(ts, root)] = slack.messages.items()
    assert told.reference == f"{CHANNEL}/{ts}"
    assert root["blocks"] == RESOLVED["root"]["blocks"]
    assert [reply["blocks"] for reply in slack.threads[ts]] == [
        CHANGED["thread"]["blocks"],
        RESOLVED["thread"]["blocks"],
    ]


def test_two_incidents_are_two_roots(slack: Slack, bot: SlackBot) -> None:
    assert send(bot, FIRED, NOW) != send(bot, FIRED, NOW)
    assert len(slack.messages) == 2


def test_a_root_that_somebody_deleted_is_posted_anew(slack: Slack, bot: SlackBot) -> None:
    told = send(bot, FIRED, NOW)
    assert isinstance(told, Delivered)
    slack.messages.clear()
    again = send(bot, CHANGED, NOW, reference=told.reference)
    assert isinstance(again, Delivered)
    assert [f"{CHANNEL}/{ts}" for ts in slack.messages] == [again.reference]


def test_a_reply_that_fails_is_told_once_when_it_is_tried_again(
    slack: Slack, bot: SlackBot, receiver: Receiver
) -> None:
    told = send(bot, FIRED, NOW)
    assert isinstance(told, Delivered)
    limited = Reply(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": "7"})
    receiver.script = [slack_says(ok=True), limited]
    assert send(bot, CHANGED, NOW, reference=told.reference) == Retry(timedelta(seconds=7), "Slack: ratelimited")
    assert slack.threads == {}
    assert send(bot, CHANGED, NOW, reference=told.reference) == told
    assert [len(thread) for thread in slack.threads.values()] == [1]


def test_the_picture_follows_in_the_thread_with_its_description(
    slack: Slack, bot: SlackBot, receiver: Receiver
) -> None:
    told = send(bot, FIRED, NOW, picture=PICTURE)
    assert isinstance(told, Delivered)
    assert told.flaw is None
    assert slack.files == {"F1": PICTURE.png}
    [shared] = slack.shared
    assert (shared["channel_id"], shared["thread_ts"]) == (CHANNEL, next(iter(slack.messages)))
    assert b"below+the+diagonal" in next(seen.body for seen in receiver.seen if "getUploadURL" in seen.path)


REFUSED = Reply(200, b'{"ok":false,"error":"missing_scope"}')
BROKEN_STEPS = [(step, broken) for step in (1, 2, 3) for broken in (HTML, Reply(500), Reply(302), REFUSED)]
BROKEN_STEPS = [row for row in BROKEN_STEPS if row[0] != 2 or row[1].status != 200]  # the upload answers by status


@pytest.mark.parametrize(("step", "broken"), BROKEN_STEPS)
def test_a_picture_that_fails_never_holds_up_the_text(
    bot: SlackBot, receiver: Receiver, step: int, broken: Reply
) -> None:
    place = slack_says(ok=True, upload_url=f"{receiver.url}/upload/F1", file_id="F1")
    before = [slack_says(ok=True, channel=CHANNEL, ts="1.1"), place, Reply(200, b"OK")]
    receiver.script = [*before[:step], broken]
    told = send(bot, FIRED, NOW, picture=PICTURE)
    assert isinstance(told, Delivered)
    assert told.reference == f"{CHANNEL}/1.1"
    assert (told.flaw or "").startswith("without the picture: HTTP" if step == 2 else "without the picture: ")


def slack_says(**content: object) -> Reply:
    return Reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})


TABLE = {
    **dict.fromkeys(sorted(slack_words.PASSING), "retry"),
    **dict.fromkeys(sorted(slack_words.OF_THE_CHANNEL), "dead channel"),
    **dict.fromkeys(sorted(slack_words.OF_THE_MESSAGE), "dead message"),
    "a_word_of_the_future": "dead message",
}


def test_the_words_that_people_meet_are_judged_as_slack_means_them() -> None:
    met = {
        "invalid_auth": "dead channel",
        "token_revoked": "dead channel",
        "channel_not_found": "dead channel",
        "not_in_channel": "dead channel",
        "is_archived": "dead channel",
        "missing_scope": "dead channel",
        "ratelimited": "retry",
        "rate_limited": "retry",
        "internal_error": "retry",
        "fatal_error": "retry",
        "service_unavailable": "retry",
        "request_timeout": "retry",
        "msg_too_long": "dead message",
        "msg_blocks_too_long": "dead message",
        "invalid_blocks": "dead message",
        "no_text": "dead message",
    }
    assert {word: TABLE[word] for word in met} == met


@pytest.mark.parametrize("word", TABLE)
def test_each_word_with_status_200_decides_against_the_status(word: str) -> None:
    with answering(slack_says(ok=False, error=word)) as place:
        outcome = by_bot(place)
    assert meaning(outcome) == TABLE[word]
    assert outcome in (
        Retry(None, f"Slack: {word}"),
        *(Dead(f"Slack: {word}", permanent) for permanent in (True, False)),
    )


def test_a_wrong_token_and_a_wrong_channel_are_dead_at_once(bot: SlackBot) -> None:
    assert send(replace(bot, token="xoxb-wrong"), FIRED, NOW) == Dead("Slack: invalid_auth", permanent=True)
    assert send(replace(bot, channel="C404"), FIRED, NOW) == Dead("Slack: channel_not_found", permanent=True)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_without_a_word_means_what_the_table_says(status: int) -> None:
    means(by_bot, status)
    means(by_hook, status)


@pytest.mark.parametrize("fault", CONNECTIONS)
def test_a_connection_that_fails_is_tried_again(fault: str, tmp_path: Path) -> None:
    passes(by_bot, fault, tmp_path)
    passes(by_hook, fault, tmp_path)


@pytest.mark.parametrize(
    ("header", "after"),
    [
        ("30", timedelta(seconds=30)),
        ("0.5", timedelta(seconds=0.5)),
        ("Sun, 22 Nov 2026 10:01:00 GMT", timedelta(minutes=1)),
        ("Sun, 22 Nov 2026 09:00:00 GMT", timedelta(0)),
        ("-5", timedelta(0)),
        ("1e12", timedelta(hours=1)),
        ("inf", timedelta(hours=1)),
        ("nan", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_429_waits_as_long_as_slack_asks_within_reason(header: str | None, after: timedelta | None) -> None:
    headers = {"Retry-After": header} if header is not None else {}
    for body, reason in ((b'{"ok":false,"error":"ratelimited"}', "Slack: ratelimited"), (b"slow down", "HTTP 429")):
        with answering(Reply(429, body, headers)) as place:
            assert by_bot(place) == by_hook(place) == Retry(after, reason)


@pytest.mark.parametrize("body", [HTML.body, b"", b"[]", b'"ok"', b"null", b"[" * 60_000, b"\xff\xfe", b'{"ok":false}'])
def test_a_200_that_is_not_slacks_answer_is_tried_again(body: bytes) -> None:
    with answering(Reply(200, body)) as place:
        assert by_bot(place) == by_hook(place) == Retry(None, "HTTP 200 without Slack's answer")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"ok", Delivered()),
        (200, b"ok\n", Delivered()),
        (400, b"invalid_payload", Dead("Slack: invalid_payload", permanent=False)),
        (400, b"user_not_found", Dead("Slack: user_not_found", permanent=True)),
        (403, b"action_prohibited", Dead("Slack: action_prohibited", permanent=True)),
        (403, b"invalid_token", Dead("Slack: invalid_token", permanent=True)),
        (404, b"channel_not_found", Dead("Slack: channel_not_found", permanent=True)),
        (404, b"no_service", Dead("Slack: no_service", permanent=True)),
        (410, b"channel_is_archived", Dead("Slack: channel_is_archived", permanent=True)),
        (500, b"rollup_error", Retry(None, "Slack: rollup_error")),
        (200, b'{"ok":false,"error":"invalid_auth"}', Dead("Slack: invalid_auth", permanent=True)),
    ],
)
def test_an_incoming_webhook_is_judged_by_its_word(status: int, body: bytes, outcome: Outcome) -> None:
    with answering(Reply(status, body)) as place:
        assert by_hook(place) == outcome


def test_an_incoming_webhook_is_sent_the_root_alone() -> None:
    with receiving(lambda seen: Reply(200, b"ok")) as receiver:
        send_by_hook(SlackHook(f"{receiver.url}/services/T/B/x"), FIRED, NOW)
        [seen] = receiver.seen
    assert json.loads(seen.body) == {**FIRED["root"], "unfurl_links": False, "unfurl_media": False}


def test_one_attempt_is_one_request() -> None:
    # A client that tries again by itself would tell twice, and keep a lease for longer than its owner knows.
    for reply in (Reply(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": "1"}), Reply(500)):
        with receiving() as receiver:
            receiver.script = [reply, reply]
            by_bot(Place(receiver.url))
            by_hook(Place(receiver.url))
            assert len(receiver.seen) == 2


def test_slack_takes_a_message_with_hostile_names_as_it_is(slack: Slack, bot: SlackBot) -> None:
    for kind in ("hostile", "flood", "wide"):
        assert isinstance(send(bot, render(NOTICES[kind]), NOW), Delivered)
    assert len(slack.messages) == 3
    assert isinstance(send(bot, render(notice(link=None, group=())), NOW), Delivered)
