"""Backtests as text for a person."""

from collections.abc import Sequence
from datetime import timedelta

from monitor.alerting.kinds import limit_text
from monitor.backtest.report import AlertSpan, Backtest, Insufficient, RuleReport
from monitor.backtest.suggestion import Suggestion, yaml_lines, yearly_at_most
from monitor.cli.figures import instant_words, table

_WHY = (
    ("few_labels", "too few labels"),
    ("low_coverage", "too small a labelled share"),
    ("not_known", "not known"),
    ("no_baseline", "no baseline"),
)


def backtest_text(report: Backtest, source: str, shown: int) -> str:
    """A table of rules, then the alerts; without a last line break."""
    told = [rule for rule in report.rules if rule.unknown is None]
    head = ["rule", "metric", "series", "fired", "pages", "a week", "firing", "damped", "brief"]
    head += [] if report.onset_at is None else ["before onset", "delay"]
    head += ["could not tell"]
    rows = [
        [
            rule.rule,
            rule.metric,
            str(rule.series_judged),
            str(rule.fired),
            str(rule.pages),
            weekly(rule.pages_per_week),
            length_words(timedelta(seconds=rule.firing_seconds)),
            str(rule.flaps),
            str(rule.withdrawn),
            *([] if rule.onset is None else [str(rule.onset.pages_before), delay_words(rule)]),
            why(rule.insufficient),
        ]
        for rule in told
    ]
    total = f"{_count(report.pages, 'page')}, {weekly(report.pages_per_week)} a week"
    parts = [f"{_head(report, source)}\n{total}", table(head, rows, right={2, 3, 4, 5, 6, 7, 8, 9})]
    unknown = ", ".join(rule.rule for rule in report.rules if rule.unknown is not None)
    if unknown:
        parts.append(f"not in history, so not judged: {unknown}")
    spans = sorted(
        ((span, rule) for rule in told for span in rule.alerts), key=lambda pair: (pair[0].fired_at, pair[1].rule)
    )
    if shown and spans:
        lines = [_alert(span, rule) for span, rule in spans[:shown]]
        left = len(spans) - shown
        parts.append(
            table(["fired at", "for", "rule", "series", "remark"], lines) + (f"\nand {left} more" * (left > 0))
        )
    return "\n\n".join(parts)


def against_text(report: Backtest, other: Backtest, source: str, name: str) -> str:
    """Two sets of rules side by side, rule by rule; without a last line break."""
    ours, theirs = ({rule.rule: rule for rule in each.rules if rule.unknown is None} for each in (report, other))
    rows = [_beside(rule, ours.get(rule), theirs.get(rule)) for rule in dict.fromkeys([*ours, *theirs])]
    rows.append(["all", str(report.pages), str(other.pages), *map(weekly, _weekly(report, other)), "", "", "", ""])
    head = ["rule", "pages", f"in {name}", "a week", "in it", "firing", "in it", "damped", "in it"]
    return f"{_head(report, source)}\n\n{table(head, rows, right=set(range(1, 9)))}"


def suggestion_text(found: Sequence[Suggestion], report: Backtest, source: str, wanted: float) -> str:
    """Of each rule a table of candidates, then the lines to paste; without a last line break."""
    days = (report.end_at - report.start_at) / timedelta(days=1)
    parts = [f"{_head(report, source)}\nwanted: at most {wanted:g} pages a year of each rule"]
    if any(each.is_short for each in found):
        least = 3 * 365 / wanted
        parts.append(
            f"This history is too short to tell {wanted:g} pages a year: even with none in {days:.0f} days there may be"
            f" up to {yearly_at_most(0, report.end_at - report.start_at):.0f} a year. It takes {least:.0f} days; until"
            " then these limits are a beginning."
        )
    parts += [_candidates(each) for each in found]
    lines = [line for each in found for line in yaml_lines(each, days)]
    none = [_named(each) for each in found if each.chosen is None]
    if lines:
        parts.append("\n".join(["rules:", *(f"  {line}" for line in lines)]))
    if none:
        parts.append(f"no limit tells seldom enough, or none could be judged: {', '.join(none)}")
    return "\n\n".join(parts)


