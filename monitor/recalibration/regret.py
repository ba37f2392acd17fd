"""Regret: what a map in force costs on labels that came since, against the confidences as stated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.fitting import Part
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.gate import Gain, paired_gains, said_of

EVERY: Final = timedelta(days=1)
"""Between two looks."""
REACHES: Final = (timedelta(days=14), timedelta(days=3))
"""How far back labels count: a little harm takes many to see, a great one after weeks that went well few."""
LEVEL: Final = 0.999
"""Of each interval: both of 31 daily looks together are wrong at most once in 16 months (Bonferroni 1936)."""


@dataclass(frozen=True, slots=True)
class Regret:
    """The gain of a map over no map, on so many labels of predictions since an instant."""

    gain: Gain
    labels: int
    since: datetime

    def is_harm(self, min_labels: int) -> bool:
        """Whether the map is worse than nothing beyond chance, on enough labels."""
        return self.labels >= min_labels and self.gain.high < 0


def live_gain(calibrator: Calibrator, parts: Sequence[Part], level: float = LEVEL) -> Gain | None:
    """By how much the map lowers the mean log loss of these labels, nats; None without labels.

    `parts` are disjoint, of predictions made since the map was put in force.
    """
    labelled = [part for part in parts if part.labels]
    if not labelled:
        return None
    sample = sample_of([part.sketch for part in labelled], calibrator.clip)
    said = said_of(calibrator, calibrator.clip, labelled, sample)
    pooled = sample.pooled()
    return paired_gains(pooled, sample.confidence, said, level)[0]
