"""Silences, mute times and inhibition: who is told of what, and by whose clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.conduct import Severity
from monitor.alerting.hushing import Hushing, Silence, is_match, is_within, part_of
from monitor.alerting.routes import Inhibit, Match, MuteTime
from monitor.alerting.target import SERVICE, Target
from tests.alerting.making import MINUTE, START

DE = Target("series", "m", "confidence", '{"lang":"de"}', "", "7d")


@dataclass(frozen=True)
class Alert:
    """As much of an alert as is matched."""

    rule: str = "Gap"
    severity: Severity = "warning"
    target: Target = DE


def mute(**given: object) -> MuteTime:
    return MuteTime.model_validate({"name": "nights", **given})


def muted_hours(mute_time: MuteTime, day: str) -> list[str]:
    """The hours of UTC from midnight on at whose beginning nobody is told."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(24)]
    return [f"{at:%H}" for at in hours if is_within(mute_time, at)]


NIGHT = [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "07:00"}]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-06-10", [0, 1, 2, 3, 4, 5, 6, 22, 23]),
        ("Europe/Berlin", "2026-06-10", [0, 1, 2, 3, 4, 20, 21, 22, 23]),
        ("Europe/Berlin", "2026-01-10", [0, 1, 2, 3, 4, 5, 21, 22, 23]),
        ("Asia/Tokyo", "2026-06-10", [*range(13, 22)]),
        ("America/New_York", "2026-01-10", [*range(3, 12)]),
    ],
)
def test_a_night_is_that_of_the_place_in_summer_and_in_winter(zone: str, day: str, hours: list[int]) -> None:
    assert muted_hours(mute(time_zone=zone, times=NIGHT), day) == [f"{hour:02d}" for hour in hours]


