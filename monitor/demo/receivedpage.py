"""What the stand-ins for Slack and PagerDuty received: as a page for people, and as JSON. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from monitor.demo import mrkdwn
from monitor.demo.pagerduty import Incident, Service
from monitor.demo.slack import Message, Workspace

Item = TypeVar("Item")

REFRESH_SECONDS: Final = 3
SHOWN: Final = 20
"""Messages and incidents on the page, the newest first; the JSON has all that are kept."""


def page(slack: Workspace, pagerduty: Service, web: str, now: datetime) -> str:
    """The page; it renews itself. `web` is where the service's own page is."""
    return (
        _environment()
        .get_template("received.html")
        .render(
            messages=_newest(list(slack.messages.values())),
            incidents=_newest(pagerduty.incidents),
            changes=_newest(pagerduty.changes),
            open_incidents=sum(one.resolved_at is None for one in pagerduty.incidents),
            web=web,
            now=now,
            refresh_seconds=REFRESH_SECONDS,
        )
    )


def received(slack: Workspace, pagerduty: Service) -> dict[str, Any]:
    """All that is kept, as it came but without secrets; times by the wall clock."""
    return {
        "slack": [_message(one) for one in slack.messages.values()],
        "pagerduty": {
            "incidents": [_incident(one) for one in pagerduty.incidents],
            "changes": [{"at": one.at.isoformat(), **one.body} for one in pagerduty.changes],
        },
    }


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {"ts": message.ts, "at": message.at.isoformat(), "text": message.text}
    if message.picture is not None:
        return {**found, "picture": f"/pictures/{message.picture.id}.png", "described": message.picture.described}
    return {
        **found,
        "edited_at": None if message.edited_at is None else message.edited_at.isoformat(),
        "blocks": message.blocks,
        **({"broadcast": True} if message.broadcast else {}),
        "replies": [_message(reply) for reply in message.replies],
    }


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "number": incident.number,
        "dedup_key": incident.key,
        "resolved_at": None if incident.resolved_at is None else incident.resolved_at.isoformat(),
        "events": [{"at": one.at.isoformat(), **one.body} for one in incident.events],
    }


def _newest(items: Sequence[Item]) -> list[Item]:
    return list(reversed(items[-SHOWN:]))


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("monitor.demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        mrkdwn=mrkdwn.html, clock=_clock, lasted=_lasted, texts=_texts, fields=_fields, details=_details, facts=_facts
    )
    return found


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def _lasted(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _texts(block: Mapping[str, Any]) -> list[Markup | str]:
    """The texts of a block: mrkdwn as HTML, anything else as it is."""
    elements = block.get("elements")
    return _shown(elements if isinstance(elements, list) else [block.get("text")])


def _fields(block: Mapping[str, Any]) -> list[Markup | str]:
    """The texts that a section shows side by side."""
    fields = block.get("fields")
    return _shown(fields if isinstance(fields, list) else [])


def _shown(found: Sequence[object]) -> list[Markup | str]:
    texts = [each for each in found if isinstance(each, Mapping)]
    return [
        mrkdwn.html(str(each.get("text", ""))) if each.get("type") == "mrkdwn" else str(each.get("text", ""))
        for each in texts
    ]


def _details(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alerts among an incident's details."""
    alerts = _facts(payload).get("alerts")
    return [each for each in alerts if isinstance(each, Mapping)] if isinstance(alerts, list) else []


def _facts(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The details of an event, by name."""
    details = payload.get("custom_details")
    return details if isinstance(details, Mapping) else {}
