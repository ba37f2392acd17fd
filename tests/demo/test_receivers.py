"""The demo's stand-ins take what the shipped channels send, refuse what the real ones would, and show it as text."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.channels import PagerDuty, Slack
from monitor.alerting.notice import Notice
from monitor.demo import mrkdwn, pagerduty, slack
from monitor.demo.receivedpage import page
from monitor.demo.receivers import LARGEST, Receivers, receiving
from monitor.notify.channel import Errand, Place, Secrets, Sender, deliver
from monitor.notify.exchange import Transport
from monitor.notify.outcome import Dead, Delivered, Outcome
from monitor.notify.slack import Picture
from tests.notify.samples import change, hostile, news, notice

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SENDER = Sender("demo", "http://127.0.0.1:8321", Transport(5.0))
PICTURE = Picture(b"\x89PNG\r\n\x1a\n and so on", "Reliability: triage-v3", "Reliability diagram of triage-v3")


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with receiving(0, "http://127.0.0.1:8321") as found:
        yield found


def to_slack(receivers: Receivers, told: Notice, reference: str | None = None, **errand: Any) -> Outcome:
    channel = Slack(kind="slack", token_env="T", channel=slack.CHANNEL, base_url=receivers.slack_url)
    place = Place("slack", channel, Secrets(receivers.slack.token))
    return deliver(place, Errand(told, NOW, "key", reference, **errand), SENDER)


def to_pagerduty(receivers: Receivers, told: Notice, key: str | None = None) -> Outcome:
    channel = PagerDuty(kind="pagerduty", routing_key_env="K", url=receivers.pagerduty_url)
    place = Place("pagerduty", channel, Secrets(receivers.pagerduty.routing_key if key is None else key))
    return deliver(place, Errand(told, NOW, "key"), SENDER)


def got(receivers: Receivers, path: str) -> bytes:
    with urllib.request.urlopen(receivers.url + path, timeout=5) as answer:
        found: bytes = answer.read()
        return found


def posted(receivers: Receivers, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(receivers.url + path, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code, json.loads(failure.read() or b"{}")


class Text(HTMLParser):
    """What a browser shows of markup, and where its links lead."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", list[str](), set[str]()
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_incident_is_one_message_kept_current_with_its_changes_and_its_picture_in_the_thread(
    receivers: Receivers,
) -> None:
    first = to_slack(receivers, notice("fired"), picture=PICTURE)
    assert isinstance(first, Delivered)
    assert first.flaw is None
    assert isinstance(to_slack(receivers, notice("resolved"), first.reference), Delivered)
    [message] = json.loads(got(receivers, "/received.json"))["slack"]
    assert message["text"].startswith("RESOLVED")
    assert message["edited_at"] is not None
    picture, change = message["replies"]
    assert picture["described"] == PICTURE.described
    assert got(receivers, picture["picture"]) == PICTURE.png
    assert change["text"].startswith("RESOLVED")


def test_a_trigger_opens_an_incident_and_a_resolve_with_its_key_closes_it(receivers: Receivers) -> None:
    for kind in ("fired", "changed", "resolved"):
        assert isinstance(to_pagerduty(receivers, notice(kind)), Delivered)
    assert isinstance(to_pagerduty(receivers, notice("fired")), Delivered)
    first, second = json.loads(got(receivers, "/received.json"))["pagerduty"]["incidents"]
    assert [event["event_action"] for event in first["events"]] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in first["events"]} == {second["dedup_key"]}
    assert first["resolved_at"] is not None
    assert second["resolved_at"] is None


def test_the_end_of_what_was_never_open_opens_nothing(receivers: Receivers) -> None:
    assert isinstance(to_pagerduty(receivers, notice("resolved")), Delivered)
    assert receivers.pagerduty.incidents == []


def test_a_late_digest_is_a_change_and_pages_nobody(receivers: Receivers) -> None:
    assert isinstance(to_pagerduty(receivers, notice("digest")), Delivered)
    assert receivers.pagerduty.incidents == []
    assert [change.action for change in receivers.pagerduty.changes] == ["change"]


def test_a_wrong_secret_is_refused_for_good(receivers: Receivers) -> None:
    outcome = to_pagerduty(receivers, notice(), "0" * 32)
    assert isinstance(outcome, Dead)
    assert outcome.permanent
    _, answer = posted(receivers, "/slack/api/chat.postMessage", b"{}", Authorization="Bearer xoxb-other")
    assert answer == {"ok": False, "error": "invalid_auth"}
    _, answer = posted(receivers, "/slack/api/chat.postMessage", b"{}")
    assert answer == {"ok": False, "error": "not_authed"}


