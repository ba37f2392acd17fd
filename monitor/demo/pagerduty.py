"""A stand-in for PagerDuty: one service, its incidents by their key, and the changes that page nobody.

The Events API v2 as https://developer.pagerduty.com/docs/events-api-v2-overview says: 202, or 400 with what is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

SEVERITIES: Final = frozenset({"critical", "error", "warning", "info"})
ACTIONS: Final = frozenset({"trigger", "acknowledge", "resolve"})
KEPT: Final = 100
"""Incidents, and changes."""


@dataclass(frozen=True, slots=True)
class Event:
    """What came, without the routing key."""

    at: datetime
    action: str
    summary: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class Incident:
    """What somebody is paged for: opened by a trigger, closed by a resolve with the same key."""

    number: int
    key: str
    events: list[Event]
    resolved_at: datetime | None = None

    @property
    def summary(self) -> str:
        """What the first trigger said, as PagerDuty has it for as long as the incident lives."""
        return self.events[0].summary

    @property
    def newest(self) -> Mapping[str, Any]:
        """The payload of the last trigger."""
        found: Mapping[str, Any] = next(
            each.body["payload"] for each in reversed(self.events) if "payload" in each.body
        )
        return found


@dataclass(slots=True)
class Service:
    """What PagerDuty holds of one integration."""

    routing_key: str = field(repr=False)
    incidents: list[Incident] = field(default_factory=list)
    """The oldest first."""
    changes: list[Event] = field(default_factory=list)
    _count: int = 0

    def enqueue(self, event: Mapping[str, Any], now: datetime) -> tuple[int, dict[str, Any]]:
        """Status and answer to POST /v2/enqueue."""
        wrong = self._wrong(event)
        action = event.get("event_action")
        if action not in ACTIONS:
            wrong.append("'event_action' is invalid")
        if action == "trigger":
            wrong += _wrong_payload(event.get("payload"), is_change=False)
        elif not event.get("dedup_key"):
            wrong.append("'dedup_key' is missing or blank")
        if wrong:
            return _refused(wrong)
        key = str(event.get("dedup_key") or f"key-{self._count + 1}")
        self._apply(key, _event(event, str(action), now))
        return _accepted(key)

    def enqueue_change(self, event: Mapping[str, Any], now: datetime) -> tuple[int, dict[str, Any]]:
        """Status and answer to POST /v2/change/enqueue."""
        wrong = self._wrong(event) + _wrong_payload(event.get("payload"), is_change=True)
        if wrong:
            return _refused(wrong)
        self.changes.append(_event(event, "change", now))
        del self.changes[:-KEPT]
        return _accepted(None)

    def _apply(self, key: str, event: Event) -> None:
        found = next((one for one in self.incidents if one.key == key and one.resolved_at is None), None)
        if found is not None:
            found.events.append(event)
            found.resolved_at = event.at if event.action == "resolve" else None
        elif event.action == "trigger":
            self._count += 1
            self.incidents.append(Incident(self._count, key, [event]))
            del self.incidents[:-KEPT]

    def _wrong(self, event: Mapping[str, Any]) -> list[str]:
        return [] if event.get("routing_key") == self.routing_key else ["'routing_key' is invalid"]


def _wrong_payload(payload: object, *, is_change: bool) -> list[str]:
    if not isinstance(payload, Mapping):
        return ["'payload' is missing"]
    wrong = []
    if not 0 < len(str(payload.get("summary", ""))) <= 1024:
        wrong.append("'payload.summary' is missing, blank or too long")
    if not is_change and not payload.get("source"):
        wrong.append("'payload.source' is missing or blank")
    if not is_change and payload.get("severity") not in SEVERITIES:
        wrong.append("'payload.severity' is invalid")
    return wrong


def _event(event: Mapping[str, Any], action: str, now: datetime) -> Event:
    body = {name: value for name, value in event.items() if name != "routing_key"}
    return Event(now, action, str(body.get("payload", {}).get("summary", "")), body)


def _accepted(key: str | None) -> tuple[int, dict[str, Any]]:
    answer = {"status": "success", "message": "Event processed"}
    return 202, answer if key is None else {**answer, "dedup_key": key}


def _refused(wrong: list[str]) -> tuple[int, dict[str, Any]]:
    return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