def _candidates(suggestion: Suggestion) -> str:
    rows = [
        [
            "->" if each is suggestion.chosen else "",
            limit_text(each.enter),
            limit_text(each.exit),
            str(each.pages),
            f"{each.yearly:.1f}",
            f"{each.at_most:.0f}",
            f"{each.firing:.0%}",
            "below chance" if each.is_below_chance else "",
        ]
        for each in suggestion.candidates
    ]
    head = ["", "enter", "exit", "pages", "a year", "at most", "firing", ""]
    judged = _count(suggestion.series, "series", "series")
    if not suggestion.series:
        return f"{_named(suggestion)}: no series could be judged"
    off = "\nWith its own limits it fires much of the time: a wider limit hides that, a recalibration mends it."
    remark = off if suggestion.is_off_now else ""
    return f"{_named(suggestion)}, {judged} judged{remark}\n{table(head, rows, right={1, 2, 3, 4, 5, 6})}"


def _named(suggestion: Suggestion) -> str:
    return suggestion.rule.name + (f" of {suggestion.segment}" if suggestion.segment else "")


def weekly(number: float) -> str:
    """Pages a week, in two digits or so."""
    return "0" if not number else f"{number:.2f}" if number < 10 else f"{number:.0f}"


def length_words(length: timedelta) -> str:
    """A length of time in its largest unit: 3.5 d, 7 h."""
    hours = length / timedelta(hours=1)
    return "0" if not hours else f"{hours / 24:.1f} d" if hours >= 48 else f"{hours:.0f} h"


def delay_words(rule: RuleReport) -> str:
    """How long after the onset the first page came."""
    delay = None if rule.onset is None else rule.onset.delay_seconds
    if delay is None:
        return "never"
    return length_words(timedelta(seconds=delay)) if delay else "at once"


def why(insufficient: Insufficient) -> str:
    """How often a rule could tell nothing, and mostly why."""
    if not insufficient.looks:
        return "-"
    name, most = max(((words, getattr(insufficient, name)) for name, words in _WHY), key=lambda pair: pair[1])
    never = f", {insufficient.never} series never" if insufficient.never else ""
    mostly = "" if most == insufficient.looks else "mostly "
    return f"{insufficient.share:.0%}: {mostly}{name}{never}"


def _head(report: Backtest, source: str) -> str:
    start, end = instant_words(report.start_at, ""), instant_words(report.end_at, "")
    every = length_words(timedelta(seconds=report.every_seconds))
    head = f"{source}: {_count(report.series, 'series', 'series')}, judged from {start} to {end}, every {every}"
    return head if report.onset_at is None else f"{head}; onset {instant_words(report.onset_at, '')}"


def _count(number: int, name: str, plural: str | None = None) -> str:
    return f"{number} {name if number == 1 else plural or name + 's'}"


def _alert(span: AlertSpan, rule: RuleReport) -> list[str]:
    lasted = "to the end" if span.resolved_at is None else length_words(span.resolved_at - span.fired_at)
    remarks = [] if span.told else [f"not told: {span.hushed or 'resolved before'}"]
    remarks += [f"{span.damped} flaps damped"] if span.damped else []
    remarks += [span.reason] if span.reason not in {None, "resolved"} else []
    return [instant_words(span.fired_at, ""), lasted, rule.rule, series_words(span), ", ".join(filter(None, remarks))]


def series_words(span: AlertSpan) -> str:
    """What an alert is about: model, segment, window, and the signal where it has one."""
    return ", ".join(value for name, value in span.series.items() if value and name != "signal")


def _beside(name: str, ours: RuleReport | None, theirs: RuleReport | None) -> list[str]:
    both: Sequence[RuleReport | None] = (ours, theirs)
    return [
        name,
        *("-" if rule is None else str(rule.pages) for rule in both),
        *("-" if rule is None else weekly(rule.pages_per_week) for rule in both),
        *("-" if rule is None else length_words(timedelta(seconds=rule.firing_seconds)) for rule in both),
        *("-" if rule is None else str(rule.flaps) for rule in both),
    ]


def _weekly(report: Backtest, other: Backtest) -> tuple[float, float]:
    return report.pages_per_week, other.pages_per_week
