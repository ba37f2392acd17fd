"""Alertmanager: alerts by its API, version 2, to every instance of a cluster.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Instances do not tell each other of alerts, so
each must be told. What fires must be told again before it ends: Alertmanager takes silence for recovery.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.alerting.notice import Alert, Notice
from monitor.notify.exchange import Answer, Transport, post
from monitor.notify.labels import annotations, labels, rfc3339
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.status import refusal
from monitor.notify.wording import web_link

INTERVALS: Final = 3
"""For so many intervals without a word an alert still fires: one may be late, and one may fail."""


@dataclass(frozen=True, slots=True)
class Alertmanagers:
    """Every instance of one cluster, never a load balancer before them. URLs may hold credentials."""

    urls: tuple[str, ...] = field(repr=False)
    interval: timedelta


def render(notice: Notice) -> list[dict[str, Any]]:
    """All alerts of the notice. The ones that fire have no end yet: that depends on when they are told."""
    return [_alert(alert) for alert in notice.alerts]


def _alert(alert: Alert) -> dict[str, Any]:
    link = web_link(alert.link)
    ended_at = alert.ended_at if alert.state == "resolved" else None
    return {
        "labels": labels(alert),
        "annotations": annotations(alert),
        "startsAt": rfc3339(alert.started_at),
        **({"endsAt": rfc3339(ended_at)} if ended_at else {}),
        **({"generatorURL": link} if link else {}),
    }


def send(
    instances: Alertmanagers,
    alerts: Sequence[Mapping[str, Any]],
    now: datetime,
    transport: Transport = Transport(),  # noqa: B008 - a frozen value
) -> Outcome:
    """Tell every instance. One that takes them is enough: the others hear of what still fires within an interval, and
    let what has resolved end by itself. The flaw says which did not, by their place in the list.
    """
    end = rfc3339(now + INTERVALS * instances.interval)
    body = json.dumps([{"endsAt": end, **alert} for alert in alerts], ensure_ascii=False).encode()
    outcomes = [_told(url, body, now, transport) for url in instances.urls]
    missed = {place: found for place, found in enumerate(outcomes, 1) if not isinstance(found, Delivered)}
    said = "; ".join(f"instance {place}: {found.reason}" for place, found in missed.items())
    if len(missed) < len(outcomes):
        return Delivered(flaw=said or None)
    waits = [found.after for found in missed.values() if isinstance(found, Retry)]
    if waits:
        return Retry(min((wait for wait in waits if wait is not None), default=None), said)
    return Dead(said, permanent=all(isinstance(found, Dead) and found.permanent for found in missed.values()))


def _told(url: str, body: bytes, now: datetime, transport: Transport) -> Outcome:
    address = f"{url.rstrip('/')}/api/v2/alerts"
    found = post(transport, address, body, {"Content-Type": "application/json"})
    if not isinstance(found, Answer):
        return found
    return Delivered() if 200 <= found.status < 300 else refusal(found.status, found.headers, now)
