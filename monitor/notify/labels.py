"""An alert as labels and annotations, the form that Alertmanager and its receivers know. Pure."""

import hashlib
from datetime import UTC, datetime
from typing import Final

from monitor.alerting.notice import Alert
from monitor.notify.wording import cut, figures, web_link

_VALUE: Final = 1000
_SUMMARY: Final = 3000


def labels(alert: Alert) -> dict[str, str]:
    """What the alert is; none of it changes while it fires. Labels without a value are left out, as Prometheus does."""
    found = {
        **dict(alert.labels),
        "alertname": alert.rule,
        "severity": alert.severity,
        "model": alert.series.model,
        "signal": alert.series.signal,
        "segment": alert.series.segment,
        "source": alert.series.source,
        "window": alert.series.window,
    }
    return {name: written for name, value in found.items() if (written := cut(value, _VALUE))}


def annotations(alert: Alert) -> dict[str, str]:
    """What was measured, and where to read on, as text."""
    found = {
        "summary": cut(alert.summary, _SUMMARY),
        "evidence": cut(figures(alert.evidence), _VALUE) if alert.evidence else "",
        "remark": cut(alert.remark or "", _VALUE),
        "runbook_url": web_link(alert.runbook) or "",
    }
    return {name: value for name, value in found.items() if value}


def common(mappings: list[dict[str, str]]) -> dict[str, str]:
    """What all of the mappings say alike; nothing if there are none."""
    first, *others = mappings or [{}]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def fingerprint(of: dict[str, str]) -> str:
    """16 hexadecimal digits that stay the same for the same labels."""
    text = "\0".join(f"{name}\0{value}" for name, value in sorted(of.items()))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def rfc3339(at: datetime) -> str:
    """`2026-11-22T10:00:00.123456Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
