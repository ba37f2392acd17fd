"""Which series a rule looks at, and which rules look at nothing."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from monitor.alerting.alertrules import AlertRule, Selection, Threshold
from monitor.alerting.patterns import matches, matches_segment
from monitor.rolling.segments import SeriesName, parse_segment


def selects(selection: Selection, series: SeriesName, main_signal: str) -> bool:
    """Whether a rule looks at a series, in whatever windows."""
    return (
        matches(selection.model, series.model)
        and matches(selection.signal or (main_signal,), series.signal)
        and matches(selection.source, series.source_group)
        and matches_segment(selection.segment, _parts(series.segment))
    )


@lru_cache(maxsize=64)
def _parts(segment: str) -> Mapping[str, str]:
    """Many rules look at one series after the other."""
    return parse_segment(segment)


def unreachable(rules: Iterable[AlertRule], series: Sequence[SeriesName], main_signal: str) -> list[str]:
    """Names of the rules that are judged and look at none of the series that there are.

    A rule about the service looks at no series and is never among them.
    """
    return [rule.name for rule in rules if rule.mode != "off" and not _reaches(rule, series, main_signal)]


def _reaches(rule: AlertRule, series: Sequence[SeriesName], main_signal: str) -> bool:
    about = rule.condition.metric.about if isinstance(rule.condition, Threshold) else "series"
    if about == "service":
        return True
    if about == "model":
        return any(matches(rule.select.model, each.model) for each in series)
    return any(selects(rule.select, each, main_signal) for each in series)
