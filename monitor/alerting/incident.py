"""Incident: the alerts of one rule and one group, told as one thing that opens, changes and closes, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import structs

from monitor.alerting.lifecycle import News
from monitor.alerting.terms import Terms
from monitor.alerting.versioned import Versioned, opened

VERSION: Final = 1

Announcing: TypeAlias = Literal["opened", "changed", "reminder", "closed"]
Group: TypeAlias = tuple[tuple[str, str], ...]


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one key: `firing`, the alerts that were told and have not resolved, sorted; open while any is.

    `order` counts the announcements of the key, over all times that it opened.
    """

    key: str
    order: int = 0
    firing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcement:
    """One thing to say of an incident: `order` 1, 2, ... must be said after all smaller ones of the key.

    `fired` and `resolved` since the last one; `firing` all that still do.
    """

    key: str
    order: int
    kind: Announcing
    fired: tuple[str, ...]
    resolved: tuple[str, ...]
    firing: tuple[str, ...]


class _Stored(Versioned, frozen=True):
    incident: Incident


def group_of(labels: Mapping[str, str], by: Sequence[str]) -> Group:
    """The group that labels fall into: the labels named in `by`, sorted by name; "" where there is none."""
    return tuple((name, labels.get(name, "")) for name in sorted(set(by)))


def dedup_key(instance: str, rule: str, group: Group) -> str:
    """64 hexadecimal digits that name the problem, and nothing that may change while it lasts: no value, no severity,
    no time. SHA-256 of the JSON of instance, rule and group, so that no two of them run into each other."""
    return sha256(msgspec.json.encode([instance, rule, sorted(group)])).hexdigest()


def announced(
    incident: Incident, notices: Sequence[tuple[str, News]], terms: Terms
) -> tuple[Incident, Announcement | None]:
    """The incident after the notices of one evaluation, each with the alert's name, and at most one thing to say.

    Notices that repeat what is known (a crash in between) change nothing. Where the terms do not send what resolved, an
    end is known, and counts, but is not said; what fires at the same evaluation is.
    """
    firing = set(incident.firing)
    for alert, notice in notices:
        if notice == "resolved":
            firing.discard(alert)
        elif notice == "fired":
            firing.add(alert)
    fired, resolved = firing - set(incident.firing), set(incident.firing) - firing
    after = structs.replace(incident, firing=tuple(sorted(firing)))
    reminded = any(notice == "reminder" and alert in firing for alert, notice in notices)
    kind = _change(incident, after) or ("reminder" if reminded else None)
    if kind is None or (kind != "reminder" and not fired and not terms.send_resolved):
        return after, None
    after = structs.replace(after, order=incident.order + 1)
    said = Announcement(incident.key, after.order, kind, tuple(sorted(fired)), tuple(sorted(resolved)), after.firing)
    return after, said


def encoded(incident: Incident) -> bytes:
    """The incident as JSON."""
    return msgspec.json.encode(_Stored(VERSION, incident))


def decoded(stored: bytes | str) -> Incident:
    """The incident of its JSON. Raises Refused for another version or what is no incident."""
    return opened(stored, _Stored, VERSION, "incident").incident


def _change(before: Incident, after: Incident) -> Announcing | None:
    if before.firing == after.firing:
        return None
    if not before.firing:
        return "opened"
    return "changed" if after.firing else "closed"