@pytest.mark.parametrize(
    ("method", "asked", "word"),
    [
        ("chat.postMessage", {"channel": "C1", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": slack.CHANNEL}, "no_text"),
        ("chat.postMessage", {"channel": slack.CHANNEL, "blocks": [{}] * 51}, "invalid_blocks"),
        ("chat.postMessage", {"channel": slack.CHANNEL, "blocks": "[", "text": "x"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": slack.CHANNEL, "blocks": ["x"], "text": "x"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": slack.CHANNEL, "text": "x", "thread_ts": "1.2"}, "thread_not_found"),
        ("chat.update", {"channel": slack.CHANNEL, "text": "x", "ts": "1.2"}, "message_not_found"),
        ("files.getUploadURLExternal", {"filename": "a.png", "length": "-1"}, "invalid_arguments"),
        ("chat.delete", {}, "unknown_method"),
    ],
)
def test_slack_says_in_its_own_word_what_is_wrong(method: str, asked: dict[str, Any], word: str) -> None:
    workspace = slack.Workspace("xoxb-1", "http://127.0.0.1:1/slack/upload")
    assert workspace.call(method, asked, "Bearer xoxb-1", NOW) == {"ok": False, "error": word}


def test_a_file_is_shared_only_once_its_bytes_came() -> None:
    workspace = slack.Workspace("xoxb-1", "http://127.0.0.1:1/slack/upload")
    ts = workspace.call("chat.postMessage", {"channel": slack.CHANNEL, "text": "x"}, "Bearer xoxb-1", NOW)["ts"]
    place = workspace.call("files.getUploadURLExternal", {"filename": "a.png", "length": 3}, "Bearer xoxb-1", NOW)
    share = {"channel_id": slack.CHANNEL, "thread_ts": ts, "files": json.dumps([{"id": place["file_id"]}])}
    early = workspace.call("files.completeUploadExternal", share, "Bearer xoxb-1", NOW)
    assert early == {"ok": False, "error": "file_not_found"}
    assert not workspace.put_file("F99", b"png")
    assert workspace.put_file(place["file_id"], b"png")
    assert workspace.call("files.completeUploadExternal", share, "Bearer xoxb-1", NOW)["ok"]
    [reply] = workspace.messages[ts].replies
    assert reply.picture is not None
    assert reply.picture.png == b"png"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"event_action": "open"}, "'event_action' is invalid"),
        ({"payload": None}, "'payload' is missing"),
        ({"payload": {"summary": "", "source": "s", "severity": "info"}}, "'payload.summary' is missing"),
        ({"payload": {"summary": "x" * 1025, "source": "s", "severity": "info"}}, "'payload.summary' is missing"),
        ({"payload": {"summary": "x", "severity": "info"}}, "'payload.source' is missing"),
        ({"payload": {"summary": "x", "source": "s", "severity": "bad"}}, "'payload.severity' is invalid"),
        ({"event_action": "resolve"}, "'dedup_key' is missing"),
    ],
)
def test_pagerduty_names_what_is_wrong_with_an_event(change: dict[str, Any], wrong: str) -> None:
    service = pagerduty.Service("k" * 32)
    sound = {
        "routing_key": "k" * 32,
        "event_action": "trigger",
        "payload": {"summary": "x", "source": "s", "severity": "info"},
    }
    assert service.enqueue(sound, NOW)[0] == 202
    status, answer = service.enqueue({**sound, **change}, NOW)
    assert status == 400
    assert any(each.startswith(wrong) for each in answer["errors"])
    assert len(service.incidents) == 1


