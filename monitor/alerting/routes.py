"""Who is told what, when not, and what says that all is well."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from monitor.alerting.conduct import Severity, Template
from monitor.alerting.kinds import RuleName, TimeOfDay, Zone
from monitor.alerting.notice import MOST_SHOWN
from monitor.alerting.patterns import Globs, SegmentGlobs
from monitor.forms.durations import Duration, parse
from monitor.forms.kinds import Count, Section

Group: TypeAlias = Literal["rule", "model", "signal", "segment", "source", "window", "severity"]
Weekday: TypeAlias = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Month: TypeAlias = Literal[
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
]  # fmt: skip
DayOfMonth = Annotated[int, Field(strict=True, ge=-31, le=31)]
Channels = Annotated[tuple[RuleName, ...], Field(min_length=1, max_length=16)]


class Route(Section):
    """Whom to tell, and how alerts are put together into one message."""

    notify: Channels = Field(description="Names of `channels`.")
    group_by: tuple[Group, ...] = Field(
        default=("rule", "model"), description="Alerts that agree in these are told together."
    )
    group_wait: Duration = Field(
        default=parse("30s"), ge=parse("0s"), le=parse("1d"), description="How long a first message waits for others."
    )
    group_interval: Duration = Field(
        default=parse("5m"), ge=parse("0s"), le=parse("7d"), description="Least time between two messages of a group."
    )
    max_alerts_in_message: Count = Field(
        default=MOST_SHOWN,
        ge=1,
        le=MOST_SHOWN,
        description="So many are listed in Slack and PagerDuty; the rest are counted and linked.",
    )


class Match(Section):
    """Which alerts. What is left out matches all."""

    rule: Globs | None = Field(default=None, description="Rules.")
    model: Globs | None = Field(default=None, description="Models.")
    segment: SegmentGlobs | None = Field(default=None, description="Segments.")
    signal: Globs | None = Field(default=None, description="Signals.")
    severity: tuple[Severity, ...] | None = Field(default=None, min_length=1, description="Severities.")


class Inhibit(Section):
    """Alerts that are not told while another fires."""

    when: Match = Field(description="While one of these fires,")
    mute: Match = Field(description="these keep their state, and nobody is told.")
    equal: tuple[Group, ...] = Field(default=("model",), description="Only where both agree in these.")


class TimeRange(Section):
    """A part of a day."""

    start_time: TimeOfDay = Field(description="Its start.")
    end_time: TimeOfDay = Field(description="Its end, which does not belong to it; 24:00 is the end of the day.")


class MuteTime(Section):
    """Planned times in which nobody is told. All that is said must hold together."""

    name: RuleName = Field(description="Its name.")
    match: Match = Field(default=Match(), description="Which alerts.")
    time_zone: Zone = Field(default="UTC", description="Where the clock stands.")
    times: tuple[TimeRange, ...] | None = Field(default=None, min_length=1, description="Parts of the day.")
    weekdays: tuple[Weekday, ...] | None = Field(default=None, min_length=1, description="Days of the week.")
    days_of_month: tuple[DayOfMonth, ...] | None = Field(
        default=None, min_length=1, description="Days of the month; -1 is the last one."
    )
    months: tuple[Month, ...] | None = Field(default=None, min_length=1, description="Months.")


class Recalibration(Section):
    """News of recalibrations: proposed, in force, in shadow, rolled back, or that the old map was kept."""

    tell: Annotated[tuple[RuleName, ...], Field(max_length=16)] = Field(
        description="Names of `channels` of any kind but alertmanager, which knows alerts only. Empty: nobody is told."
    )


class Heartbeat(Section):
    """A sign of life for a dead man's switch: whoever listens notices when it stops."""

    every: Duration = Field(default=parse("1m"), ge=parse("1s"), le=parse("1d"), description="Time between two signs.")
    notify: Channels = Field(description="Names of `channels` of kind webhook or alertmanager.")


class Templates(Section):
    """Texts of messages, in Jinja2."""

    title: Template = Field(default="{{ summary }}", description="The first line; how bad it is stands before it.")
    text: Template = Field(
        default="{{ rule.description or summary }}",
        description="What is said of each alert, beside its figures.",
    )
