"""Any receiver of Alertmanager's webhook, version 4, with a signature and a key that tells repeats apart.

The body: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. The receiver recomputes the
signature as HMAC-SHA256 with the shared secret over `<t>.<body>`, and refuses a `t` that is old.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from monitor.alerting.notice import Alert, Change, Dated, Notice
from monitor.notify.exchange import Answer, Transport, post
from monitor.notify.labels import annotations, common, fingerprint, labels, rfc3339
from monitor.notify.outcome import Delivered, Outcome
from monitor.notify.status import refusal
from monitor.notify.wording import and_more, cut, plain, web_link

ALERTS: Final = 1000
"""In one body; `truncatedAlerts` counts the others."""
EARLIER: Final = 100
"""Changes that waited with the last one: the latest of them."""
SIGNATURE: Final = "X-Caldrift-Signature"
IDEMPOTENCY: Final = "Idempotency-Key"
_NAME: Final = 300
_TEXT: Final = 3000
_NO_END: Final = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to post, and the secret to sign with, if any. A URL may well hold a secret of its own."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


def render(notice: Notice, receiver: str, external_url: str) -> dict[str, Any]:
    """The body. `receiver` is the channel's name here, `external_url` that of our pages.

    A notice of a change has no alerts, and the key `change` beside what Alertmanager sends.
    """
    listed = [_alert(alert, external_url) for alert in notice.alerts[:ALERTS]]
    return {
        "version": "4",
        "groupKey": plain(notice.incident.key),
        "truncatedAlerts": and_more(notice, len(listed)),
        "status": "resolved" if notice.is_over or notice.change else "firing",
        "receiver": receiver,
        "groupLabels": {cut(name, 200): cut(value, 1000) for name, value in notice.group},
        "commonLabels": common([alert["labels"] for alert in listed]),
        "commonAnnotations": common([alert["annotations"] for alert in listed]),
        "externalURL": external_url,
        "alerts": listed,
        **({"change": _news(notice, notice.change)} if notice.change else {}),
    }


def _news(notice: Notice, change: Change) -> dict[str, Any]:
    return {
        **_change(Dated(notice.at, change)),
        "facts": {cut(name, _NAME): cut(value, _TEXT) for name, value in change.facts},
        "before": [msgspec.to_builtins(each) for each in change.before],
        "after": [msgspec.to_builtins(each) for each in change.after],
        "link": web_link(notice.link),
        "report": web_link(change.report),
        "earlier": [_change(each) for each in notice.earlier[-EARLIER:]],
    }


def _change(dated: Dated) -> dict[str, Any]:
    change = dated.change
    return {
        "at": rfc3339(dated.at),
        "what": change.what,
        "model": cut(change.model, _TEXT),
        "signal": cut(change.signal, _TEXT),
        "version": change.version,
        "previous": change.previous,
        "by": cut(change.by, _NAME),
        "sentence": cut(change.sentence, _TEXT),
    }


def _alert(alert: Alert, external_url: str) -> dict[str, Any]:
    of = labels(alert)
    return {
        "status": "resolved" if alert.state == "resolved" else "firing",
        "labels": of,
        "annotations": annotations(alert),
        "startsAt": rfc3339(alert.started_at),
        "endsAt": rfc3339(alert.ended_at) if alert.ended_at else _NO_END,
        "generatorURL": web_link(alert.link) or external_url,
        "fingerprint": fingerprint(of),
    }


def signature(secret: str, body: bytes, now: datetime) -> str:
    """`t=<seconds since 1970>,v1=<hex>`."""
    seconds = str(int(now.timestamp()))
    digest = hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def send(
    hook: Webhook,
    body: Mapping[str, Any],
    now: datetime,
    idempotency_key: str,
    transport: Transport = Transport(),  # noqa: B008 - a frozen value
) -> Outcome:
    """Post what `render` wrote. A second attempt posts the same bytes with the same key, signed anew."""
    written = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", IDEMPOTENCY: idempotency_key}
    if hook.secret is not None:
        headers[SIGNATURE] = signature(hook.secret, written, now)
    found = post(transport, hook.url, written, headers)
    if not isinstance(found, Answer):
        return found
    return Delivered() if 200 <= found.status < 300 else refusal(found.status, found.headers, now)
