"""Recalibrations as news: who is told of a change of maps, and as what."""

from datetime import datetime
from typing import Final
from urllib.parse import quote

from monitor.alerting.force import Force
from monitor.alerting.incident import Group, dedup_key
from monitor.alerting.notice import Change, Counts, Incident, Notice

RULE: Final = "recalibration"
"""What the incidents of these news name in place of a rule."""


def group_of(change: Change) -> Group:
    """What all news of the same signal have in common, so that each follows those before it."""
    return (("model", change.model), ("signal", change.signal))


def key_of(change: Change, instance: str) -> str:
    """What receivers know the news of the same signal by. No alert has such a key: its group names its rule."""
    return dedup_key(instance, RULE, group_of(change))


def told_to(force: Force) -> tuple[str, ...]:
    """The channels that are told: those that the rules name, else those of the route of rules that name none."""
    file = force.file
    if file.recalibration is not None:
        return file.recalibration.tell
    return () if file.default_route is None else file.default_route.notify


def takes(force: Force, channel: str, change: Change) -> bool:
    """Whether the channel is told this: PagerDuty is told what is done, not what might be or was left as it was."""
    found = force.file.channels.get(channel)
    return found is not None and (found.kind != "pagerduty" or change.is_applied)


def notice_of(change: Change, force: Force, at: datetime) -> Notice:
    """The notice of a change at `at`, with a link to its page where ours are known."""
    page = f"{force.pages.rstrip('/')}/recalibration/{quote(change.model, safe='')}" if force.pages else None
    return Notice(
        kind="change",
        incident=Incident(key_of(change, force.instance), change.title),
        alerts=(),
        counts=Counts(firing=0, resolved=0),
        group=group_of(change),
        at=at,
        link=page,
        change=change,
    )
