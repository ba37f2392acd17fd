"""The calendar: which instant a schedule made due last."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

_NEAR: Final = (timedelta(days=1), timedelta(days=40), timedelta(days=800))


def last_due(cron: str, timezone: str, after: datetime, now: datetime) -> datetime | None:
    """The last instant of a schedule in (after, now], UTC; None: there is none.

    Five fields of cron by the zone's clocks: what they skip in spring is due just after, what they show twice in
    autumn is due once. Of all that downtime missed only the last is due: the labels of one run hold those of all
    before.
    """
    trigger = CronTrigger.from_crontab(cron, timezone=ZoneInfo(timezone))
    for reach in _NEAR:
        found = _last(trigger, max(after, now - reach), now)
        if found is not None or now - reach <= after:
            return found
    return _last(trigger, after, now)


def _last(trigger: CronTrigger, after: datetime, now: datetime) -> datetime | None:
    found: datetime | None = None
    following = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    while following is not None and following <= now:
        found = following
        following = trigger.get_next_fire_time(following, following + timedelta(microseconds=1))
    return None if found is None else found.astimezone(ZoneInfo("UTC"))
