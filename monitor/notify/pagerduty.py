"""PagerDuty, Events API v2: one incident a problem, opened and closed by its key; changes that page nobody.

https://developer.pagerduty.com/docs/events-api-v2-overview and the pages after it: fields, limits, what to repeat.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.alerting.notice import Alert, Notice
from monitor.notify.exchange import Answer, Transport, post
from monitor.notify.labels import rfc3339
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.status import refusal
from monitor.notify.wording import (
    and_more,
    cut,
    dated,
    figures,
    fitting,
    headline,
    series_name,
    standing,
    tally,
    web_link,
)

SUMMARY: Final = 1024
KEY: Final = 255
EVENT: Final = 512 * 1024
_ALERTS: Final = EVENT * 3 // 4
"""For the details of alerts: everything else is far below the rest."""
_NAME: Final = 300
_DETAIL: Final = 1000
_WAIT: Final = timedelta(minutes=2)
"""After a 429 without a wait of its own; PagerDuty asks for a few minutes."""


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """The key of an integration; `url` is another one for accounts in Europe and for tests."""

    routing_key: str = field(repr=False)
    url: str = "https://events.pagerduty.com"


def render(notice: Notice, source: str) -> dict[str, Any]:
    """An event without its routing key: `path` under the URL, and `event`.

    What fires or changes triggers, with the incident's key: PagerDuty adds it to the incident that is open and pages
    nobody again, so that a reminder is better not sent at all. A digest of what is over pages nobody: it is a change
    event, and so is every notice of a change. `source` is this installation's name.
    """
    if notice.change is not None:
        return _news(notice, source)
    if notice.kind == "digest":
        return render_change(headline(notice), notice.at, source, {"alerts": tally(notice)}, notice.link)
    if notice.is_over:
        return render_resolve(notice)
    event = {"event_action": "trigger", "dedup_key": cut(notice.incident.key, KEY)}
    models = {alert.series.model for alert in notice.alerts}
    rules = {alert.rule for alert in notice.alerts}
    payload = {
        "summary": cut(f"{notice.incident.title} · {tally(notice)}", SUMMARY),
        "source": cut(source, _NAME) or "caldrift",
        "severity": notice.severity,
        "timestamp": rfc3339(notice.at),
        **({"component": cut(models.pop(), _NAME)} if len(models) == 1 else {}),
        **({"class": cut(rules.pop(), _NAME)} if len(rules) == 1 else {}),
        "custom_details": _details(notice),
    }
    return {"path": "/v2/enqueue", "event": {**event, "client": "caldrift", "payload": payload, **_links(notice.link)}}


def render_resolve(notice: Notice) -> dict[str, Any]:
    """The event that closes the notice's incident; PagerDuty takes it, and does nothing, where none is open."""
    return {
        "path": "/v2/enqueue",
        "event": {"event_action": "resolve", "dedup_key": cut(notice.incident.key, KEY)},
    }


def _news(notice: Notice, source: str) -> dict[str, Any]:
    """The last change that is applied, if any is, with all that waited with it."""
    changes = notice.changes
    told = next((each for each in changes if each.change.is_applied), changes[0])
    change, others = told.change, [dated(each) for each in reversed(changes) if each is not told]
    details = {**dict(change.facts), "why": change.sentence, "by": change.by, "told with it": "; ".join(others)}
    given = {name: value for name, value in details.items() if value}
    return render_change(change.title, told.at, source, given, notice.link, report=change.report)


def render_change(
    summary: str,
    at: datetime,
    source: str,
    details: Mapping[str, str],
    link: str | None = None,
    *,
    report: str | None = None,
) -> dict[str, Any]:
    """A change event, such as a recalibration put in force; responders see it beside what happens after it."""
    payload = {
        "summary": cut(summary, SUMMARY),
        "source": cut(source, _NAME) or "caldrift",
        "timestamp": rfc3339(at),
        "custom_details": {cut(name, _NAME): cut(value, _DETAIL) for name, value in list(details.items())[:100]},
    }
    return {"path": "/v2/change/enqueue", "event": {"payload": payload, **_links(link, report)}}


def _details(notice: Notice) -> dict[str, Any]:
    shown = fitting(
        [_alert(alert) for alert in notice.alerts[: notice.shown]], _ALERTS, lambda found: len(json.dumps(found))
    )
    left = and_more(notice, len(shown))
    return {
        "group": {cut(name, _NAME): cut(value, _NAME) for name, value in notice.group[:20]},
        "alerts": shown,
        **({"and_more": left} if left > 0 else {}),
    }


def _alert(alert: Alert) -> dict[str, str]:
    found = {
        "rule": cut(alert.rule, _NAME),
        "severity": alert.severity,
        "series": cut(series_name(alert.series), _NAME * 3),
        "state": cut(standing(alert), _NAME),
        "evidence": cut(figures(alert.evidence), _NAME) if alert.evidence else "",
        "summary": cut(alert.summary, 3000),
        "link": web_link(alert.link) or "",
        "runbook": web_link(alert.runbook) or "",
    }
    return {name: value for name, value in found.items() if value}


def _links(link: str | None, report: str | None = None) -> dict[str, list[dict[str, str]]]:
    addresses = (("Open in caldrift", web_link(link)), ("Report", web_link(report)))
    links = [{"href": address, "text": text} for text, address in addresses if address]
    return {"links": links} if links else {}


def send(
    service: PagerDuty,
    rendered: Mapping[str, Any],
    now: datetime,
    transport: Transport = Transport(),  # noqa: B008 - a frozen value
) -> Outcome:
    """Send what `render` wrote. Only 202 means that PagerDuty has it; the reference is the incident's key there."""
    body = json.dumps({"routing_key": service.routing_key, **rendered["event"]}, separators=(",", ":")).encode()
    url = service.url.rstrip("/") + rendered["path"]
    found = post(transport, url, body, {"Content-Type": "application/json"})
    if not isinstance(found, Answer):
        return found
    if found.status == 202:
        return Delivered(rendered["event"].get("dedup_key"))
    if 200 <= found.status < 300:
        return Retry(None, f"HTTP {found.status} without PagerDuty's answer")
    outcome = refusal(found.status, found.headers, now)
    if isinstance(outcome, Retry):
        return Retry(outcome.after or (_WAIT if found.status == 429 else None), outcome.reason)
    return _explained(outcome, found, service.routing_key)


def _explained(outcome: Dead, found: Answer, secret: str) -> Dead:
    """With what PagerDuty found wrong. A 400 over the routing key is about the channel, any other about the event."""
    try:
        errors = json.loads(found.text)["errors"]
        said = cut("; ".join(map(str, errors)).replace(secret, "[key]"), _NAME)
    except (ValueError, RecursionError, KeyError, TypeError):
        return outcome
    return Dead(f"{outcome.reason}: {said}", permanent=outcome.permanent or "routing_key" in said)
