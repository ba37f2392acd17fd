"""The detectors on the demo's own traffic, many seeds: false pages against the budget, and the drift that is there.

    python -m bench demo [--seeds 20] [--quick]

The messages are those of `caldrift demo`: a month of history, then live traffic in which one segment of one model
drifts. Every hour the panes that have become mature are fed as they were known, with the budget of the default settings
shared out as the leader does it. Writes docs/drift-in-the-demo.md; `--quick` takes 3 seeds and prints.
"""

import argparse
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import fill

import numpy as np

from bench.coverage import table
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.demo.events import PREDICTION
from monitor.demo.traffic import EPOCH, MICROSECOND, Simulation, TrafficSettings
from monitor.drift.alarms import Alarm
from monitor.drift.budget import alphas
from monitor.drift.detectors import Limits
from monitor.drift.watches import Pane, Rules, Watch, anew, feed
from monitor.events.decoding import decode_labels, decode_predictions, label_decoder, prediction_decoder
from monitor.events.messages import Label, LabelKind, Prediction
from monitor.events.rules import EventRules
from monitor.rolling.fanout import route_names
from monitor.rolling.segments import Dimension, SegmentScheme, SeriesName

PAGE = Path(__file__).parents[1] / "docs" / "drift-in-the-demo.md"
START = datetime(2026, 10, 1, tzinfo=UTC)
HISTORY_DAYS = 30
STILL, AFTER = 30, 90  # hours of live traffic before the drift and with it
MATURITY = 12
HOUR_US = 3_600_000_000
SCHEME = SegmentScheme(
    dimensions=(Dimension("difficulty", "prompt_tokens", (200, 1000), ("easy", "medium", "hard")),),
)
DRIFTING = SeriesName("risk-scorer", "confidence", '{"lang":"fr"}', "")
YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True)
class Found:
    """One seed: alarms of series that do not drift, and of the drifting segment after its onset."""

    seed: int
    false_pages: Sequence[tuple[SeriesName, Alarm]]
    false_warnings: int
    page: Alarm | None
    warning: Alarm | None
    series: int
    others: int
    """Series beside the segment that hold its answers and paged."""


