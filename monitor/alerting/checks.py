"""What no single value can get wrong: values of rules that do not go together."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from monitor.alerting import templates
from monitor.alerting.alertrules import AlertRule, DriftAlarm, alert_rule, family, inherited
from monitor.alerting.calibrated import BIASED, by_chance, labels_for
from monitor.alerting.conduct import Conduct
from monitor.alerting.kept import Kept
from monitor.alerting.kinds import limit_text
from monitor.alerting.metrics import DRIFT, METRICS, Metric
from monitor.alerting.mistakes import Finding
from monitor.alerting.nodes import Path
from monitor.alerting.patterns import matches
from monitor.alerting.routes import MuteTime
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.rules import RuleEntry, SamePeriod

_OF_LIMITS: Final = ("compare", "enter", "exit", "baseline")
_OF_LABELS: Final = (
    "evidence",
    "for_new_labels",
    "min_labelled",
    "min_label_coverage",
    "on_insufficient_data",
    "false_discovery_rate",
)
_TIMES: Final = ("times", "weekdays", "days_of_month", "months")
_OF_DETECTORS: Final = ("tier", "false_pages_per_year")


def check(file: RuleFile, kept: Kept) -> Iterator[Finding]:
    """Every value that does not fit the others or the settings, by its path, with what is allowed and what came."""
    by_name = {entry.name: entry for entry in file.rules}
    yield from _windows(("defaults",), file.defaults, kept)
    for number, entry in enumerate(file.rules):
        path: Path = ("rules", number)
        yield from _windows(path, entry, kept)
        members = family(entry, by_name)
        if members[-1].extends is None:  # else it lacks what it would take over, which is a mistake of another kind
            numbers = [file.rules.index(each) for each in members]
            yield from (_within(numbers, each) for each in _rule(path, entry, inherited(members), kept))
            rule = alert_rule(entry, by_name, file)
            if rule is not None and rule.mode != "off":
                yield from (_within(numbers, each) for each in _chance(path, entry, rule, kept))
    for number, mute in enumerate(file.mute_times):
        yield from _mute(("mute_times", number), mute)
    yield from texts(file)


def _within(family_numbers: list[int], finding: Finding) -> Finding:
    """What a finding about a rule depends on may be refused in any rule of its family; all depend on the metric."""
    keys = ("metric", *(path[-1] for path in finding.unless))
    return replace(finding, unless=tuple(("rules", number, key) for number in family_numbers for key in keys))


def _rule(path: Path, entry: RuleEntry, whole: RuleEntry, kept: Kept) -> Iterator[Finding]:
    """Of one rule: `entry` as the file has it, `whole` with what it takes over from those it extends."""
    metric = METRICS.get(whole.metric or "")
    if entry.extends is None and whole.metric is None:
        yield Finding((*path, "metric"), "is needed: what does the rule watch?")
    elif whole.metric == DRIFT:
        yield from _drift(path, entry, whole, kept)
    elif metric is not None:
        yield from _strangers(path, entry, metric)
        yield from _limits(path, entry, whole, metric)


def _windows(path: Path, conduct: Conduct, kept: Kept) -> Iterator[Finding]:
    for number, pattern in enumerate((conduct.select.window if conduct.select else None) or ()):
        bare = pattern.removeprefix("!")
        if not any(matches((bare,), window) for window in kept.windows):
            place = (*path, "select", "window", number)
            yield Finding(place, f'must be a window that is kept ({", ".join(kept.windows)}), got "{bare}"')


def _drift(path: Path, entry: RuleEntry, whole: RuleEntry, kept: Kept) -> Iterator[Finding]:
    for key in (*_OF_LIMITS, *_OF_LABELS):
        if getattr(entry, key) is not None:
            yield Finding((*path, key), "is not for drift, which the detectors judge", of_key=True)
    for key in ("window", "source"):
        if entry.select is not None and getattr(entry.select, key) is not None:
            said = (
                f"is not for drift: the detectors watch hour by hour, labels of the primary sources; {key} has no part"
            )
            yield Finding((*path, "select", key), said, of_key=True)
    budget = entry.false_pages_per_year
    if budget is not None and whole.tier == "warn":
        said = "is for tier page; caldrift.toml says how many warnings there are (drift.false_warnings_per_year)"
        yield Finding((*path, "false_pages_per_year"), said, of_key=True, unless=((*path, "tier"),))
    elif budget is not None and budget > kept.false_pages_per_year:
        limit = f"drift.false_pages_per_year of caldrift.toml ({kept.false_pages_per_year:g})"
        yield Finding((*path, "false_pages_per_year"), f"must be at most {limit}, got {budget:g}")


def _strangers(path: Path, entry: RuleEntry, metric: Metric) -> Iterator[Finding]:
    """Keys of the rule that its metric has no use for."""
    for key in _OF_DETECTORS:
        if getattr(entry, key) is not None:
            yield Finding((*path, key), f"is for metric drift, got metric {metric.name}", of_key=True)
    if entry.evidence == "confident" and not metric.interval:
        yield Finding((*path, "evidence"), f'must be "point": {metric.name} has no interval, got "confident"')
    if metric.about == "series":
        return
    for key in (*_OF_LABELS, "rollup"):
        if key != "evidence" and getattr(entry, key) is not None:
            yield Finding((*path, key), f"is for measures of a reading, got metric {metric.name}", of_key=True)
    allowed = {"model"} if metric.about == "model" else set()
    for key in entry.select.model_fields_set - allowed if entry.select is not None else ():
        about = "each model, so only model selects" if allowed else "the whole service, so nothing selects"
        yield Finding((*path, "select", key), f"has no part: {metric.name} is about {about}", of_key=True)


def _limits(path: Path, entry: RuleEntry, whole: RuleEntry, metric: Metric) -> Iterator[Finding]:
    enter, end, compare = whole.enter, whole.exit, whole.compare or metric.bad
    if enter is None:
        said = f"is needed: from which limit on is {metric.name} bad?"
        yield Finding((*path, "enter"), said, unless=((*path, "enter"),))
    if compare is None:
        said = f"is needed: {metric.name} may be bad on either side; say above or below"
        yield Finding((*path, "compare"), said, unless=((*path, "compare"),))
    yield from _baseline(path, entry, whole, compare)
    change = compare in {"change_above", "change_below"}
    if change and metric.about != "series":
        yield Finding((*path, "compare"), f'must be "above" or "below": {metric.name} has no baseline, got "{compare}"')
    # A limit that is taken over must fit too, where the rule itself says of what it is one.
    said_of = next((key for key in ("metric", "compare") if getattr(entry, key) is not None), None)
    wrong = [
        Finding((*path, place), said, unless=((*path, "compare"),))
        for key, limit in (("enter", enter), ("exit", end))
        if limit is not None
        and (place := key if getattr(entry, key) is not None else said_of) is not None
        and (said := _misfit(key, limit, metric, change=change))
    ]
    yield from wrong
    if not wrong and enter is not None and end is not None and type(enter) is type(end):
        yield from _order(path, entry, compare, enter, end)


def _misfit(key: str, limit: float | timedelta, metric: Metric, *, change: bool) -> str:
    """What is wrong with the unit or the range of a limit; empty if nothing is."""
    if isinstance(limit, timedelta) != (metric.unit == "duration"):
        kind = "a duration such as 12h" if metric.unit == "duration" else "a number"
        return f"{key} must be {kind}, as {metric.name} is, got {limit_text(limit)}"
    value = limit.total_seconds() if isinstance(limit, timedelta) else limit
    low, high = metric.low, metric.high
    if change:
        low, high = (None, None) if low is None or high is None else (low - high, high - low)
    if (low is not None and value < low) or (high is not None and value > high):
        of = f"a change of {metric.name}" if change else metric.name
        bounds = f"{low:g} to {high:g}" if high is not None else f"at least {low:g}"
        return f"{key} must be {bounds}, as {of} is, got {limit_text(limit)}"
    return ""


def _order(
    path: Path, entry: RuleEntry, compare: str | None, enter: float | timedelta, end: float | timedelta
) -> Iterator[Finding]:
    """An exit beyond enter: the alert would end while the limit is still crossed."""
    rises = compare in {"above", "change_above"}
    beyond = end > enter if rises else end < enter  # type: ignore[operator]
    if compare is not None and beyond:
        key = "exit" if entry.exit is not None else "enter" if entry.enter is not None else "compare"
        side = "at most" if rises else "at least"
        got = f"got exit {limit_text(end)} and enter {limit_text(enter)}"
        others: tuple[Path, ...] = tuple((*path, each) for each in ("enter", "exit", "compare"))
        yield Finding((*path, key), f"exit must be {side} enter where bad is {compare}, {got}", unless=others)


def _baseline(path: Path, entry: RuleEntry, whole: RuleEntry, compare: str | None) -> Iterator[Finding]:
    change = compare in {"change_above", "change_below"}
    if change and whole.baseline is None:
        said = f"is needed: {compare} measures a change, but from what?"
        yield Finding((*path, "baseline"), said, unless=((*path, "baseline"),))
    if entry.baseline is not None and compare is not None and not change:
        said = f'needs compare change_above or change_below, got "{compare}"'
        yield Finding((*path, "baseline"), said, of_key=True, unless=((*path, "compare"),))
    if isinstance(entry.baseline, SamePeriod) and entry.baseline.min_periods > entry.baseline.periods:
        limit = f"periods ({entry.baseline.periods})"
        yield Finding((*path, "baseline", "min_periods"), f"must be at most {limit}, got {entry.baseline.min_periods}")


def _chance(path: Path, entry: RuleEntry, rule: AlertRule, kept: Kept) -> Iterator[Finding]:
    """Limits that a calibrated model would cross with the fewest labels that the rule takes."""
    condition = rule.condition
    if isinstance(condition, DriftAlarm) or condition.metric.name not in BIASED or condition.compare != "above":
        return
    if isinstance(condition.enter, timedelta) or isinstance(condition.exit, timedelta):
        return
    name, labels = condition.metric.name, max(rule.min_labelled, 1)
    chance = by_chance(name, labels, kept.bins, kept.edges)
    with_labels = f"with {labels:,} labels a perfectly calibrated model reads {name}"
    if chance.median >= condition.exit:
        said = f"{with_labels} {chance.median:.2g}, so exit {condition.exit:g} might never be reached"
        limit = condition.exit
    elif condition.evidence == "point" and chance.high >= condition.enter:
        said = f"{with_labels} up to {chance.high:.2g}, so enter {condition.enter:g} tells nothing"
        limit = condition.enter * chance.median / chance.high
    else:
        return
    key = next((key for key in ("min_labelled", "exit", "enter") if getattr(entry, key) is not None), "name")
    enough = labels_for(name, limit, kept.bins, kept.edges)
    mend = f"; raise the limit{f', or min_labelled to {enough:,}' if enough else ''}, or watch ece_debiased"
    others: tuple[Path, ...] = tuple((*path, each) for each in ("compare", "enter", "exit", "evidence", "min_labelled"))
    yield Finding((*path, key), said + mend, unless=others)


def _mute(path: Path, mute: MuteTime) -> Iterator[Finding]:
    if not (mute.times or mute.weekdays or mute.days_of_month or mute.months):
        said = f"needs one of {', '.join(_TIMES)}: it would never end"
        yield Finding((*path, "times"), said, unless=tuple((*path, key) for key in _TIMES))
    for number, each in enumerate(mute.times or ()):
        if each.end_time <= each.start_time:
            said = "must be after start_time; a night is two parts of days, one that ends at 24:00"
            yield Finding((*path, "times", number, "end_time"), said)
    for number, day in enumerate(mute.days_of_month or ()):
        if day == 0:
            yield Finding((*path, "days_of_month", number), "must be 1 to 31, or -31 to -1 from the end, got 0")


def texts(file: RuleFile) -> Iterator[Finding]:
    """Templates that do not parse, name what there is not, or do not render."""
    written: list[tuple[Path, str, bool]] = [
        (("templates", "title"), file.templates.title, True),
        (("templates", "text"), file.templates.text, True),
    ]
    for path, conduct in ((("defaults",), file.defaults), *((("rules", n), each) for n, each in enumerate(file.rules))):
        if conduct.summary is not None:
            written.append(((*path, "summary"), conduct.summary, False))
        written += [((*path, "annotations", name), text, False) for name, text in (conduct.annotations or {}).items()]
    for path, text, summary in written:
        for said in templates.mistakes(text, summary=summary):
            yield Finding(path, said)
