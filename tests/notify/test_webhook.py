"""Webhook: Alertmanager's body, a signature that receivers can check, a key that repeats keep."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.notify.outcome import Delivered, Outcome, Retry
from monitor.notify.webhook import Webhook, render, send
from tests.notify.faults import CONNECTIONS, STATUSES, Place, means, passes
from tests.notify.receivers import Reply, receiving
from tests.notify.samples import NOTICES, NOW, alert, notice

SECRET = "hush: ü"
FIRED = render(NOTICES["fired"], "hook", "https://caldrift.example")


def told(place: Place) -> Outcome:
    return send(Webhook(f"{place.url}/hook?token=hush", SECRET), FIRED, NOW, "key-1", place.transport)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_a_delivery(status: int) -> None:
    with receiving(lambda seen: Reply(status)) as receiver:
        assert told(Place(receiver.url)) == Delivered()


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_means_what_the_table_says(status: int) -> None:
    means(told, status)


@pytest.mark.parametrize("fault", CONNECTIONS)
def test_a_connection_that_fails_is_tried_again(fault: str, tmp_path: Path) -> None:
    passes(told, fault, tmp_path)


def test_a_receiver_that_asks_to_wait_is_waited_for() -> None:
    for status in (429, 503):
        assert means(told, status, {"Retry-After": "90"}) == Retry(timedelta(seconds=90), f"HTTP {status}")


def test_the_receiver_finds_the_signature_over_time_and_body() -> None:
    with receiving() as receiver:
        told(Place(receiver.url))
        [seen] = receiver.seen
    fields = dict(part.split("=", 1) for part in seen.headers["x-caldrift-signature"].split(","))
    assert datetime.fromtimestamp(int(fields["t"]), UTC) == NOW
    signed = f"{fields['t']}.".encode() + seen.body
    assert fields["v1"] == hmac.digest(SECRET.encode(), signed, "sha256").hex()
    tampered = signed.replace(b"firing", b"resolved")
    assert fields["v1"] != hmac.new(SECRET.encode(), tampered, hashlib.sha256).hexdigest()


def test_without_a_secret_nothing_is_signed() -> None:
    with receiving() as receiver:
        send(Webhook(receiver.url), FIRED, NOW, "key-1")
        assert "x-caldrift-signature" not in receiver.seen[0].headers


def test_a_second_attempt_sends_the_same_bytes_with_the_same_key_signed_anew() -> None:
    with receiving() as receiver:
        hook = Webhook(receiver.url, SECRET)
        for minutes in (0, 5):
            send(hook, json.loads(json.dumps(FIRED)), NOW + timedelta(minutes=minutes), "key-1")
        first, second = receiver.seen
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == "key-1"
    assert first.headers["x-caldrift-signature"] != second.headers["x-caldrift-signature"]


def test_an_alert_keeps_its_fingerprint_while_what_is_measured_changes() -> None:
    now = alert("de")
    later = alert("de", state="resolved", ended_at=NOW, evidence=None, summary="Better.")
    prints = [
        render(notice(alerts=(one,)), "hook", "x")["alerts"][0]["fingerprint"] for one in (now, later, alert("fr"))
    ]
    assert prints[0] == prints[1] != prints[2]


def test_what_all_alerts_say_alike_is_common_to_them() -> None:
    assert FIRED["commonLabels"] == {
        "alertname": "EceHigh",
        "severity": "error",
        "model": "triage-v3",
        "signal": "stated",
    }
    assert render(NOTICES["test"], "hook", "x")["commonLabels"] == {}