@pytest.mark.parametrize("path", ["/slack/api/chat.postMessage", "/pagerduty/v2/enqueue"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused_and_changes_nothing(receivers: Receivers, path: str, body: bytes) -> None:
    authorization = f"Bearer {receivers.slack.token}"
    _, answer = posted(receivers, path, body, Authorization=authorization)
    assert answer.get("error") == "invalid_json" or answer.get("status") == "invalid event"
    assert not receivers.slack.messages
    assert not receivers.pagerduty.incidents


def test_other_paths_and_endless_bodies_are_refused(receivers: Receivers) -> None:
    for path in ("/pictures/F1.png", "/../etc/passwd", "/slack/api/chat.postMessage"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            got(receivers, path)
    request = urllib.request.Request(receivers.url + "/pagerduty/v2/enqueue", b"x")
    request.add_unredirected_header("Content-Length", str(LARGEST + 1))
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request, timeout=5)


def test_a_port_that_is_taken_is_replaced_by_a_free_one(receivers: Receivers) -> None:
    with receiving(int(receivers.url.rpartition(":")[2])) as others:
        assert others.url != receivers.url
        assert b"Nothing yet" in got(others, "/")


def test_the_page_shows_messages_incidents_and_the_picture_in_plain_words(receivers: Receivers) -> None:
    told = notice("fired")
    to_slack(receivers, told, picture=PICTURE)
    to_pagerduty(receivers, told)
    shown = Text(got(receivers, "/").decode())
    for words in (told.incident.title, "0.153 (0.121 to 0.187)", "triggered", told.incident.key, "1 reply"):
        assert words in shown.text
    assert f"/pictures/{next(iter(receivers.slack.pictures))}.png" in shown.links
    assert told.alerts[0].link in shown.links
    to_pagerduty(receivers, notice("resolved"))
    assert "0 open" in Text(got(receivers, "/").decode()).text


def test_the_page_shows_a_change_with_its_facts_and_that_what_follows_is_seen_in_the_channel(
    receivers: Receivers,
) -> None:
    first = to_slack(receivers, news(), picture=PICTURE)
    assert isinstance(first, Delivered)
    assert isinstance(to_slack(receivers, news(last=change(what="kept")), first.reference), Delivered)
    assert "also sent to the channel" not in Text(got(receivers, "/").decode()).text
    assert isinstance(to_slack(receivers, news(), first.reference), Delivered)
    assert isinstance(to_pagerduty(receivers, news()), Delivered)
    shown = Text(got(receivers, "/").decode()).text
    assert shown.count("9,120 fitted, 4,310 held out") == 4, "in the message, in two replies, at PagerDuty"
    assert shown.count("also sent to the channel") == 1
    assert "triage-v3 / stated: map 4 in force" in shown
    assert "0 open" in shown
    [message] = json.loads(got(receivers, "/received.json"))["slack"]
    assert [reply.get("broadcast") for reply in message["replies"]] == [None, None, True]


def test_nothing_that_is_received_becomes_markup_and_no_secret_is_shown(receivers: Receivers) -> None:
    told = hostile()
    scripted = replace(told, incident=replace(told.incident, title="<script>alert(1)</script>"))
    assert isinstance(to_slack(receivers, scripted, picture=PICTURE), Delivered)
    assert isinstance(to_pagerduty(receivers, scripted), Delivered)
    content = got(receivers, "/").decode()
    shown = Text(content)
    assert "script" not in shown.tags
    assert "<script>alert(1)</script>" in shown.text
    assert all(re.match(r"https?://|/", link) for link in shown.links)
    everything = content + got(receivers, "/received.json").decode()
    assert receivers.slack.token not in everything
    assert receivers.pagerduty.routing_key not in everything


def test_what_is_kept_is_bounded_and_a_picture_goes_with_its_message() -> None:
    workspace = slack.Workspace("t", "http://127.0.0.1:1/slack/upload")
    service = pagerduty.Service("k")
    for number in range(slack.KEPT + 5):
        ts = workspace.call("chat.postMessage", {"channel": slack.CHANNEL, "text": "x"}, "Bearer t", NOW)["ts"]
        name = workspace.call("files.getUploadURLExternal", {"filename": "a", "length": 1}, "Bearer t", NOW)["file_id"]
        workspace.put_file(name, b"x")
        share = {"channel_id": slack.CHANNEL, "thread_ts": ts, "files": [{"id": name}]}
        assert workspace.call("files.completeUploadExternal", share, "Bearer t", NOW)["ok"]
        payload = {"summary": "x", "source": "s", "severity": "info"}
        event = {"routing_key": "k", "event_action": "trigger", "dedup_key": str(number), "payload": payload}
        assert service.enqueue(event, NOW)[0] == service.enqueue_change(event, NOW)[0] == 202
    assert len(workspace.messages) == len(workspace.pictures) == slack.KEPT
    assert len(service.incidents) == len(service.changes) == pagerduty.KEPT
    assert page(workspace, service, "", NOW).count('class="incident"') < pagerduty.KEPT


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("*bold* and `code`", "<b>bold</b> and <code>code</code>"),
        ("`a*b*c`", "<code>a*b*c</code>"),
        ("2*3*4", "2*3*4"),
        ("a &lt;b&gt; &amp;amp;", "a &lt;b&gt; &amp;amp;"),
        ("<!channel> <@U1>", "&lt;!channel&gt; &lt;@U1&gt;"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("*<https://a.example/?x=1&amp;y=2|Drift>*",
         '<b><a href="https://a.example/?x=1&amp;y=2" rel="noreferrer">Drift</a></b>'),
    ],
)  # fmt: skip
def test_mrkdwn_is_shown_as_slack_does(text: str, markup: str) -> None:
    assert mrkdwn.html(text) == markup


@given(st.text(alphabet=st.sampled_from("*`<>|&;ab \n\"'/:htps") | st.characters(categories=("L", "P", "S"))))
def test_whatever_is_written_no_tag_but_ours_and_no_attribute_comes_of_it(text: str) -> None:
    left = re.sub(r'</?(?:b|code|a)>|<a href="https?://[^"<>\s]+" rel="noreferrer">', "", mrkdwn.html(text))
    assert "<" not in left
    assert ">" not in left
