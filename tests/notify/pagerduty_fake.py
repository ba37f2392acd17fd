"""PagerDuty's Events API v2 on loopback: its documented fields and limits, and the incidents that are open."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.notify.receivers import Reply, Seen

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
_EVENT = {"routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"}
_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
_CHANGE = {"summary", "source", "timestamp", "custom_details"}


def mistakes(path: str, body: bytes) -> list[str]:
    """What PagerDuty would refuse in an event, or cut off without a word."""
    found = ["payload larger than 512 KB"] if len(body) > 512 * 1024 else []
    event = json.loads(body)
    if len(event.get("routing_key", "")) != 32:
        found.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    is_change = path == "/v2/change/enqueue"
    found += sorted(set(event) - ({"routing_key", "payload", "links"} if is_change else _EVENT))
    if not is_change and event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        found.append("'event_action' is invalid")
    if not is_change and not 0 < len(event.get("dedup_key", "")) <= 255:
        found.append("'dedup_key' is missing or longer than 255")
    if any(not link["href"].startswith("http") for link in event.get("links", [])):
        found.append("'links' are invalid")
    if is_change or event.get("event_action") == "trigger":
        found += _payload_mistakes(event.get("payload", {}), is_change)
    return found


def _payload_mistakes(payload: dict[str, Any], is_change: bool) -> list[str]:
    found = sorted(set(payload) - (_CHANGE if is_change else _PAYLOAD))
    if not 0 < len(payload.get("summary", "")) <= 1024:
        found.append("'payload.summary' is missing, blank or longer than 1024")
    if not payload.get("source"):
        found.append("'payload.source' is missing or blank")
    if not is_change and payload.get("severity") not in {"critical", "error", "warning", "info"}:
        found.append("'payload.severity' is invalid")
    if "timestamp" in payload and datetime.fromisoformat(payload["timestamp"]).tzinfo is None:
        found.append("'payload.timestamp' is invalid")
    if not isinstance(payload.get("custom_details", {}), dict):
        found.append("'payload.custom_details' is invalid")
    return found


@dataclass
class Service:
    """One service: a page for each incident that was opened."""

    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    pages: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, seen: Seen) -> Reply:
        wrong = mistakes(seen.path, seen.body)
        if wrong:
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
            return Reply(400, json.dumps(said).encode())
        event = json.loads(seen.body)
        key = event.get("dedup_key")
        if seen.path == "/v2/change/enqueue":
            self.changes.append(event)
        elif event["event_action"] == "trigger":
            self.pages += key not in self.open
            self.open[key] = event
        else:
            self.open.pop(key, None)
        answer = {"status": "success", "message": "Event processed", "dedup_key": key}
        return Reply(202, json.dumps(answer).encode())
