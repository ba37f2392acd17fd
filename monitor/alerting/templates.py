"""Templates of notices: Jinja2 in its sandbox, where a name that does not exist is an error."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, get_type_hints

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from monitor.forms import durations
from monitor.forms.refusals import meant


@dataclass(frozen=True, slots=True)
class RuleFields:
    """`rule`: what the rule says."""

    name: str = "EceHigh"
    description: str = "What it is for"
    metric: str = "ece"
    severity: str = "warning"
    compare: str = "above"


@dataclass(frozen=True, slots=True)
class SeriesFields:
    """`series`: which one; empty where the rule is about the service."""

    model: str = "triage"
    signal: str = "confidence"
    segment: str = "lang=de"
    source: str = ""
    window: str = "7d"

    def __str__(self) -> str:
        return " / ".join(part for part in (self.model, self.segment, self.signal, self.source, self.window) if part)


@dataclass(frozen=True, slots=True)
class AlertFields:
    """What a template may name. The defaults are an example, with which templates are tried."""

    rule: RuleFields = RuleFields()
    series: SeriesFields = SeriesFields()
    state: str = "firing"
    value: float | timedelta | None = 0.08
    low: float | None = 0.06
    high: float | None = 0.1
    limit: float | timedelta | None = 0.05
    baseline: float | None = 0.03
    n: int = 1200
    coverage: float | None = 0.8
    since: datetime = datetime(2026, 1, 31, 12, tzinfo=UTC)
    labels: dict[str, str] = field(default_factory=dict)


MEANINGS: Final = {
    "rule": "The rule: `rule.name`, `rule.description`, `rule.metric`, `rule.severity`, `rule.compare`.",
    "series": "The series: `series.model`, `series.signal`, `series.segment`, `series.source`, `series.window`.",
    "state": "`firing` or `resolved`.",
    "value": "The value that was judged; a duration of a measure of time.",
    "low": "Lower end of its interval, none where there is none.",
    "high": "Upper end of it.",
    "limit": "The limit that it crossed; none of an alarm of the detectors.",
    "baseline": "What a change was measured against, else none.",
    "n": "Labels in the window.",
    "coverage": "Share of the predictions that have a label.",
    "since": "When the limit was crossed first.",
    "labels": "The rule's own labels, by name.",
}
SUMMARY: Final = "summary"
"""What `templates` may name too: the rule's summary."""


def figure(value: float | timedelta | None) -> str:
    """A number with three digits, a duration in the unit that it is best read in; a dash for what is not known."""
    if value is None:
        return "–"
    return _length(value) if isinstance(value, timedelta) else f"{value:.3g}"


def _length(value: timedelta) -> str:
    """What was measured has microseconds, which nobody reads; a limit is as the settings have it."""
    if value % timedelta(minutes=1):
        steps = [step for step in (timedelta(hours=1), timedelta(minutes=1)) if value >= 10 * step]
        step = steps[0] if steps else timedelta(seconds=1)
        value = round(value / step) * step
    return durations.text(value)


def percent(value: float | None) -> str:
    """A share in hundredths; a dash for what is not known."""
    return "–" if value is None else f"{100 * value:.3g} %"


FILTERS: Final = {"figure": figure, "percent": percent}
_COMMON: Final = ("default", "join", "lower", "replace", "round", "title", "truncate", "upper")
"""Filters of Jinja2 that are worth proposing."""


@lru_cache(maxsize=1)
def environment() -> ImmutableSandboxedEnvironment:
    """Where templates run: nothing but their fields can be reached, and a name that does not exist is an error."""
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    made.filters.update(FILTERS)
    return made


def render(text: str, alert: AlertFields, summary: str | None = None) -> str:
    """The text of one alert; `summary` is for `templates` only. Raises jinja2.TemplateError, or what filters raise."""
    values: dict[str, Any] = {each.name: getattr(alert, each.name) for each in fields(alert)}
    return _compiled(text).render(values if summary is None else {**values, SUMMARY: summary})


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Template:
    """To compile takes longer than to render, and thousands of alerts share their templates."""
    return environment().from_string(text)


def mistakes(text: str, *, summary: bool) -> Iterator[str]:
    """What is wrong with a template; `summary`: whether it may name the rule's summary. Nothing if it renders."""
    try:
        tree = environment().parse(text)
    except TemplateSyntaxError as failure:
        yield f"must be a Jinja2 template: {_said(failure, text)}"
        return
    known = [*MEANINGS, SUMMARY] if summary else list(MEANINGS)
    wrong = [f"{name} is no field of an alert{meant(known, name)}" for name in _names(tree) if name not in known]
    wrong += _unknown_parts(tree)
    wrong += [
        f"{each.name} is no filter{meant([*FILTERS, *_COMMON], each.name)}"
        for each in tree.find_all(nodes.Filter)
        if each.name not in environment().filters
    ]
    yield from dict.fromkeys(wrong)
    if not wrong:
        try:
            render(text, AlertFields(), "A summary" if summary else None)
        except TemplateError as failure:
            yield f"must render: {failure}"
        except Exception as failure:  # noqa: BLE001 - a template is code of the user's, and may fail in any way
            yield f"must render: {type(failure).__name__}: {failure}"


def _names(tree: nodes.Template) -> list[str]:
    """Names that a template reads and does not set itself. A name read before it is set shows when it renders."""
    names = list(tree.find_all(nodes.Name))
    own = {each.name for each in names if each.ctx != "load"} | environment().globals.keys() | {"loop"}
    return sorted({each.name for each in names} - own)


def _unknown_parts(tree: nodes.Template) -> Iterator[str]:
    types = {"rule": RuleFields, "series": SeriesFields}
    for each in tree.find_all(nodes.Getattr):
        if isinstance(each.node, nodes.Name) and each.node.name in types:
            known = list(get_type_hints(types[each.node.name]))
            if each.attr not in known:
                yield f"{each.node.name}.{each.attr} is no field of an alert{meant(known, each.attr)}"


def _said(failure: TemplateSyntaxError, text: str) -> str:
    where = f" (line {failure.lineno} of it)" if "\n" in text.rstrip("\n") else ""
    return f"{failure.message}{where}"
