"""The calendar: which instant a schedule made due last."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from monitor.recalibration.crontab import with_named_days

_NEAR: Final = (timedelta(days=1), timedelta(days=40), timedelta(days=800))
_DAY: Final = timedelta(days=1)


def last_due(cron: str, timezone: str, after: datetime, now: datetime) -> datetime | None:
    """The last instant of a schedule in (after, now], UTC; None: there is none.

    Five fields of cron by the zone's clocks: what they skip in spring is due just after, what they show twice in
    autumn is due once. Of all that downtime missed only the last is due: the labels of one run hold those of all
    before.
    """
    zone, trigger = ZoneInfo(timezone), CronTrigger.from_crontab(with_named_days(cron), timezone=UTC)
    for reach in _NEAR:
        found = _last(trigger, zone, max(after, now - reach), now)
        if found is not None or now - reach <= after:
            return found
    return _last(trigger, zone, after, now)


def _last(trigger: CronTrigger, zone: ZoneInfo, after: datetime, now: datetime) -> datetime | None:
    """The trigger only ever sees what clocks show, as if in UTC: of an hour that comes twice it gives the same instants
    for ever."""
    # Clocks that were put forward within a day skipped what is due now, those that were put back showed it before.
    shown = min(_shown(after, zone), _shown(after - _DAY, zone) + _DAY)
    last = max(_shown(now, zone), _shown(now - _DAY, zone) + _DAY)
    found: datetime | None = None
    while True:
        following = trigger.get_next_fire_time(None, shown)
        if following is None or following > last:
            return found
        instant = following.replace(tzinfo=zone).astimezone(UTC)
        if after < instant <= now and (found is None or instant > found):
            found = instant
        shown = following + timedelta(microseconds=1)


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clocks show, as if that were UTC."""
    return instant.astimezone(zone).replace(tzinfo=UTC)
