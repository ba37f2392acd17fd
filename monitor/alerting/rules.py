"""One rule, as the file has it."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from monitor.alerting import metrics
from monitor.alerting.conduct import Conduct
from monitor.alerting.kinds import Limit, RuleName
from monitor.drift.alarms import Tier
from monitor.forms.allowed import Words
from monitor.forms.durations import Duration, parse
from monitor.forms.kinds import Count, Number, Section

Compare: TypeAlias = Literal["above", "below", "change_above", "change_below"]


def _metric(name: str) -> str:
    if name not in metrics.NAMES:
        raise PydanticCustomError("literal_error", "unknown metric", {"expected": ", ".join(metrics.NAMES)})
    return name


MetricName = Annotated[
    str,
    AfterValidator(_metric),
    Words("one of the metrics below"),
    WithJsonSchema({"type": "string", "enum": list(metrics.NAMES)}),
]


class SamePeriod(Section):
    """The same hours of earlier weeks: for traffic with a season."""

    kind: Literal["same_period"] = Field(description="Compare with earlier periods.")
    every: Duration = Field(default=parse("7d"), ge=parse("1h"), le=parse("365d"), description="Length of the season.")
    periods: Count = Field(default=4, ge=1, le=52, description="How many earlier periods.")
    min_periods: Count = Field(default=2, ge=1, le=52, description="With fewer the data do not suffice.")
    statistic: Literal["median", "mean"] = Field(default="median", description="What of their values counts.")


class LastRecalibration(Section):
    """The first full window after the recalibration that is in force."""

    kind: Literal["last_recalibration"] = Field(description="Compare with the last recalibration.")


class LastVersion(Section):
    """The last window of the model version before."""

    kind: Literal["last_version"] = Field(description="Compare with the model version before.")


class Trailing(Section):
    """The stretch of time that ends where the window begins."""

    kind: Literal["trailing"] = Field(description="Compare with the time before the window.")
    length: Duration = Field(
        default=parse("28d"), ge=parse("1d"), le=parse("365d"), description="Length of that stretch of time."
    )


Baseline = Annotated[SamePeriod | LastRecalibration | LastVersion | Trailing, Field(discriminator="kind")]


class Rollup(Section):
    """One alert in place of many."""

    to: Literal["model"] = Field(default="model", description="What the one alert is about.")
    when_share: Number = Field(
        default=0.5,
        gt=0,
        le=1,
        description="From this share of the model's selected series on, which then fire as one.",
    )


class RuleEntry(Conduct):
    """One rule. It may also say whatever `defaults` may."""

    name: RuleName = Field(description="Its name, which no other rule has.")
    description: str | None = Field(default=None, max_length=1000, description="What it is for.")
    extends: RuleName | None = Field(
        default=None, description="A rule from which everything is taken over that this one does not say."
    )
    metric: MetricName | None = Field(default=None, description="What it watches; needed unless it is taken over.")
    compare: Compare | None = Field(
        default=None,
        description="On which side of `enter` the value is bad; change_*: of the value less its baseline. Absent: the "
        "side that is bad, where the metric has one.",
    )
    enter: Limit | None = Field(default=None, description="The limit that must be crossed. Needed unless taken over.")
    exit: Limit | None = Field(
        default=None, description="The limit behind which it is over, compared with the value. Absent: `enter`."
    )
    baseline: Baseline | None = Field(default=None, description="What a change is measured against.")
    rollup: Rollup | None = Field(default=None, description="Whether many alerts of a model become one.")
    false_discovery_rate: Number | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="Of the crossings that count in one evaluation of one window, the share to expect by chance, over "
        "all the rule's series; the others count as between. It bounds nothing over many evaluations. Absent: each "
        "crossing counts.",
    )
    tier: Tier | None = Field(default=None, description="Of `metric: drift`: which alarms. Absent: page.")
    false_pages_per_year: Number | None = Field(
        default=None,
        gt=0,
        le=10_000,
        description="Of `metric: drift` and pages: how many to expect in a year in which nothing drifts. Absent, and "
        "at most: `drift.false_pages_per_year` of caldrift.toml. The smallest of all rules holds for all detectors.",
    )
