"""Bets against the baseline in each band: the page tier. Without drift each factor has mean at most 1.

A label of expected outcome g and outcome y has the residual g - y. A bet of stake s on a side multiplies what it holds
by 1 + s x, where x = side x (g - y - m) - e: m is the mean residual of the band so far, baseline and all panes fed, and
e the tolerance. m is known before the pane, so the factor has mean at most 1 as long as the band's residuals go on with
the mean that they had. Of m, only an estimate from `held` labels is known; for n labels at once that costs the factor
exp((n s)^2 x variance / held / 2), the mean of exp(n s x error) over a normal error, which is divided off.

The band of all confidences bets on all three parts at once, on the same side with the stakes of the same shift, so that
parts whose outcomes vary little weigh more: its factor is the product of theirs.

Waudby-Smith and Ramdas 2024 (betting), Shin, Ramdas and Rinaldo 2022 (e-detectors).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray
from monitor.drift.bands import PARTS, by_band
from monitor.drift.baseline import Baselines
from monitor.drift.labels import Labels
from monitor.drift.recursion import log_mean

SIDES: Final = (1, -1)
"""Over-confident, under-confident."""
SHIFTS: Final = (0.02, 0.05, 0.1, 0.2)
"""Shifts of the mean residual for which the four stakes are best: stake = shift / variance (Kelly 1956)."""
BAND_SHARES: Final = (1 / 2, 1 / 6, 1 / 6, 1 / 6)
"""Of the tier's M, by band: a drift of all confidences is the most likely one, and is looked for first."""
MOST: Final = 0.9
"""A stake is lowered until no outcome in its band can take more than this share."""
SURE: Final = 2.0
"""The tolerance counts as far as it is larger than so many standard errors of the baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """What a pane adds to the 32 bets of S series.

    `log_factor` (S, 4, 2, 4) by band, side and stake; `labels` and `residual` (S, 4) of the pane by band.
    """

    log_factor: FloatArray
    labels: FloatArray
    residual: FloatArray


def stakes(baselines: Baselines, held: FloatArray, mean: FloatArray, margin: FloatArray, n: FloatArray) -> FloatArray:
    """The stakes of a pane, (S, 3, 2, 4), known before its outcomes: 1 + stake x > 0 for every x of the part.

    held, mean, margin, n (S, 3): labels behind the mean residual, that mean, the tolerance, labels of the pane.
    """
    wanted = np.asarray(SHIFTS) / baselines.variance[:, 1:, None] / (1 + n / np.maximum(held, 1))[..., None]
    worst = np.stack([1 - baselines.lowest + mean + margin, baselines.highest - mean + margin], axis=-1)
    return np.minimum(wanted[:, :, None, :], (MOST / np.maximum(worst, 1e-9))[..., None])


def bets(baselines: Baselines, grown: FloatArray, labels: Labels, expected: FloatArray, tolerance: float) -> Bets:
    """The factors of one pane of each series, after `grown` (S, 4, 2): labels and residuals fed since the baseline.

    `expected` (t,) is what the baselines expect at each cell. Linear in the cell counts. An outcome that is a fraction
    f counts as f right and 1 - f wrong labels: the logarithm is concave, so that factor is at most the bet on the
    fraction itself, and its mean at most 1 too.
    """
    held = (baselines.labels + grown[..., 0])[:, 1:]
    mean = (baselines.residual + grown[..., 1])[:, 1:] / np.maximum(held, 1)
    uncertain = baselines.variance[:, 1:] / np.maximum(held, 1)
    margin = np.maximum(0.0, tolerance - SURE * np.sqrt(uncertain))
    n = labels.by_part(labels.n)
    stake = stakes(baselines, held, mean, margin, n)
    by_part, wrong = np.empty_like(stake), labels.n - labels.right
    place = labels.series * PARTS + labels.part
    if_wrong, allowed = expected - mean.ravel()[place], margin.ravel()[place]
    for side, sign in enumerate(SIDES):
        gain_wrong, gain_right = sign * if_wrong - allowed, sign * (if_wrong - 1) - allowed
        for bet in range(len(SHIFTS)):
            staked = np.ascontiguousarray(stake[:, :, side, bet]).ravel()[place]
            gained = wrong * np.log(1 + staked * gain_wrong) + labels.right * np.log(1 + staked * gain_right)
            by_part[:, :, side, bet] = labels.by_part(gained)
    by_part -= 0.5 * (n[..., None, None] * stake) ** 2 * uncertain[..., None, None]
    together = by_part.sum(axis=1, keepdims=True)
    residual = labels.by_part(labels.n * expected - labels.right)
    return Bets(np.concatenate([together, by_part], axis=1), by_band(n), by_band(residual))


def evidence(log_m: FloatArray) -> FloatArray:
    """(S,) log M of the page tier, of the log M of its bets (S, 4, 2, 4): their mean, weighted by band."""
    return log_mean(log_m + np.log(np.array(BAND_SHARES) * len(BAND_SHARES))[:, None, None])
