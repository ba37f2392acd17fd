"""Merging: what waited together is told as one notice, and nothing that fired in the meantime stays untold."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from monitor.alerting.notice import SEVERITIES, Alert, Counts, Kind, Notice, Series

Identity: TypeAlias = tuple[str, Series]
"""What an alert is: its rule, and what that looks at."""

_OVER: Final[frozenset[Kind]] = frozenset({"resolved", "digest"})


def merged(notices: Sequence[Notice]) -> Notice:
    """All notices of one incident that wait for a channel, in their order, as one; at least one of them.

    It says how the incident stands after the last, and its kind is what that means to a receiver who was told nothing
    since before the first: fired, changed, a reminder if all are, resolved, or a digest of what came and went untold.
    An alert that only earlier notices list is added as resolved, where it is known to be: of a last notice that lists
    only a part of what fires, an alert may be missing that still does. Those that are added stand after the others.

    Of changes the last is told, with all those before it.
    """
    last = notices[-1]
    if len(notices) == 1:
        return last
    if last.change is not None:
        return replace(last, earlier=tuple(each for notice in notices for each in reversed(notice.changes))[:-1])
    earlier: dict[Identity, Alert] = {}
    for notice in notices[:-1]:
        earlier.update({_identity(alert): alert for alert in notice.alerts})
    listed = {_identity(alert) for alert in last.alerts}
    lists_all_that_fires = sum(alert.state != "resolved" for alert in last.alerts) >= last.counts.firing
    added = sorted(
        (
            alert if alert.state == "resolved" else replace(alert, state="resolved", ended_at=last.at)
            for identity, alert in earlier.items()
            if identity not in listed and (alert.state == "resolved" or lists_all_that_fires)
        ),
        key=lambda alert: -SEVERITIES.index(alert.severity),
    )
    return replace(
        last,
        kind=_kind([notice.kind for notice in notices]),
        alerts=(*last.alerts, *added),
        counts=Counts(last.counts.firing, last.counts.resolved + len(added)),
    )


def _identity(alert: Alert) -> Identity:
    return alert.rule, alert.series


def _kind(kinds: Sequence[Kind]) -> Kind:
    was_open, is_open = kinds[0] not in {"fired", "digest"}, kinds[-1] not in _OVER
    if not is_open:
        return "resolved" if was_open else "digest"
    if not was_open:
        return "fired"
    return "reminder" if set(kinds) == {"reminder"} else "changed"
