"""How rules behave: what `defaults` and each rule may say, and what holds where neither says anything."""

from datetime import timedelta
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from monitor.alerting.kinds import LabelName, RuleName
from monitor.alerting.patterns import Globs, SegmentGlobs
from monitor.forms.durations import JSON_SCHEMA, parse, text
from monitor.forms.kinds import Count, Name, Number, Section, Switch

Evidence: TypeAlias = Literal["confident", "point"]
Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
Mode: TypeAlias = Literal["active", "shadow", "off"]
Insufficient: TypeAlias = Literal["hold", "ok", "alert"]
OnError: TypeAlias = Literal["hold", "alert"]

Template = Annotated[str, Field(min_length=1, max_length=10_000)]
#: The bounds stand inside, next to the type: only there does pydantic say them in words.
Pause = Annotated[
    timedelta,
    Field(ge=timedelta(0), le=parse("365d")),
    BeforeValidator(parse),
    PlainSerializer(text),
    WithJsonSchema(JSON_SCHEMA),
]


class Select(Section):
    """Which series a rule looks at. A pattern has `*` for any text and `?` for one character; `!` takes out."""

    model: Globs | None = Field(default=None, description="Models.")
    segment: SegmentGlobs | None = Field(
        default=None,
        description='Segments: "" is the whole model, `lang=*` each value of a dimension, `lang=*,tier=a` a cross, '
        '"*" all of these.',
    )
    signal: Globs | None = Field(default=None, description="Signals. Absent: the main signal.")
    source: Globs | None = Field(default=None, description='Label sources: "" is the primary ones together.')
    window: Globs | None = Field(
        default=None, description="Windows, of those that `windows.lengths` of caldrift.toml keeps, and `all`."
    )


class Conduct(Section):
    """What every rule does unless it says otherwise."""

    select: Select | None = Field(default=None, description="Which series.")
    evidence: Evidence | None = Field(
        default=None,
        description="confident: the bound of the interval must cross `enter`; point: the value must. A measure without "
        "an interval is always judged by its value.",
    )
    for_: Pause | None = Field(default=None, alias="for", description="The limit must stay crossed for so long.")
    for_new_labels: Count | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="And while so many new labels came: two windows that overlap are one piece of evidence.",
    )
    keep_firing_for: Pause | None = Field(
        default=None, description="A value must be back within `exit` for so long to resolve."
    )
    repeat_every: Pause | None = Field(
        default=None, description="Time between reminders while an alert fires; 0s: none."
    )
    min_labelled: Count | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="With fewer labels in the window the data do not suffice.",
    )
    min_label_coverage: Number | None = Field(
        default=None,
        ge=0,
        le=1,
        description="With a smaller share of labelled predictions the data do not suffice.",
    )
    on_insufficient_data: Insufficient | None = Field(
        default=None,
        description="What becomes of an alert where the data do not suffice: its state holds, it ends, or it fires.",
    )
    on_error: OnError | None = Field(
        default=None, description="What becomes of an alert that could not be judged: its state holds, or it fires."
    )
    send_resolved: Switch | None = Field(default=None, description="Whether the end of an alert is told too.")
    severity: Severity | None = Field(default=None, description="How bad it is, in PagerDuty's words.")
    route: RuleName | None = Field(default=None, description="Whom to tell: one of `routes`. Absent: `fallback_route`.")
    mode: Mode | None = Field(
        default=None, description="shadow: judged and shown, and nobody is told; off: not judged."
    )
    summary: Template | None = Field(default=None, description="One line that says what is the matter; a template.")
    labels: dict[LabelName, Name] | None = Field(
        default=None, description="Further labels of the alert, for grouping and for other systems."
    )
    annotations: dict[LabelName, Template] | None = Field(
        default=None, description="Further texts of the alert, say `runbook_url`; templates."
    )


BUILT_IN: Final = Conduct.model_validate(
    {
        "select": {"model": "*", "segment": "", "source": "", "window": "7d"},
        "evidence": "confident",
        "for": "30m",
        "for_new_labels": 25,
        "keep_firing_for": "2h",
        "repeat_every": "24h",
        "min_labelled": 500,
        "min_label_coverage": 0.5,
        "on_insufficient_data": "hold",
        "on_error": "hold",
        "send_resolved": True,
        "severity": "warning",
        "mode": "active",
        "summary": "{{ rule.name }}: {{ rule.metric }} is {{ value|figure }}"
        "{% if series.model %} ({{ series.model }}){% endif %}",
        "labels": {},
        "annotations": {},
    }
)
"""What holds where a file says nothing."""
