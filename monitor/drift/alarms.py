"""Alarms: which band drifted to which side, since when, by how much."""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.odds import log_odds
from monitor.calibration.uncertainty import Interval, z_of
from monitor.drift.bands import BANDS, PARTS, Band
from monitor.drift.baseline import Baselines
from monitor.drift.betting import SIDES, Bets
from monitor.drift.ratio import ALTERNATIVES
from monitor.drift.recursion import Onset, log_mean

Tier: TypeAlias = Literal["page", "warn"]
LEVEL: Final = 0.95
_HIGH: Final = 0.9  # the confidence at which a warning reads its sign
_LARGEST: Final = 700.0  # the logarithm of the largest value that is reported


@dataclass(frozen=True, slots=True)
class Alarm:
    """One series whose baseline no longer holds.

    `series` its place in the step; `pane` the one that raised it; `sign` +1 over-confident, -1 under-confident;
    `onset` the pane at which the drift is estimated to have begun, with a 95 % interval of panes; `size` how far the
    mean residual (expected minus outcome) has moved, with a 95 % interval; `value` the mean M of the tier, at least
    1 / alpha; `labels` fed since the baseline. Both intervals take the band and the side as given, and an alarm is
    raised at a moment that looks bad: the sizes of small drifts are a little large. Of a warning, `slope` and
    `intercept` are the alternative that explains it best, and where the size may be 0, `sign` is that of its change at
    a confidence of .9.
    """

    series: int
    tier: Tier
    pane: int
    band: Band
    sign: int
    onset: int
    onset_interval: tuple[int, int]
    size: float
    size_interval: Interval
    value: float
    labels: float
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What alarms are read from: the baselines, `panes` (S,) just fed, and `grown` (S, 4, 2) after them."""

    baselines: Baselines
    panes: Int64Array
    grown: FloatArray


@dataclass(frozen=True, slots=True)
class _Found:
    """Tier, place of the band, side, log M of the tier, and the alternative of a ratio."""

    tier: Tier
    band: int
    sign: int
    log_value: float
    slope: float = 1.0
    intercept: float = 0.0


def page(seen: Seen, series: int, log_m: FloatArray, onset: Onset, log_value: FloatArray) -> Alarm:
    """The page of a series: the band and side whose bets hold most.

    log_m (S, 4, 2, 4) of the bets; onset (S, 4, 2, 4); log_value (S,) of the tier.
    """
    by_side = log_mean(log_m[series].reshape(len(BANDS) * len(SIDES), -1))
    band, side = divmod(int(by_side.argmax()), len(SIDES))
    found = _Found("page", band, SIDES[side], float(log_value[series]))
    return _alarm(seen, series, found, onset.mixed((series, band, side), log_m[series, band, side]))


def warning(seen: Seen, series: int, log_m: FloatArray, onset: Onset, log_value: FloatArray) -> Alarm:
    """The warning of a series: the alternative that holds most. log_m and onset (S, 12); log_value (S,)."""
    slope, intercept = ALTERNATIVES[int(log_m[series].argmax())]
    high = seen.baselines.expected(np.array([_HIGH]), np.array([series]), np.array([PARTS - 1]))
    change = (slope - 1) * float(log_odds(high)[0]) + intercept
    found = _Found("warn", 0, 1 if change < 0 else -1, float(log_value[series]), slope, intercept)
    return _alarm(seen, series, found, onset.mixed((series,), log_m[series]))


def after(onset: FloatArray, held: FloatArray, panes: Int64Array, bets: Bets, tier: Tier) -> Onset:
    """The onsets (S, 4, ...) of a tier after a pane, of held = log(M + 1) (S, ...) before it."""
    axes = (slice(None), slice(None), None, None) if tier == "page" else (slice(None), slice(0, 1))
    pane = panes.astype(np.float64)[(slice(None), *(None,) * (held.ndim - 1))]
    return Onset(*np.moveaxis(onset, 1, 0)).after(held, pane, bets.labels[axes], bets.residual[axes])


def _alarm(seen: Seen, series: int, found: _Found, onset: tuple[float, float, float, float]) -> Alarm:
    pane, variance, labels, residual = onset
    band = found.band
    z, at = z_of(LEVEL), int(seen.panes[series])
    half = max(1.0, z * variance**0.5)
    all_labels = seen.baselines.labels[series, band] + seen.grown[series, band, 0]
    all_residual = seen.baselines.residual[series, band] + seen.grown[series, band, 1]
    before = max(float(all_labels) - labels, 1.0)
    size = residual / max(labels, 1.0) - (float(all_residual) - residual) / before
    of_labels = float(seen.baselines.variance[series, band]) * (1 / max(labels, 1.0) + 1 / before)
    of_onset = size**2 * variance / (at - pane + 1) ** 2
    spread = z * (of_labels + of_onset) ** 0.5
    moved = found.tier == "warn" and abs(size) > spread
    return Alarm(
        series=series,
        tier=found.tier,
        pane=at,
        band=BANDS[band],
        sign=(1 if size > 0 else -1) if moved else found.sign,
        onset=round(pane),
        onset_interval=(int(np.floor(pane - half)), min(at, int(np.ceil(pane + half)))),
        size=size,
        size_interval=(size - spread, size + spread),
        value=math.exp(min(found.log_value, _LARGEST)),
        labels=float(seen.grown[series, 0, 0]),
        slope=found.slope,
        intercept=found.intercept,
    )
