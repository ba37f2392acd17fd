"""Regret: what a map in force costs on labels that came since, against the confidences as stated."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.fitting import Part
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.gate import Gain, paired_gains, said_of

EVERY: Final = timedelta(days=1)
"""Between two looks."""
REACH: Final = timedelta(days=14)
"""How far back labels count: a map that did well for months is not forgiven for long."""
LEVEL: Final = 0.998
"""Of the interval of one look: 31 daily looks together are wrong at most once in 16 months (Bonferroni 1936)."""


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


def is_harmful(gain: Gain, labels: float, min_labels: int) -> bool:
    """Whether a map is worse than nothing beyond chance, on enough labels."""
    return labels >= min_labels and gain.high < 0
