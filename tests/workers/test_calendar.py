"""What a schedule made due, over daylight saving, leap days and downtime."""

from datetime import UTC, datetime, timedelta

import pytest

from monitor.workers.calendar import last_due

MONTHLY = "0 3 1 * *"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "now", "due"),
    [
        (MONTHLY, "UTC", "2026-06-01T03:00", "2026-07-01T02:59", None),
        (MONTHLY, "UTC", "2026-06-01T03:00", "2026-07-01T03:00", "2026-07-01T03:00"),
        (MONTHLY, "UTC", "2026-06-01T03:00", "2026-09-15T12:00", "2026-09-01T03:00"),  # three months down: the last
        (MONTHLY, "UTC", "2020-01-01T03:00", "2026-09-15T12:00", "2026-09-01T03:00"),
        (MONTHLY, "Europe/Zurich", "2026-01-01T02:00", "2026-08-01T12:00", "2026-08-01T01:00"),  # summer time
        (MONTHLY, "Europe/Zurich", "2026-08-01T01:00", "2026-12-01T12:00", "2026-12-01T02:00"),  # winter time
        ("30 2 29 3 *", "Europe/Zurich", "2026-03-01T00:00", "2026-03-30T00:00", "2026-03-29T01:30"),  # 02:30 is not
        ("30 2 * * *", "Europe/Zurich", "2026-10-25T00:30", "2026-10-25T01:29", None),  # 02:30 comes twice: once due
        ("30 2 * * *", "Europe/Zurich", "2026-10-25T00:30", "2026-10-25T12:00", None),  # the second time is past
        ("30 2 * * *", "Europe/Zurich", "2026-10-24T12:00", "2026-10-25T01:15", "2026-10-25T00:30"),
        ("*/30 * * * *", "Europe/Zurich", "2026-10-24T12:00", "2026-10-26T12:00", "2026-10-26T12:00"),
        ("30 2 * * *", "Europe/Zurich", "2026-03-29T01:15", "2026-03-29T01:45", "2026-03-29T01:30"),
        ("0 5 30 12 *", "Pacific/Apia", "2011-12-30T11:00", "2011-12-31T00:00", "2011-12-30T15:00"),  # a day left out
        ("0 3 29 2 *", "UTC", "2026-01-01T00:00", "2028-03-01T00:00", "2028-02-29T03:00"),
        ("0 3 29 2 *", "UTC", "2026-01-01T00:00", "2027-12-31T00:00", None),
        ("0 3 31 * *", "UTC", "2026-01-31T03:00", "2026-03-30T00:00", None),  # no 31st of February
        ("0 3 * * 0", "UTC", "2026-11-10T00:00", "2026-11-17T00:00", "2026-11-15T03:00"),  # a Sunday
        ("0 3 * * 7", "UTC", "2026-11-10T00:00", "2026-11-17T00:00", "2026-11-15T03:00"),
        ("0 3 * * 1-5", "UTC", "2026-11-10T00:00", "2026-11-16T00:00", "2026-11-13T03:00"),
        ("0 3 * * */3", "UTC", "2026-11-10T00:00", "2026-11-17T00:00", "2026-11-15T03:00"),  # and Wednesdays
        ("0 3 * * 2,thu", "UTC", "2026-11-10T00:00", "2026-11-17T00:00", "2026-11-12T03:00"),
        ("*/5 * * * *", "UTC", "2020-01-01T00:00", "2026-09-15T12:03", "2026-09-15T12:00"),
    ],
)
def test_the_last_instant_that_a_schedule_made_due(cron: str, zone: str, after: str, now: str, due: str | None) -> None:
    assert last_due(cron, zone, at(after), at(now)) == (None if due is None else at(due))


def test_hour_by_hour_over_five_years_every_month_is_due_once_and_in_order() -> None:
    after, found = at("2024-01-01T03:00"), []
    now = after
    while now < at("2029-01-01T03:00"):
        now += timedelta(hours=7)
        due = last_due(MONTHLY, "America/New_York", after, now)
        if due is not None:
            found.append(due)
            after = due
    assert len(found) == 60
    assert [each.astimezone(UTC).hour for each in found].count(8) + [each.hour for each in found].count(7) == 60
    assert found == sorted(set(found))
