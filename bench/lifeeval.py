"""The rules that ship, over the answers of real models arranged as 60 days; writes docs/backtest-on-real-answers.md.

    python -m bench lifeeval [--write]

Each model's answers of the LifeEval study are drawn at random, with repetition, 20 an hour; four in five get a label,
in 12 hours on average. Twice: with the confidences as stated (all eleven models are miscalibrated), and recalibrated,
each confidence replaced by how often the model is right there. With drift, right answers become wrong from day 40 on,
so that the gap of every model grows by .10.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from bench.backtest import FIRST, Rows, known_hours
from monitor.alerting.kept import Kept
from monitor.alerting.validation import checked
from monitor.backtest.replay import Period, Replay, Setting, tried
from monitor.backtest.report import Backtest, RuleReport
from monitor.calibration.reading import ReadingSettings
from monitor.drift.watches import Rules
from monitor.rolling.panes import HOUR, start_of
from monitor.rolling.segments import SeriesName, segment_text
from monitor.rolling.windows import Window
from tests.oracles import lifeeval

DAYS: Final = 60
ONSET: Final = 40
HOURLY: Final = 20
LABELLED: Final = 0.8
DELAY: Final = 12.0
LOSS: Final = 0.10
SETTING: Final = Setting(
    windows=(Window("1d", 24), Window("7d", 168), Window("28d", 672), Window("all", None)),
    maturity=timedelta(hours=48),
    reading=ReadingSettings(),
    drift=Rules(),
    main_signal="confidence",
)
ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "backtest-on-real-answers.md"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arranged:
    """A way to arrange the answers."""

    name: str
    recalibrated: bool
    drifts: bool


ARRANGED: Final = (
    Arranged("recalibrated", recalibrated=True, drifts=False),
    Arranged("recalibrated, drift from day 40", recalibrated=True, drifts=True),
    Arranged("as stated", recalibrated=False, drifts=False),
    Arranged("as stated, drift from day 40", recalibrated=False, drifts=True),
)


def recalibrated(confidence: Floats, outcome: Floats) -> Floats:
    """Each confidence replaced by the isotonic regression of the outcomes on it."""
    _, place, n = np.unique(confidence, return_inverse=True, return_counts=True)
    right = np.bincount(place, outcome) / n
    return np.asarray(isotonic_regression(right, weights=n).x[place])


def rows(arranged: Arranged, seed: int) -> tuple[Rows, dict[int, SeriesName]]:
    """The answers, each once for its model and once for its question set."""
    rng = np.random.default_rng(seed)
    numbers: dict[SeriesName, int] = {}
    columns: list[tuple[npt.NDArray[np.int64], ...]] = []
    given = lifeeval.answers()
    n = DAYS * 24 * HOURLY
    for model in sorted({each.model for each in given}):
        own = [each for each in given if each.model == model]
        stated, graded = np.array([each.stated for each in own]), np.array([each.outcome for each in own])
        confidence = recalibrated(stated, graded) if arranged.recalibrated else stated
        drawn = rng.integers(0, len(own), n)
        pane = FIRST + np.sort(rng.integers(0, DAYS * 24, n))
        right = (rng.random(n) < graded[drawn]).astype(np.float64)
        lost = rng.random(n) < LOSS / graded.mean()
        lost &= (pane >= FIRST + 24 * ONSET) & arranged.drifts
        known = pane + 1 + np.floor(rng.exponential(DELAY, n)).astype(np.int64)
        known = np.where(rng.random(n) < LABELLED, known, -1)
        sets = [own[place].question_set for place in drawn.tolist()]
        names = [SeriesName(model, "confidence", segment_text({"set": name})) for name in sets]
        whole = numbers.setdefault(SeriesName(model, "confidence", "{}"), len(numbers))
        parts = np.array([numbers.setdefault(name, len(numbers)) for name in names])
        answered = confidence[drawn], np.where(lost, 0.0, right)
        columns += [(series, pane, known, *answered) for series in (np.full(n, whole), parts)]
    series, pane, known, stated, outcome = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Rows(series, pane, known, stated, outcome), {number: name for name, number in numbers.items()}


def lived(arranged: Arranged, seed: int) -> Backtest:
    """The rules that ship, over one arrangement."""
    found = checked(
        (ROOT / "alerts.yaml").read_text(encoding="utf-8"), Kept(("1d", "7d", "28d", "all"), 10, "right_closed", 2.0)
    )
    assert found.file is not None, found.mistakes
    answers, names = rows(arranged, seed)
    period = Period(onset_at=start_of(FIRST + 24 * ONSET))
    replay = Replay([tried(found.file, found.rules, HOUR)], names, SETTING, period)
    [report] = replay.run(known_hours(answers), lambda _: None)
    return report


def page(seed: int) -> str:
    """The page: a table an arrangement."""
    parts = [HEAD.format(days=DAYS, hourly=HOURLY, onset=ONSET)]
    for arranged in ARRANGED:
        report = lived(arranged, seed)
        parts.append("\n".join([f"## {arranged.name.capitalize()}", "", *table(report, arranged)]))
    return "\n\n".join(parts) + "\n"


def table(report: Backtest, arranged: Arranged) -> Iterator[str]:
    """One line a rule that history can tell of."""
    onset = report.onset_at
    assert onset is not None
    found = "found of 11 models, median delay" if arranged.drifts else "pages from day 40 on"
    yield f"| rule | models judged | pages before day {ONSET} | {found} | alerts | firing | flaps damped |"
    yield "|---|---|---|---|---|---|---|"
    for rule in report.rules:
        if rule.unknown is not None:
            continue
        before = sum(span.fired_at < onset for span in rule.alerts)
        assert rule.onset is not None
        after = delays(rule, report) if arranged.drifts else str(rule.pages - rule.onset.pages_before)
        firing = f"{rule.firing_seconds / 86400:.0f} d"
        models = "none" if not rule.series_judged else str(judged(rule))
        yield (
            f"| {rule.rule} | {models} | {rule.onset.pages_before} ({before} alerts) | {after} | {rule.fired} |"
            f" {firing} | {rule.flaps} |"
        )


def judged(rule: RuleReport) -> str:
    return f"{rule.series_judged} series" if rule.metric == "drift" else str(rule.series_judged)


def delays(rule: RuleReport, report: Backtest) -> str:
    """How many models had an alert that began after the onset, and the median of how long after it the first came."""
    assert report.onset_at is not None
    first: dict[str, timedelta] = {}
    for span in rule.alerts:
        if span.fired_at >= report.onset_at:
            model = span.series["model"]
            first[model] = min(first.get(model, timedelta.max), span.fired_at - report.onset_at)
    return f"{len(first)}, {median(first.values()) / timedelta(days=1):.1f} d" if first else "0"


HEAD: Final = """# The rules that ship, on answers of real models

<!-- Written by `python -m bench lifeeval --write`. -->

The answers of eleven language models in the LifeEval study, arranged as {days} days: each model's answers drawn at
random with repetition, {hourly} an hour; four in five get a label, after 12 hours on average. `alerts.yaml` is judged
hourly, as `caldrift backtest` does it, with the settings that ship. With drift, right answers become wrong from day
{onset} on, so that the gap of every model grows by .10.

*Recalibrated* replaces each stated confidence by how often the model is right there: what a good recalibration leaves.
There, whatever pages without drift, or before day {onset}, is false. *As stated* all eleven models are miscalibrated,
ten of them over-confident, and the level rules say so from the first full window on; a drift on top of that they
cannot tell, and the detectors, which compare with what was learned, can."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(prog="python -m bench lifeeval", description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    text = page(chosen.seed)
    if chosen.write:
        PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
