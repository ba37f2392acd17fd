"""A rule in words: when it fires, when it is over, what it looks at, and whom it tells. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, assert_never

from monitor.alerting.alertrules import AlertRule, Condition, DriftAlarm, Selection, Threshold
from monitor.alerting.conduct import Insufficient, OnError
from monitor.alerting.patterns import Patterns
from monitor.alerting.rules import Baseline, LastRecalibration, LastVersion, SamePeriod, Trailing
from monitor.forms import durations
from monitor.web.alertwords import measure_name, value_text
from monitor.web.scales import plain
from monitor.web.verdicts import percent

_INSUFFICIENT: Final[dict[Insufficient, str]] = {
    "hold": "its state holds",
    "ok": "it ends",
    "alert": "it counts as crossed",
}
_ON_ERROR: Final[dict[OnError, str]] = {"hold": "its state holds", "alert": "it counts as crossed"}


def rule_facts(rule: AlertRule) -> list[tuple[str, str]]:
    """The rule in a few lines, each with what it says."""
    facts = [
        ("what for", rule.description),
        ("fires when", fires_when(rule)),
        ("over when", over_when(rule)),
        ("looks at", looks_at(rule)),
        ("without enough labels", _without_labels(rule)),
        ("if judging fails", _ON_ERROR[rule.on_error]),
        ("tells", whom(rule)),
        ("rollup", _rollup(rule)),
        *(("also", f"{name}: {text}") for name, text in rule.annotations.items()),
    ]
    return [(word, text) for word, text in facts if text]


def fires_when(rule: AlertRule) -> str:
    """`ECE is above 0.050 with its whole interval, for 30m and over 25 new labels`."""
    lasts = [f"for {durations.text(rule.for_)}"] if rule.for_ else []
    if labels := asked_labels(rule):
        lasts.append(f"over {plain(labels)} new labels")
    return condition_words(rule.condition) + (f", {' and '.join(lasts)}" if lasts else "")


def asked_labels(rule: AlertRule) -> int:
    """Over how many new labels a crossing must last; 0 where no labels are asked, as of models and the service."""
    return rule.for_new_labels if _is_of_labels(rule.condition) else 0


def condition_words(condition: Condition) -> str:
    """What must be so."""
    match condition:
        case DriftAlarm(tier=tier):
            return f"a {'warning' if tier == 'warn' else 'page'} of the drift detectors stands"
        case Threshold(metric=metric, compare=compare, enter=enter, evidence=evidence):
            side = "above" if compare in {"above", "change_above"} else "below"
            whole = " with its whole interval" if evidence == "confident" else ""
            return f"{_judged(condition)} is {side} {_limit(metric.name, enter, compare)}{whole}"
        case _ as unknown:
            assert_never(unknown)


def over_when(rule: AlertRule) -> str:
    """`ECE is below 0.030 for 2h`."""
    lasts = f" for {durations.text(rule.keep_firing_for)}" if rule.keep_firing_for else ""
    match rule.condition:
        case DriftAlarm():
            return f"the alarm no longer stands{lasts}"
        case Threshold(metric=metric, compare=compare, exit=leave):
            side = "below" if compare in {"above", "change_above"} else "above"
            return f"{_judged(rule.condition)} is {side} {_limit(metric.name, leave, compare)}{lasts}"
        case _ as unknown:
            assert_never(unknown)


def looks_at(rule: AlertRule) -> str:
    """Which series, models, or the service."""
    about = rule.condition.metric.about if isinstance(rule.condition, Threshold) else "series"
    models = _patterns("models", "every model", rule.select.model)
    match about:
        case "service":
            return "the service"
        case "model":
            return models
        case "series":
            windows = isinstance(rule.condition, Threshold)
            return "; ".join(
                [
                    models,
                    *_slices(rule.select),
                    *([_patterns("windows", "every window", rule.select.window)] if windows else []),
                ]
            )


def whom(rule: AlertRule) -> str:
    """Who is told, and how often."""
    if rule.mode == "shadow":
        return "nobody: it is in the shadow"
    if rule.route is None:
        return "nobody: there is no route; it stands on the pages"
    again = f", again every {durations.text(rule.repeat_every)}" if rule.repeat_every else ", once"
    return f"the route {rule.route}{again}" + ("" if rule.send_resolved else "; its end is not told")


def _slices(select: Selection) -> list[str]:
    segments = "whole models" if select.segment == ("",) else _patterns("segments", "every segment", select.segment)
    signal = "the main signal" if select.signal is None else _patterns("signals", "every signal", select.signal)
    source = [] if select.source == ("",) else [_patterns("labels of", "labels of any source", select.source)]
    return [segments, signal, *source]


def _patterns(kind: str, all_of_them: str, patterns: Patterns) -> str:
    return all_of_them if patterns == ("*",) else f"{kind} {', '.join(each or 'the whole model' for each in patterns)}"


def _judged(condition: Threshold) -> str:
    name = measure_name(condition.metric.name)
    return name if condition.baseline is None else f"the change of {name} since {_baseline(condition.baseline)}"


def _baseline(baseline: Baseline) -> str:
    match baseline:
        case LastRecalibration():
            return "the recalibration in force"
        case LastVersion():
            return "the model version before"
        case Trailing(length=length):
            return f"the {durations.text(length)} before the window"
        case SamePeriod(periods=periods, every=every, statistic=statistic):
            return f"the {statistic} of {periods} earlier periods, {durations.text(every)} apart"


def _limit(measure: str, limit: float | timedelta, compare: str) -> str:
    if isinstance(limit, timedelta):
        return durations.text(limit)
    return value_text(measure, limit, change=compare.startswith("change"))


def _without_labels(rule: AlertRule) -> str:
    if not _is_of_labels(rule.condition):
        return ""
    needs = [f"fewer than {plain(rule.min_labelled)} labels"] if rule.min_labelled else []
    needs += [f"labels for less than {percent(rule.min_label_coverage)}"] if rule.min_label_coverage else []
    return f"with {' or '.join(needs)} {_INSUFFICIENT[rule.on_insufficient_data]}" if needs else ""


def _rollup(rule: AlertRule) -> str:
    if rule.rollup is None:
        return ""
    return f"from {percent(rule.rollup.when_share)} of a model's series on they fire as one"


def _is_of_labels(condition: Condition) -> bool:
    return isinstance(condition, Threshold) and condition.metric.about == "series"
