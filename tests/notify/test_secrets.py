"""No secret is in a representation, an outcome or a log, whatever the receiver answers."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from monitor.notify import alertmanager, pagerduty, slack, slack_blocks, webhook
from monitor.notify.mail import Mailbox
from monitor.notify.outcome import Outcome
from tests.notify.receivers import Reply, Seen, receiving
from tests.notify.samples import NOTICES, NOW

SECRET = "hush-0123456789abcdef"
FIRED = NOTICES["fired"]
PICTURE = slack.Picture(b"\x89PNG", "Reliability", "A curve")


def _slack(url: str) -> Outcome:
    bot = slack.SlackBot(SECRET, "C1", f"{url}/api/")
    return slack.send(bot, slack_blocks.render(FIRED), NOW, reference="C1/1.1", picture=PICTURE)


SENDERS: dict[str, Callable[[str], Outcome]] = {
    "slack": _slack,
    "slack hook": lambda url: slack.send_by_hook(
        slack.SlackHook(f"{url}/services/{SECRET}"), slack_blocks.render(FIRED), NOW
    ),
    "pagerduty": lambda url: pagerduty.send(pagerduty.PagerDuty(SECRET, url), pagerduty.render(FIRED, "here"), NOW),
    "webhook": lambda url: webhook.send(
        webhook.Webhook(f"{url}/{SECRET}", SECRET), webhook.render(FIRED, "hook", url), NOW, "key"
    ),
    "alertmanager": lambda url: alertmanager.send(
        alertmanager.Alertmanagers((f"{url}/{SECRET}",), timedelta(minutes=5)), alertmanager.render(FIRED), NOW
    ),
}


def _echo(status: int) -> Callable[[Seen], Reply]:
    """An answer that repeats all that it was sent, in its headers and where each receiver says what is wrong."""

    def answer(seen: Seen) -> Reply:
        said = f"{seen.path} {seen.headers} {seen.body.decode()}"
        body = json.dumps({"ok": status == 200, "error": said, "errors": [said], "ts": "1.1", "channel": "C1"})
        return Reply(status, body.encode(), {"Content-Type": "application/json", "X-Path": seen.path})

    return answer


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("channel", SENDERS)
def test_no_secret_is_in_an_outcome_or_a_log(channel: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with receiving(_echo(status)) as receiver:
        outcome = SENDERS[channel](receiver.url)
        assert any(SECRET in f"{seen.path} {seen.headers} {seen.body!r}" for seen in receiver.seen)
    assert SECRET not in repr(outcome)
    assert SECRET not in caplog.text
    assert FIRED.incident.title not in caplog.text  # nor what is told: names of segments are the users' own


@pytest.mark.parametrize(
    "value",
    [
        slack.SlackBot(SECRET, "C1"),
        slack.SlackHook(f"https://hooks.slack.com/services/{SECRET}"),
        pagerduty.PagerDuty(SECRET),
        webhook.Webhook(f"https://x.example/{SECRET}", SECRET),
        alertmanager.Alertmanagers((f"https://user:{SECRET}@am.example",), timedelta(minutes=5)),
        Mailbox(host="h", user="u", password=SECRET, sender="a@example.org", recipients=()),
    ],
)
def test_no_secret_is_in_the_text_form_of_a_channel(value: object) -> None:
    assert SECRET not in repr(value)
    assert SECRET not in str(value)
