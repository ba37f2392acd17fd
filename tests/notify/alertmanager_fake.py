"""Alertmanager on loopback: the checks of its API, version 2, and the alerts that it holds with their ends."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.notify.receivers import Reply, Seen

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FIELDS = {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}


def mistakes(alerts: Any) -> list[str]:
    """What differs from `postableAlerts` of Alertmanager's OpenAPI description, or fails its validation of alerts."""
    found = []
    for alert in alerts:
        found += sorted(set(alert) - _FIELDS)
        if not alert.get("labels"):
            found.append("at least one label pair required")
        for name, value in [*alert["labels"].items(), *alert.get("annotations", {}).items()]:
            if not _NAME.fullmatch(name) or not isinstance(value, str):
                found.append(f"invalid pair {name}={value!r}")
        times = [datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt") if name in alert]
        if any(at.tzinfo is None for at in times) or times != sorted(times):
            found.append("start time must be before end time")
        if not alert.get("generatorURL", "http://").startswith("http"):
            found.append("generatorURL")
    return found


@dataclass
class Instance:
    """One instance: the end of each alert that it was told, by its labels."""

    ends: dict[str, datetime] = field(default_factory=dict)

    def __call__(self, seen: Seen) -> Reply:
        if seen.path != "/api/v2/alerts":
            return Reply(404, b'"not found"')
        alerts = json.loads(seen.body)
        wrong = mistakes(alerts)
        if wrong:
            return Reply(400, json.dumps(wrong[0]).encode())
        for alert in alerts:
            self.ends[json.dumps(alert["labels"], sort_keys=True)] = datetime.fromisoformat(alert["endsAt"])
        return Reply(200)

    def firing(self, now: datetime) -> int:
        """How many alerts have not ended."""
        return sum(end > now for end in self.ends.values())
