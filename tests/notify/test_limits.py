"""Whatever the names and however many alerts: every payload is within its receiver's limits and steers nothing."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.alerting.notice import FACTS, Alert, Change, Counts, Dated, Incident, Notice, Series
from monitor.notify import alertmanager, mail, pagerduty, slack_blocks, webhook
from monitor.notify.wording import cut, plain, web_link, width
from tests.notify import alertmanager_fake, pagerduty_fake, slack_fake
from tests.notify.samples import EVIDENCE, HOSTILE, NOTICES, NOW, alert, change, flood, news, notice

ANY_TEXT = st.text(st.characters(), max_size=300) | st.text(st.sampled_from("<>&`|!*_@#:/\\\"'\n\x00\u202e😀"))
LINKS = st.none() | ANY_TEXT | ANY_TEXT.map(lambda text: f"https://caldrift.example/{text}")
ALERTS = st.builds(
    Alert,
    rule=ANY_TEXT,
    severity=st.just("error"),
    series=st.builds(Series, ANY_TEXT, ANY_TEXT, ANY_TEXT),
    state=st.sampled_from(["firing", "recovering"]),
    started_at=st.just(NOW),
    evidence=st.just(EVIDENCE),
    summary=ANY_TEXT,
    link=LINKS,
    runbook=LINKS,
    remark=st.none() | ANY_TEXT,
)
CHANGES = st.builds(
    Change,
    what=st.sampled_from(["proposed", "promoted", "shadowed", "rolled_back", "kept"]),
    model=ANY_TEXT,
    signal=ANY_TEXT,
    version=st.none() | st.integers(1, 10**6),
    previous=st.none() | st.integers(1, 10**6),
    by=ANY_TEXT,
    sentence=ANY_TEXT,
    facts=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=FACTS).map(tuple),
    report=LINKS,
)
ANY_NEWS = st.builds(
    Notice,
    kind=st.just("change"),
    incident=st.builds(Incident, st.just("k" * 64), ANY_TEXT),
    alerts=st.just(()),
    counts=st.just(Counts(0, 0)),
    group=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=3).map(tuple),
    at=st.just(NOW),
    link=LINKS,
    change=CHANGES,
    earlier=st.lists(st.builds(Dated, st.just(NOW), CHANGES), max_size=8).map(tuple),
)
ANY_NOTICE = ANY_NEWS | st.builds(
    Notice,
    kind=st.sampled_from(["fired", "changed", "reminder", "resolved", "digest", "test"]),
    incident=st.builds(Incident, st.just("k" * 64), ANY_TEXT),
    alerts=st.lists(ALERTS, max_size=4).map(tuple),
    counts=st.builds(Counts, st.integers(0, 10**6), st.integers(0, 10**6)),
    group=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=3).map(tuple),
    at=st.just(NOW),
    link=LINKS,
)


@given(ANY_NOTICE)
@example(NOTICES["hostile"])
def test_every_channel_takes_every_notice(found: Notice) -> None:
    _all_take(found)


@pytest.mark.parametrize("kind", NOTICES)
def test_every_channel_takes_floods_and_texts_of_100_kilobytes(kind: str) -> None:
    _all_take(NOTICES[kind])


def _all_take(found: Notice) -> None:
    for message in slack_blocks.render(found).values():
        assert slack_fake.mistakes(json.loads(json.dumps(message))) == []
    rendered = pagerduty.render(found, "caldrift.example")
    body = json.dumps({"routing_key": pagerduty_fake.ROUTING_KEY, **rendered["event"]}).encode()
    assert pagerduty_fake.mistakes(rendered["path"], body) == []
    assert alertmanager_fake.mistakes(alertmanager.render(found)) == []
    hooked = webhook.render(found, "hook", "https://caldrift.example")
    assert len(hooked["alerts"]) + hooked["truncatedAlerts"] >= len(found.alerts)
    letter = mail.render(found)
    assert "\n" not in letter["subject"]
    assert len(letter["subject"]) <= 200
    assert len(letter["body"]) < 150_000
    for payload in (rendered, hooked, letter, alertmanager.render(found)):
        _all_text_is_safe(payload)


def _all_text_is_safe(value: Any) -> None:
    match value:
        case str():
            assert not set(value) & set("\x00\x1b\r\u202e\u2066\ud800"), ascii(value)
            value.encode()
        case dict():
            for name, inner in value.items():
                _all_text_is_safe(name)
                _all_text_is_safe(inner)
        case list():
            for inner in value:
                _all_text_is_safe(inner)


def test_slack_shows_twenty_alerts_and_counts_the_rest() -> None:
    blocks = slack_blocks.render(flood(57))["root"]["blocks"]
    assert sum("lang=x" in json.dumps(block) for block in blocks) == 20
    assert "and 37 more" in blocks[-2]["text"]["text"]


def test_alerts_that_the_notice_only_counts_are_counted_too() -> None:
    found = notice(counts=Counts(firing=5000, resolved=0))
    assert "and 4,997 more" in json.dumps(slack_blocks.render(found)["root"])
    assert pagerduty.render(found, "here")["event"]["payload"]["custom_details"]["and_more"] == 4997
    assert webhook.render(found, "hook", "https://caldrift.example")["truncatedAlerts"] == 4997
    assert "... and 4,997 more" in mail.render(found)["body"]


def test_of_many_changes_that_waited_each_channel_tells_the_latest_and_counts_the_rest() -> None:
    found = news(*(change(sentence=f"No {place}.") for place in range(60)), last=change(sentence="The last."))
    slack = json.dumps(slack_blocks.render(found)["root"])
    assert ("No 55." in slack, "No 54." in slack, "and 55 before" in slack) == (True, False, True)
    letter = mail.render(found)["body"]
    assert ("No 10." in letter, "No 9." in letter, "... 10 more" in letter) == (True, False, True)
    assert len(webhook.render(found, "hook", "https://caldrift.example")["change"]["earlier"]) == 60
    assert alertmanager.render(found) == []


def test_nothing_is_said_to_be_left_out_when_all_is_shown() -> None:
    for render in (slack_blocks.render, lambda one: pagerduty.render(one, "here"), mail.render):
        assert "more" not in json.dumps(render(notice()))


def test_alertmanager_is_told_of_every_one_of_5000_alerts() -> None:
    told = alertmanager.render(flood())
    assert len({json.dumps(one["labels"]) for one in told}) == 5000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("<https://evil.example|click>", "&lt;https://evil.example|click&gt;"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("a`b", "aˋb"),
    ],
)
def test_a_segment_named_like_a_control_sequence_is_shown_as_text(text: str, shown: str) -> None:
    found = slack_blocks.render(notice(alerts=(alert(series=Series("m", "s", text)),)))
    assert f"`m / s / {shown}`" in found["root"]["blocks"][2]["text"]["text"]


@given(ANY_TEXT, st.integers(1, 80), st.sampled_from([str, slack_blocks.escape]))
def test_cut_text_is_no_wider_than_its_limit_and_begins_as_the_whole_does(
    text: str, limit: int, written: Callable[[str], str]
) -> None:
    found = cut(text, limit, written)
    assert width(found) <= limit
    whole = written(plain(text))
    assert found == whole or (found.endswith("…") and whole.startswith(found[:-1]))
    if width(whole) <= limit:
        assert found == whole


def test_only_links_to_the_web_are_links() -> None:
    for link in ("javascript:alert(1)", "file:///etc/passwd", "//host/path", "https://", "http://[", "", HOSTILE, None):
        assert web_link(link) is None
    assert web_link("https://x.example/" + "a" * 3000) is None
    assert web_link("https://x.example/a b|c>d?e=%20&f=ü") == "https://x.example/a%20b%7Cc%3Ed?e=%20&f=%C3%BC"


def test_what_is_rendered_depends_on_nothing_but_the_notice() -> None:
    # An outbox queues it once and may render it again: the bytes must be the same, whenever that is.
    assert slack_blocks.render(NOTICES["fired"]) == slack_blocks.render(NOTICES["fired"])
    zone = datetime.fromisoformat("2026-11-22T12:00:00+02:00")
    assert slack_blocks.render(notice(at=zone)) == slack_blocks.render(notice(at=NOW))
