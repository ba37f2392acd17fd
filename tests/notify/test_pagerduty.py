"""PagerDuty: one incident a problem, opened once and closed by the same key, and what each status comes to."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.pagerduty import PagerDuty, render, render_change, send
from tests.notify.faults import CONNECTIONS, HTML, STATUSES, Place, answering, means, passes
from tests.notify.pagerduty_fake import ROUTING_KEY, Service
from tests.notify.receivers import Receiver, Reply, receiving
from tests.notify.samples import NOTICES, NOW

FIRED, CHANGED, RESOLVED, DIGEST = (
    render(NOTICES[kind], "caldrift.example") for kind in ("fired", "changed", "resolved", "digest")
)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def receiver(service: Service) -> Iterator[Receiver]:
    with receiving(service) as found:
        yield found


@pytest.fixture
def account(receiver: Receiver) -> PagerDuty:
    return PagerDuty(ROUTING_KEY, receiver.url)


def told(place: Place) -> Outcome:
    return send(PagerDuty(ROUTING_KEY, place.url), FIRED, NOW, place.transport)


def test_a_problem_pages_once_however_often_it_changes_and_is_closed_by_its_key(
    service: Service, account: PagerDuty
) -> None:
    key = NOTICES["fired"].incident.key
    for event in (FIRED, FIRED, CHANGED):
        assert send(account, event, NOW) == Delivered(key)
        assert set(service.open) == {key}
    assert send(account, RESOLVED, NOW) == Delivered(key)
    assert (service.open, service.pages) == ({}, 1)


def test_the_page_says_what_was_measured(service: Service, account: PagerDuty) -> None:
    send(account, FIRED, NOW)
    [event] = service.open.values()
    assert event["payload"]["severity"] == "error"
    first = event["payload"]["custom_details"]["alerts"][0]
    assert first["evidence"].startswith("ece 0.153 (0.121 to 0.187), n 1,240, limit 0.100, window 7 d, as of ")


def test_digests_and_recalibrations_page_nobody(service: Service, account: PagerDuty) -> None:
    change = render_change("calibrator 7 in force", NOW, "caldrift.example", {"ECE": "0.02"})
    assert send(account, DIGEST, NOW) == send(account, change, NOW) == Delivered()
    assert (service.pages, len(service.changes)) == (0, 2)


@pytest.mark.parametrize("kind", NOTICES)
def test_pagerduty_accepts_every_kind_of_notice(service: Service, account: PagerDuty, kind: str) -> None:
    assert isinstance(send(account, render(NOTICES[kind], "caldrift.example"), NOW), Delivered)


def test_the_routing_key_is_not_in_what_waits_to_be_sent() -> None:
    assert "routing_key" not in json.dumps([FIRED, RESOLVED, DIGEST])


def test_a_routing_key_of_the_wrong_length_breaks_the_channel_and_is_not_shown(receiver: Receiver) -> None:
    outcome = send(PagerDuty("short-secret", receiver.url), FIRED, NOW)
    said = "Length of 'routing_key' is incorrect (should be 32 characters)"
    assert outcome == Dead(f"HTTP 400: {said}", permanent=True)


def test_an_event_that_pagerduty_finds_wrong_is_dead_and_the_channel_lives(account: PagerDuty) -> None:
    spoilt = {**FIRED, "event": {**FIRED["event"], "event_action": "close"}}
    assert send(account, spoilt, NOW) == Dead("HTTP 400: 'event_action' is invalid", permanent=False)


def test_an_answer_that_repeats_the_routing_key_does_not_spread_it() -> None:
    body = json.dumps({"errors": [f"key {ROUTING_KEY} is unknown"]}).encode()
    with answering(Reply(400, body)) as place:
        assert told(place) == Dead("HTTP 400: key [key] is unknown", permanent=False)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_means_what_the_table_says(status: int) -> None:
    means(told, status)


@pytest.mark.parametrize("fault", CONNECTIONS)
def test_a_connection_that_fails_is_tried_again(fault: str, tmp_path: Path) -> None:
    passes(told, fault, tmp_path)


def test_after_too_many_events_it_waits_minutes_or_as_long_as_it_is_told() -> None:
    assert means(told, 429) == Retry(timedelta(minutes=2), "HTTP 429")
    assert means(told, 429, {"Retry-After": "600"}) == Retry(timedelta(minutes=10), "HTTP 429")
    assert means(told, 503) == Retry(None, "HTTP 503")


@pytest.mark.parametrize("reply", [HTML, Reply(200, b"{}"), Reply(204), Reply(201)])
def test_only_202_means_that_pagerduty_has_the_event(reply: Reply) -> None:
    with answering(reply) as place:
        assert told(place) == Retry(None, f"HTTP {reply.status} without PagerDuty's answer")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"errors": 3}', b"[" * 60_000, b'"errors"'])
def test_a_400_is_dead_whatever_its_body_holds(body: bytes) -> None:
    with answering(Reply(400, body)) as place:
        assert told(place) == Dead("HTTP 400", permanent=False)
