"""How far an estimate may be from the truth, and how large ECE would be without any miscalibration.

Chance comes in as `rng`; `seeded` derives one from the counts alone, so two routes to one state print the same digits.
"""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np

from monitor.calibration.bins import Bins, Ordered, ece_of, equal_mass, equal_mass_bins, equal_width, labelled
from monitor.calibration.cells import HIGH, LOW, UNIT, Edges, FloatArray, Int64Array, bin_of_cells
from monitor.calibration.sketch import Row, Sketch, digest

Interval = tuple[float, float]

DRAWS: Final = 2000
# A count of this variance is drawn from a normal: its error is far below that of the draws.
LARGE_VARIANCE: Final = 25.0


@lru_cache(maxsize=64)
def z_of(level: float) -> float:
    """The two-sided standard normal quantile of a confidence level in (0, 1): 1.96 of 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def seeded(sketch: Sketch) -> np.random.Generator:
    """Chance that depends on the labelled cells only: neither on the route to them nor on unlabelled predictions."""
    labelled = sketch.sums[Row.N] != 0
    sums = sketch.sums[:, labelled].copy()
    sums[Row.N_PRED] = 0
    seed = digest(Sketch(sketch.cells[labelled], sums, sketch.delay_buckets[:0], sketch.delay_sums[:, :0]))
    return np.random.default_rng(int.from_bytes(seed, "little"))


@dataclass(frozen=True, slots=True)
class EceBands:
    """ECE of one binning, its interval and null band, the null band of MCE, and ECE less its bias; all in 0..1."""

    ece: float
    interval: Interval
    null_band: Interval
    mce_null_band: Interval
    debiased: float


def ece_bands(
    sketch: Sketch, count: int, edges: Edges, level: float, *, rng: np.random.Generator, draws: int = DRAWS
) -> EceBands:
    """Interval and null band of ECE with equal-width bins, by resampling. The sketch holds at least one label."""
    view = labelled(sketch)
    bin_of = bin_of_cells(count, edges)[view.cells]
    return resampled(view, bin_of, equal_width(sketch, count, edges), level, rng=rng, draws=draws)


def equal_mass_bands(
    sketch: Sketch, count: int, level: float, *, rng: np.random.Generator, draws: int = DRAWS
) -> EceBands:
    """Interval and null band of ECE with bins of equal mass, taken as fixed. The sketch holds at least one label."""
    view = labelled(sketch)
    return resampled(view, equal_mass_bins(view, count), equal_mass(view, count), level, rng=rng, draws=draws)


def resampled(
    view: Ordered, bin_of: Int64Array, bins: Bins, level: float, *, rng: np.random.Generator, draws: int
) -> EceBands:
    """Bands of any binning of the cells: bin_of (k,) is the bin of each cell of `view`, `bins` their sums."""
    n, used = int(bins.total), bins.n > 0
    tails = [(1 - level) / 2, (1 + level) / 2]
    null = np.abs(null_gaps(view, bin_of, len(bins.n), rng=rng, draws=draws))
    null_low, null_high = np.quantile(null.sum(axis=1) / n, tails)
    mce_low, mce_high = np.quantile((null[:, used] / bins.n[used]).max(axis=1), tails)
    again = np.abs(bootstrap_gaps(bins, rng=rng, draws=draws)).sum(axis=1) / n
    low, high = np.quantile(again, tails)
    ece, mean = ece_of(bins), float(again.mean())
    return EceBands(
        ece,
        basic_interval(ece, (float(low), mean, float(high)), float(null_high)),
        (float(null_low), float(null_high)),
        (float(mce_low), float(mce_high)),
        # The mean of absolute gaps is at least that of the gaps: where it is less, that is noise of the draws.
        min(ece, max(0.0, 2 * ece - mean)),
    )


def basic_interval(ece: float, again: tuple[float, float, float], null_high: float) -> Interval:
    """The interval of ECE from the lower quantile, the mean and the upper quantile of its resamples, within 0..1.

    The lower end is that of the basic bootstrap (Davison & Hinkley 1997, 5.2), which takes the bias off. Its upper end
    takes off too much of it near 0 (coverage of a nominal .95 as low as .63; here .92-1.00), so the upper end adds the
    wider half of the resamples' spread to the value. Up to the top of the null band, where resampling cannot tell the
    value from 0, the interval starts at 0 and reaches at least to the upper quantile of the resamples. It always holds
    the value, and the value less its bias: of a handful of labels the mean may lie above the upper quantile.
    """
    low, mean, high = again
    end = ece + max(mean - low, high - mean)
    if ece <= null_high:
        return 0.0, min(1.0, max(end, high))
    return max(0.0, 2 * ece - max(ece, mean, high)), min(1.0, end)


def null_gaps(view: Ordered, bin_of: Int64Array, count: int, *, rng: np.random.Generator, draws: int) -> FloatArray:
    """Sum of confidence minus outcome per bin, (draws, count), if outcomes were drawn with their stated confidence."""
    gaps = np.zeros((draws, count))
    variance = np.bincount(bin_of, view.n * view.position * (1 - view.position), count)
    for number in np.flatnonzero(variance):
        if variance[number] >= LARGE_VARIANCE:
            gaps[:, number] = rng.normal(0.0, np.sqrt(variance[number]), draws)
        else:
            gaps[:, number] = _null_gap(view, np.flatnonzero(bin_of == number), rng, draws)
    return gaps


def _null_gap(view: Ordered, inside: Int64Array, rng: np.random.Generator, draws: int) -> FloatArray:
    """The same for the cells of one small bin. Rare outcomes of log-spaced cells add up to a Poisson (within 1/600)."""
    n, p, cells = view.n[inside], view.position[inside], view.cells[inside]
    high, low = (cells >= HIGH) & (cells < LOW), cells >= LOW
    wrong_above, right_below = float((n * (1 - p))[high].sum()), float((n * p)[low].sum())
    gap = rng.poisson(wrong_above, draws) - wrong_above + right_below - rng.poisson(right_below, draws)
    for count, chance in zip(n[cells < HIGH], p[cells < HIGH], strict=True):
        gap += count * chance - rng.binomial(count, chance, draws)
    return np.asarray(gap)


def bootstrap_gaps(bins: Bins, *, rng: np.random.Generator, draws: int) -> FloatArray:
    """Sum of confidence minus outcome per bin when the labels are drawn again: (draws, bins).

    Labels are (bin x outcome) categories. The outcomes of a bin vary as if right with chance (k + 1/2) / (n + 1), so
    that a bin of only right answers is not certain, but about the observed k / n.
    """
    n, right, confidence = bins.n, bins.sum_y / UNIT, bins.sum_c / UNIT
    used = np.maximum(n, 1)
    chance = (right + 0.5) / (n + 1)
    drawn = rng.multinomial(int(bins.total), n / bins.total, draws)
    outcomes = np.empty_like(drawn, dtype=np.float64)
    for number in range(len(n)):
        p = float(chance[number])
        if n[number] * p * (1 - p) >= LARGE_VARIANCE:
            spread = np.sqrt(drawn[:, number] * p * (1 - p))
            outcomes[:, number] = spread * rng.standard_normal(draws)
        else:
            outcomes[:, number] = rng.binomial(drawn[:, number], p) - drawn[:, number] * p
    return np.asarray(drawn * ((confidence - right) / used) - outcomes)
