"""Telling: from what a round changed to incidents, and to the notices that tell of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import structs

from monitor.alerting import notice as notices
from monitor.alerting import wording
from monitor.alerting.alert import Alert
from monitor.alerting.force import Force
from monitor.alerting.incident import Announcement, Announcing, Group, Incident, announced
from monitor.alerting.lifecycle import News
from monitor.alerting.notice import MOST_SHOWN, SEVERITIES, Counts
from monitor.alerting.round import Change
from monitor.alerting.states import Firing, Recovering
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Said

_KINDS: Final[dict[Announcing, notices.Kind]] = {
    "opened": "fired",
    "changed": "changed",
    "reminder": "reminder",
    "closed": "resolved",
}
MOVED: Final = "told elsewhere from now on: the route has changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An incident as it is kept: the rule and the group that it is of, and the channels that know of it."""

    incident: Incident
    rule: str
    group: Group
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """An incident after a round, and what is to be told of it now, if anything, to which channels."""

    told: Told
    notice: notices.Notice | None = None
    kind: Announcing | None = None
    channels: tuple[str, ...] = ()


Letters = dict[str, list[tuple[str, News]]]
"""By the key of an incident: what happened to which alert."""


def addressed(
    changes: Iterable[Change], open_incidents: Iterable[Told], alerts: Mapping[UUID, Alert], force: Force
) -> tuple[Letters, dict[str, Told]]:
    """What is to be said to which incident, and those of them that may be new.

    An end goes to the incident that knows of the alert. Where the route groups in another way than before, what fires
    ends in its old incident, and begins in the new one; while it is hushed it stays where it is known.
    """
    letters: Letters = {}
    fresh: dict[str, Told] = {}
    knows = {alert: told.incident.key for told in open_incidents for alert in told.incident.firing}

    def begin(alert: Alert) -> None:
        group = force.group(alert)
        if group is not None:
            key = force.key(alert.rule, group)
            letters.setdefault(key, []).append((str(alert.id), "fired"))
            fresh[key] = Told(incident=Incident(key=key), rule=alert.rule, group=group)

    for change in changes:
        name, said = str(change.after.id), change.decision.notice
        if said == "fired":
            begin(change.after)
        elif said is not None and name in knows:
            letters.setdefault(knows[name], []).append((name, said))
        if said == "resolved":
            knows.pop(name, None)
    for name, key in knows.items():
        alert = alerts.get(UUID(name))
        if alert is None or alert.hushed is not None:
            continue
        group = force.group(alert)
        if group is not None and force.key(alert.rule, group) != key:
            letters.setdefault(key, []).append((name, "resolved"))
            begin(alert)
    return letters, fresh


def told(
    letters: Letters,
    known: Mapping[str, Told],
    alerts: Mapping[UUID, Alert],
    force: Force,
    now: datetime,
) -> list[Telling]:
    """The incidents after what was said to them, with the notices that are due. `known`: those of all the letters, and
    all that are open.

    `alerts`: every alert that an incident knows of. A rule that is gone tells its end. Where a route has other channels
    than before, those that it has no longer are told an end, and those that are new what fires.
    """
    tellings = []
    for key, before in known.items():
        said = letters.get(key, [])
        terms = force.terms.get(before.rule, Terms())
        after, announcement = announced(before.incident, said, terms)
        route = force.route(before.rule)
        was = before.channels if before.incident.firing or route is None else route.notify
        now_told = was if route is None or not _may_move(after, alerts) else route.notify
        kept = replace(before, incident=after, channels=now_told)
        if announcement is not None:
            stay = was if announcement.kind == "closed" else tuple(name for name in was if name in now_told)
            notice = _notice(kept, announcement, alerts, force, now)
            tellings.append(Telling(kept, notice, announcement.kind, stay))
        elif said or set(now_told) != set(was):
            tellings.append(Telling(kept))
        left = tuple(name for name in was if name not in now_told and name in force.file.channels)
        joined = tuple(name for name in now_told if name not in was)
        moves: list[tuple[Announcing, tuple[str, ...]]] = [("closed", left if terms.send_resolved else ())]
        moves.append(("opened", joined))
        for kind, channels in moves:
            if channels:
                kept, announcement = _repeated(kept, before.incident.firing, kind)
                tellings.append(Telling(kept, _notice(kept, announcement, alerts, force, now), kind, channels))
    return tellings


def _may_move(incident: Incident, alerts: Mapping[UUID, Alert]) -> bool:
    """Whether others may be told of what fires: of something at least that is hushed for nobody."""
    found = [alerts.get(UUID(name)) for name in incident.firing]
    return any(alert is not None and alert.hushed is None for alert in found)


def _repeated(kept: Told, were_firing: tuple[str, ...], kind: Announcing) -> tuple[Told, Announcement]:
    """What is said of an incident that goes on to channels for which it ends, or begins."""
    incident = structs.replace(kept.incident, order=kept.incident.order + 1)
    firing = incident.firing if kind == "opened" else ()
    resolved = () if kind == "opened" else tuple(sorted({*were_firing, *incident.firing}))
    said = Announcement(incident.key, incident.order, kind, firing, resolved, firing)
    return replace(kept, incident=incident), said


def _notice(
    kept: Told, said: Announcement, alerts: Mapping[UUID, Alert], force: Force, now: datetime
) -> notices.Notice:
    """The whole incident as it stands, the worst alerts first."""
    ended = set(said.resolved)
    found = [alerts[UUID(name)] for name in {*said.firing, *said.resolved} if UUID(name) in alerts]
    found.sort(
        key=lambda alert: (str(alert.id) in ended, -SEVERITIES.index(alert.severity), *alert.target.labels.values())
    )
    listed = tuple(_alert(alert, force, now, over=str(alert.id) in ended) for alert in found)
    name = ", ".join(value for _, value in kept.group if value)
    worst = found[0] if found else None
    heading = name
    route = force.route(kept.rule)
    if worst is not None:
        heading = wording.title(worst, force, _started_at(worst, now), over=str(worst.id) in ended)
    return notices.Notice(
        kind=_KINDS[said.kind],
        incident=notices.Incident(kept.incident.key, heading),
        alerts=listed,
        counts=Counts(firing=len(said.firing), resolved=len(said.resolved)),
        group=kept.group,
        at=now,
        link=f"{force.pages.rstrip('/')}/alerts" if force.pages else None,
        shown=MOST_SHOWN if route is None else route.max_alerts_in_message,
    )


def _alert(alert: Alert, force: Force, now: datetime, *, over: bool) -> notices.Alert:
    evidence = alert.evidence
    remark = evidence.reason if isinstance(evidence, Said) else ""
    if over and isinstance(alert.state, Firing | Recovering):
        remark = MOVED
    return wording.told(alert, force, _started_at(alert, now), now if over else None, remark)


def _started_at(alert: Alert, now: datetime) -> datetime:
    return alert.fired_at or now


Urgency = Literal["at once", "after group_wait", "after group_interval"]


def urgency(kind: Announcing) -> Urgency:
    """When a notice is due: what opens may wait for others, what changes must not come too often, an end is an end."""
    urgencies: dict[Announcing, Urgency] = {
        "opened": "after group_wait",
        "changed": "after group_interval",
        "reminder": "after group_interval",
        "closed": "at once",
    }
    return urgencies[kind]