def messages(seed: int) -> tuple[list[Prediction], list[Label]]:
    """All sound messages of a seed, each kind in order of sending."""
    settings = TrafficSettings("", "", "", START, START, 3600.0, seed=seed, history_days=HISTORY_DAYS)
    simulation = Simulation(settings)
    live, drift, end = ((START - EPOCH) // MICROSECOND + hours * HOUR_US for hours in (0, STILL, STILL + AFTER))
    simulation.put_history(live)
    simulation.put_live(live, drift, drifted=False)
    simulation.put_live(drift, end, drifted=True)
    sent = sorted(simulation.waiting)
    rules, now = EventRules(), START + timedelta(days=60)
    predictions, _ = decode_predictions(
        [each.body for each in sent if each.kind == PREDICTION], prediction_decoder(rules), now
    )
    labels, _ = decode_labels([each.body for each in sent if each.kind != PREDICTION], label_decoder(rules), now)
    return list(predictions), list(labels)


def panes_of(predictions: Sequence[Prediction], labels: Sequence[Label]) -> dict[SeriesName, dict[int, Sketch]]:
    """The panes of each series as they are known once they are mature, by hour."""
    known = outcomes(predictions, labels)
    columns: dict[tuple[SeriesName, int], list[tuple[float, float]]] = defaultdict(list)
    for each in predictions:
        outcome, hour = known.get(each.prediction_id), each.predicted_at // HOUR_US
        if outcome is not None:
            signals = [each.confidence, *(each.signals[name] for name in sorted(each.signals))]
            for value, names in zip(signals, route_names(SCHEME.segment_key(each)), strict=True):
                for name in names:
                    columns[name, hour].append((value, outcome))
    found: dict[SeriesName, dict[int, Sketch]] = defaultdict(dict)
    for (name, hour), pairs in columns.items():
        confidence, outcome_of = np.array(pairs).T
        found[name][hour] = sketch_of(confidence, outcome_of)
    return found


def outcomes(predictions: Sequence[Prediction], labels: Sequence[Label]) -> dict[str, float]:
    """The outcome of each prediction that has a label when its hour is mature, corrections up to then included."""
    mature = {each.prediction_id: (each.predicted_at // HOUR_US + 1 + MATURITY) * HOUR_US for each in predictions}
    known: dict[str, float] = {}
    for label in labels:
        if label.labelled_at <= mature.get(label.prediction_id, 0):
            if label.kind is LabelKind.RETRACTION:
                known.pop(label.prediction_id, None)
            else:
                known[label.prediction_id] = label.number
    return known


def watched(series: Sequence[SeriesName], panes: dict[SeriesName, dict[int, Sketch]], rules: Rules) -> Iterator[Alarm]:
    """All alarms, hour by hour, each with the place of its series."""
    watches: list[Watch] = [anew() for _ in series]
    hours = sorted({hour for by_hour in panes.values() for hour in by_hour})
    for hour in hours:
        due = [place for place, name in enumerate(series) if hour in panes[name]]
        rates = [watch.taken.updates_per_year if watch.taken.n else None for watch in watches]
        page, warn = alphas(rules.false_pages_per_year, rates), alphas(rules.false_warnings_per_year, rates)
        fed = feed(
            [watches[place] for place in due],
            [[Pane(hour, panes[series[place]][hour])] for place in due],
            Limits(page[due], warn[due], rules.tolerance),
            rules.baseline_labels,
        )
        for place, watch in zip(due, fed.watches, strict=True):
            watches[place] = watch
        for alarm in fed.alarms:
            yield replace(alarm, series=due[alarm.series])


def measured(seed: int) -> Found:
    """One seed, whole."""
    panes = panes_of(*messages(seed))
    series = sorted(panes)
    onset = (START - EPOCH) // timedelta(hours=1) + STILL
    false: list[tuple[SeriesName, Alarm]] = []
    first: dict[str, Alarm] = {}
    false_warnings, others = 0, set[SeriesName]()
    for alarm in watched(series, panes, Rules()):
        name = series[alarm.series]
        touched = name.model == DRIFTING.model and (name == DRIFTING or "lang" not in name.segment)
        if not touched or alarm.pane < onset:
            false += [(name, alarm)] if alarm.tier == "page" else []
            false_warnings += alarm.tier == "warn"
        elif name == DRIFTING:
            first.setdefault(alarm.tier, alarm)
        elif alarm.tier == "page":
            others.add(name)
    return Found(seed, false, false_warnings, first.get("page"), first.get("warn"), len(series), len(others))


def page_text(found: Sequence[Found], command: str) -> str:
    """The page."""
    rules, days = Rules(), HISTORY_DAYS + (STILL + AFTER) / 24
    onset = (START - EPOCH) // timedelta(hours=1) + STILL
    share = days / YEAR_DAYS * len(found)
    pages, warnings = sum(len(each.false_pages) for each in found), sum(each.false_warnings for each in found)
    held = [each.page.onset_interval[0] <= onset <= each.page.onset_interval[1] for each in found if each.page]
    sizes = [each.page.size_interval[0] <= 0.3 <= each.page.size_interval[1] for each in found if each.page]
    rows = [
        [
            str(each.seed),
            str(len(each.false_pages)),
            str(each.false_warnings),
            _delay(each.warning, onset),
            _delay(each.page, onset),
            "-" if each.page is None else f"{each.page.onset - onset:+d} ({_interval(each.page, onset)})",
            "-" if each.page is None else f"{-each.page.size:+.2f}",
            str(each.others),
        ]
        for each in found
    ]
    head = [
        "seed", "false pages", "false warnings", "warned after (h)", "paged after (h)", "onset found at (h)",
        "share right moved by", "other series that paged",
    ]  # fmt: skip
    budget = f"{rules.false_pages_per_year:g} false pages and {rules.false_warnings_per_year:g} false warnings a year"
    due = [rules.false_pages_per_year * share, rules.false_warnings_per_year * share]
    before = f"{HISTORY_DAYS} days of history and {STILL} hours of live traffic"
    traffic = f"""
    What the detectors make of the traffic of `caldrift demo`: {found[0].series} series, {before} without drift; then
    answers of `risk-scorer` in French are right 30 points less often, for {AFTER} hours. A pane is an hour, mature
    after {MATURITY} hours. Default settings: {budget}, baselines of {rules.baseline_labels} labels.
    """
    result = f"""
    False pages of series that do not drift: **{pages}** in {len(found)} seeds, where the budget expects at most
    {due[0]:.1f}; false warnings: {warnings}, where it expects at most {due[1]:.1f}. The drift paged in {len(held)} of
    {len(found)} seeds; the interval of its onset held the truth in {sum(held)}, that of its size in {sum(sizes)}.
    """
    note = """
    Hours count from the onset; a page can come no sooner than its pane is mature, which is not counted here. The whole
    model and its difficulties hold French answers too, so that they page as well is no mistake.
    """
    paragraphs = "\n\n".join(fill(" ".join(each.split()), 120) for each in (traffic, result, note))
    return f"# Drift in the demo\n\n<!-- Written by `{command}`. -->\n\n{paragraphs}\n\n{table(head, rows)}"


def _delay(alarm: Alarm | None, onset: int) -> str:
    return "never" if alarm is None else f"{alarm.pane - onset + 1}"


def _interval(alarm: Alarm, onset: int) -> str:
    low, high = alarm.onset_interval
    return f"{low - onset:+d} to {high - onset:+d}"


def main(arguments: list[str]) -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="bench demo", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="3 seeds; prints instead of writing")
    given = parser.parse_args(arguments)
    seeds = 3 if given.quick else given.seeds
    started, found = time.perf_counter(), []
    for seed in range(1, seeds + 1):
        found.append(measured(seed))
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        for name, alarm in found[-1].false_pages:
            print(f"  false page: {name}, value {alarm.value:.3g}, size {alarm.size:+.3f}", file=sys.stderr)
    text = page_text(found, f"python -m bench demo --seeds {seeds}")
    if given.quick:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")
        print(PAGE)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
