"""Histories to be lived through, made of random answers, and rules in force."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.alerting.force import Force
from monitor.alerting.kept import Kept
from monitor.alerting.validation import checked
from monitor.backtest.replay import Period, Replay, Setting, tried
from monitor.backtest.report import Backtest
from monitor.calibration.cells import cell_index, delay_bucket, fixed
from monitor.calibration.reading import ReadingSettings
from monitor.calibration.sketch import contributions
from monitor.drift.watches import Rules
from monitor.rolling.history import Known
from monitor.rolling.panes import HOUR
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import code, gather
from monitor.rolling.windows import Window

FIRST: Final = 490_008
"""A Sunday's midnight, in hours since the epoch."""
SETTING: Final = Setting(
    windows=(Window("1d", 24), Window("7d", 168), Window("all", None)),
    maturity=timedelta(hours=12),
    reading=ReadingSettings(),
    drift=Rules(),
    main_signal="confidence",
)
KEPT: Final = Kept(("1d", "7d", "all"), 10, "right_closed", 2.0)

HOURLY: Final = Period()

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass
class Answers:
    """Predictions with their labels: `pane` the hour of each, `known` the hour by which its label is known, -1 without
    one. What is known of a prediction itself is known an hour after its pane."""

    series: Ints
    pane: Ints
    confidence: Floats
    outcome: Floats
    known: Ints
    names: Mapping[int, SeriesName] = field(default_factory=dict)

    def hours(self) -> Iterator[Known]:
        """What became known in each hour."""
        predicted, labelled = self.pane + 1, np.where(self.known < 0, np.iinfo(np.int64).max, self.known)
        for hour in range(int(predicted.min()), int(max(predicted.max(), self.known.max())) + 1):
            parts = [(predicted == hour, False), (labelled == hour, True)]
            keys, cells, sums, delays = [], [], [], []
            for rows, with_label in parts:
                at = np.flatnonzero(rows)
                outcome = self.outcome[at] if with_label else np.full(len(at), np.nan)
                predicted_now = np.full(len(at), not with_label)
                keys.append(code(self.series[at], self.pane[at]))
                cells.append(cell_index(self.confidence[at]))
                sums.append(contributions(self.confidence[at], outcome, predicted=predicted_now))
                delays.append((self.known[at] - self.pane[at]) * 3_600_000_000)
            n = len(keys[1])
            right = fixed(np.nan_to_num(self.outcome[labelled == hour]))
            delay_sums = np.stack([np.ones(n, np.int64), right, np.zeros(n, np.int64)])
            yield Known(
                hour,
                gather(
                    np.concatenate(keys),
                    np.concatenate(cells),
                    np.concatenate(sums, axis=1),
                    delay_keys=keys[1],
                    delay_buckets=delay_bucket(delays[1]),
                    delay_sums=delay_sums,
                ),
            )


def answers(
    seed: int,
    *,
    days: int = 10,
    series: int = 2,
    each_hour: int = 20,
    drift_from: int | None = None,
    shift: float = 0.15,
    delay: int = 6,
    coverage: float = 0.9,
) -> Answers:
    """Answers of a calibrated model, of which series 0 is right less often by `shift` from hour `drift_from` on."""
    rng = np.random.default_rng(seed)
    n = days * 24 * series * each_hour
    hour = np.sort(rng.integers(0, days * 24, n))
    of = rng.integers(0, series, n)
    confidence = rng.choice([0.6, 0.7, 0.8, 0.9, 0.95], n)
    chance = confidence - np.where((of == 0) & (hour >= (drift_from if drift_from is not None else n)), shift, 0.0)
    outcome = (rng.random(n) < chance).astype(np.float64)
    known = np.where(rng.random(n) < coverage, FIRST + hour + 1 + rng.integers(0, delay + 1, n), -1)
    names = {number: SeriesName(f"m{number}", "confidence", "{}") for number in range(series)}
    return Answers(of, FIRST + hour, confidence, outcome, known, names)


def force(text: str, every: timedelta = HOUR) -> Force:
    """The rules of a file's text."""
    found = checked(text, KEPT)
    assert not found.mistakes, found.mistakes
    assert found.file is not None
    return tried(found.file, found.rules, every)


def backtest(given: Answers, text: str, period: Period = HOURLY, setting: Setting = SETTING) -> Backtest:
    """The report of one set of rules over these answers."""
    [report] = Replay([force(text, period.every)], given.names, setting, period).run(given.hours(), lambda _: None)
    return report