def test_a_night_is_an_hour_shorter_where_clocks_go_forward_and_an_hour_longer_where_they_go_back() -> None:
    berlin = mute(time_zone="Europe/Berlin", times=[{"start_time": "00:00", "end_time": "07:00"}])

    def length(month: int, day: int) -> int:
        start = datetime(2026, month, day, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
        return sum(is_within(berlin, start + minute * MINUTE) for minute in range(12 * 60))

    assert [length(*day) for day in ((3, 28), (3, 29), (10, 25))] == [420, 360, 480]


def test_a_part_of_the_day_holds_from_its_start_to_before_its_end() -> None:
    noon = mute(times=[{"start_time": "12:00", "end_time": "12:01"}])
    day = datetime(2026, 6, 10, tzinfo=UTC)
    muted = [minute for minute in range(24 * 60) if is_within(noon, day + minute * MINUTE)]
    assert muted == [12 * 60]
    assert is_within(noon, day + timedelta(hours=12, seconds=59))
    late = mute(times=[{"start_time": "23:59", "end_time": "24:00"}])
    assert is_within(late, day - timedelta(microseconds=1))
    assert not is_within(late, day)


@pytest.mark.parametrize(
    ("days", "year", "month", "muted"),
    [
        ([-1], 2026, 2, [28]),
        ([-1], 2028, 2, [29]),
        ([-1], 2026, 4, [30]),
        ([-1, 1], 2026, 1, [1, 31]),
        ([-7], 2026, 2, [22]),
        ([31], 2026, 4, []),
        ([-31], 2026, 4, []),
        ([-31], 2026, 5, [1]),
    ],
)
def test_days_of_the_month_count_from_its_end_where_they_are_negative(
    days: list[int], year: int, month: int, muted: list[int]
) -> None:
    found = mute(days_of_month=days)
    first = datetime(year, month, 1, 12, tzinfo=UTC)
    every = [first + timedelta(days=number) for number in range(31)]
    assert [at.day for at in every if at.month == month and is_within(found, at)] == muted


def test_a_day_of_the_week_and_a_month_are_those_of_the_place() -> None:
    at = datetime(2026, 5, 31, 22, 30, tzinfo=UTC)  # a Sunday in May; in Berlin Monday, 1 June
    for zone, weekday, month, day in (("UTC", "sunday", "may", 31), ("Europe/Berlin", "monday", "june", 1)):
        assert is_within(mute(time_zone=zone, weekdays=[weekday]), at)
        assert is_within(mute(time_zone=zone, months=[month]), at)
        assert is_within(mute(time_zone=zone, days_of_month=[day]), at)
        assert is_within(mute(time_zone=zone, weekdays=[weekday], months=[month], days_of_month=[day]), at)
        assert not is_within(mute(time_zone=zone, weekdays=[weekday], months=["july"]), at)
        assert not is_within(mute(time_zone=zone, weekdays=["tuesday"], months=[month]), at)
        assert not is_within(mute(time_zone=zone, weekdays=[weekday], days_of_month=[15]), at)


@pytest.mark.parametrize(
    ("given", "matched"),
    [
        ({}, True),
        ({"rule": "G*"}, True),
        ({"rule": ["!Gap"]}, False),
        ({"model": "n"}, False),
        ({"model": ["n", "m"]}, True),
        ({"signal": "conf*"}, True),
        ({"signal": "margin"}, False),
        ({"segment": "lang=*"}, True),
        ({"segment": ""}, False),
        ({"segment": "lang=en"}, False),
        ({"severity": ["warning", "info"]}, True),
        ({"severity": ["critical"]}, False),
        ({"rule": "Gap", "model": "m", "severity": ["critical"]}, False),
    ],
)
def test_an_alert_is_matched_where_all_that_is_said_holds(given: dict[str, object], matched: bool) -> None:
    assert is_match(Match.model_validate(given), Alert()) == matched


def test_a_silence_holds_from_its_start_to_before_its_end() -> None:
    silence = Silence(7, Match(), START, START + 10 * MINUTE)
    said = [Hushing(START + minute * MINUTE, (silence,)).reason(Alert(), []) for minute in (-1, 0, 9, 10)]
    assert said == [None, "silence 7", "silence 7", None]


def test_a_person_comes_before_the_plan_and_the_plan_before_another_alert() -> None:
    silence = Silence(7, Match(), START, START + 10 * MINUTE)
    plan = (mute(times=[{"start_time": "00:00", "end_time": "24:00"}]),)
    inhibit = (Inhibit(when=Match(rule=("Whole",)), mute=Match(rule=("Gap",))),)
    whole = [Alert(rule="Whole")]
    assert Hushing(START, (silence,), plan, inhibit).reason(Alert(), whole) == "silence 7"
    assert Hushing(START, (), plan, inhibit).reason(Alert(), whole) == "mute time nights"
    assert Hushing(START, (), (), inhibit).reason(Alert(), whole) == "inhibited by Whole"
    assert Hushing(START, (), (), inhibit).reason(Alert(), []) is None


def test_no_alert_inhibits_itself_though_two_of_its_rule_do() -> None:
    everything = Hushing(START, (), (), (Inhibit(when=Match(), mute=Match()),))
    other = Alert(target=Target("series", "m", "confidence", "", "", "7d"))
    assert everything.reason(Alert(), [Alert()]) is None
    assert everything.reason(Alert(), [Alert(), other]) == "inhibited by Gap"


PARTS = ("rule", "severity", "model", "signal", "segment", "source", "window")
some_alerts = st.builds(
    Alert,
    rule=st.sampled_from(["A", "B"]),
    severity=st.sampled_from(["info", "error"]),
    target=st.builds(
        Target,
        st.just("series"),
        st.sampled_from(["m", "n"]),
        st.sampled_from(["confidence", "margin"]),
        st.sampled_from(["", '{"lang":"de"}']),
        st.sampled_from(["", "audit"]),
        st.sampled_from(["1d", "7d"]),
    ),
)


@given(some_alerts, st.lists(some_alerts, max_size=4), st.sets(st.sampled_from(PARTS)))
def test_another_alert_inhibits_only_where_both_agree_in_all_that_is_named(
    alert: Alert, firing: list[Alert], equal: set[str]
) -> None:
    inhibit = Inhibit.model_validate({"when": {"rule": "B"}, "mute": {"model": "m"}, "equal": sorted(equal)})
    target = alert.target
    own = (alert.rule, alert.severity, target.model, target.signal, target.segment, target.source, target.window)
    expected = target.model == "m" and any(
        other.rule == "B"
        and other != alert
        and (other.rule, other.target) != (alert.rule, target)
        and all(
            mine == theirs
            for name, mine, theirs in zip(
                PARTS,
                own,
                (other.rule, other.severity, *(getattr(other.target, part) for part in PARTS[2:])),
                strict=True,
            )
            if name in equal
        )
        for other in firing
    )
    said = Hushing(START, (), (), (inhibit,)).reason(alert, firing)
    assert said == ("inhibited by B" if expected else None)


def test_a_part_of_an_alert_is_a_part_of_its_name_or_nothing_where_that_does_not_apply() -> None:
    assert [part_of(Alert(), part) for part in PARTS] == [
        "Gap", "warning", "m", "confidence", "lang=de", "", "7d",
    ]  # fmt: skip
    service = Alert(target=SERVICE)
    assert [part_of(service, part) for part in PARTS] == ["Gap", "warning", "", "", "", "", ""]
