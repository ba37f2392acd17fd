"""A channel of the rules: one notice told there, of whatever kind the channel is."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from monitor.alerting.channels import Alertmanager, Channel, Email, PagerDuty, Slack, SlackWebhook, Webhook
from monitor.alerting.notice import Alert, Counts, Incident, Notice, Series
from monitor.errors import BadInput
from monitor.notify import alertmanager, mail, pagerduty, slack, slack_blocks, webhook
from monitor.notify.exchange import Transport
from monitor.notify.labels import rfc3339
from monitor.notify.outcome import Dead, Delivered, Outcome
from monitor.notify.slack import Picture

HEARTBEAT: Final = "CaldriftHeartbeat"
"""The alert that fires at the receiver of signs of life while there are some."""
SILENT: Final = "CaldriftSilent"
"""The alert that Alertmanager holds back while the other one fires, and sends when that has ended."""
_SILENT_FOR: Final = timedelta(days=7)
ALERTS_ONLY: Final = "left out: Alertmanager knows alerts only"
NOT_CHANGED: Final = "left out: PagerDuty is told what is changed, and this is only proposed, or left as it was"
NOT_REMINDED: Final = "left out: PagerDuty reminds people by itself"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a channel keeps out of the rules: its token, URL, routing key or password, and the key of its signatures."""

    main: str | None = field(default=None, repr=False)
    signing: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A channel that notices can go to. `name` is the rules' name for it."""

    name: str
    channel: Channel
    secrets: Secrets = Secrets()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who tells: the name of this installation, where its pages are, and how to speak HTTP."""

    name: str
    pages: str
    transport: Transport


@dataclass(frozen=True, slots=True)
class Errand:
    """One notice to tell at `now`. `key` tells repeats apart; `reference` is what the receiver calls the incident."""

    notice: Notice
    now: datetime
    key: str
    reference: str | None = None
    picture: Picture | None = None


def deliver(place: Place, errand: Errand, sender: Sender) -> Outcome:
    """Tell it there, once. A reference of the outcome is what the next notice of the incident is to be told with."""
    channel, transport = place.channel, sender.transport
    match channel:
        case Slack():
            return _slack(channel, place.secrets, errand, transport)
        case SlackWebhook():
            hook = slack.SlackHook(_needed(place))
            return slack.send_by_hook(hook, slack_blocks.render(errand.notice), errand.now, transport)
        case PagerDuty():
            service = pagerduty.PagerDuty(_needed(place), channel.url)
            return _pagerduty(service, errand, sender)
        case Webhook():
            body = webhook.render(errand.notice, place.name, sender.pages)
            target = webhook.Webhook(_needed(place), place.secrets.signing)
            return webhook.send(target, body, errand.now, errand.key, transport)
        case Alertmanager():
            if errand.notice.change is not None:
                return Delivered(flaw=ALERTS_ONLY)
            return resend(channel, [errand.notice], errand.now, transport)
        case Email():
            return mail.send(_mailbox(channel, place), mail.render(errand.notice), errand.now, errand.key, transport)
        case _:
            assert_never(channel)


def resend(channel: Alertmanager, notices: Sequence[Notice], now: datetime, transport: Transport) -> Outcome:
    """Tell Alertmanager, who takes silence for recovery, of all alerts of these notices; of none, nothing is sent."""
    alerts = [alert for notice in notices for alert in alertmanager.render(notice)]
    if not alerts:
        return Delivered()
    return alertmanager.send(alertmanager.Alertmanagers(channel.urls, channel.resend_every), alerts, now, transport)


def beat(place: Place, every: timedelta, now: datetime, sender: Sender) -> Outcome:
    """Give a sign of life: at a webhook as an alert that fires, again and again; at Alertmanager as an alert that fires
    for three times `every`, and as another one that says the opposite, which the first is to inhibit."""
    channel = place.channel
    title = f"caldrift at {sender.name} is alive"
    alive = Alert(
        rule=HEARTBEAT,
        severity="info",
        series=Series("", "", ""),
        state="firing",
        started_at=now,
        summary=title,
        labels=(("instance", sender.name),),
    )
    notice = Notice(
        kind="fired",
        incident=Incident(f"heartbeat {sender.name}", title),
        alerts=(alive,),
        counts=Counts(firing=1, resolved=0),
        group=(("rule", HEARTBEAT),),
        at=now,
    )
    match channel:
        case Webhook():
            return deliver(place, Errand(notice, now, f"heartbeat {now.isoformat()}"), sender)
        case Alertmanager():
            said = "caldrift has given no sign of life, or this Alertmanager does not inhibit this alert while it does"
            silent = replace(alive, rule=SILENT, severity="critical", summary=said)
            held_back = {
                **alertmanager.render(replace(notice, alerts=(silent,)))[0],
                "endsAt": rfc3339(now + _SILENT_FOR),
            }
            alerts = [*alertmanager.render(notice), held_back]
            instances = alertmanager.Alertmanagers(channel.urls, every)
            return alertmanager.send(instances, alerts, now, sender.transport)
        case _:
            return Dead(f"{channel.kind} takes no signs of life", permanent=True)


def longest_attempt(channel: Channel, timeout: float) -> timedelta:
    """What one attempt may take at most: its requests one after the other, each for connecting and for its answer."""
    match channel:
        case Slack():
            requests = 6
        case Email():
            requests = 8 + len(channel.to)  # SMTP's commands
        case Alertmanager():
            requests = len(channel.urls)
        case PagerDuty():
            requests = 2
        case _:
            requests = 1
    return timedelta(seconds=2 * (requests + 1) * timeout)


def keeps_thread(channel: Channel) -> bool:
    """Whether an incident's notices belong together there."""
    return isinstance(channel, Slack) and channel.thread


def shows_pictures(channel: Channel) -> bool:
    """Whether a picture may go with a notice."""
    return isinstance(channel, Slack) and channel.diagram


def _slack(channel: Slack, secrets: Secrets, errand: Errand, transport: Transport) -> Outcome:
    bot = slack.SlackBot(secrets.main or "", channel.channel, channel.base_url)
    message = slack_blocks.render(errand.notice)
    return slack.send(bot, message, errand.now, reference=errand.reference, picture=errand.picture, transport=transport)


def _pagerduty(service: pagerduty.PagerDuty, errand: Errand, sender: Sender) -> Outcome:
    """A digest closes too, and a test what it opened: an attempt whose answer got lost may have opened an incident."""
    notice = errand.notice
    if notice.kind == "reminder":
        return Delivered(flaw=NOT_REMINDED)
    if notice.kind == "change" and not any(each.change.is_applied for each in notice.changes):
        return Delivered(flaw=NOT_CHANGED)
    events = [pagerduty.render(notice, sender.name)]
    if notice.kind == "digest":
        events.insert(0, pagerduty.render_resolve(notice))
    elif notice.kind == "test":
        events.append(pagerduty.render_resolve(notice))
    outcome: Outcome = Delivered()
    for event in events:
        outcome = pagerduty.send(service, event, errand.now, sender.transport)
        if not isinstance(outcome, Delivered):
            break
    return outcome


def _mailbox(channel: Email, place: Place) -> mail.Mailbox:
    return mail.Mailbox(
        host=channel.host,
        port=channel.port,
        security=channel.security,
        user=channel.username,
        password=place.secrets.main,
        sender=channel.sender,
        recipients=channel.to,
    )


def _needed(place: Place) -> str:
    if place.secrets.main is None:
        raise BadInput(f"channel {place.name} has no secret")
    return place.secrets.main
