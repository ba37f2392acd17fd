"""Label delays: how long after a prediction its label comes, and whether the labels of errors come sooner.

A delay is known to its bucket (a factor of 1.42); labels that came before their prediction count as 0 seconds.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np

from monitor.calibration.cells import UNIT, FloatArray, delay_bounds
from monitor.calibration.sketch import DelayRow, Row, Sketch
from monitor.calibration.uncertainty import Interval, z_of
from monitor.errors import NotEnoughData

Which = Literal["all", "right", "wrong"]

MIN_EACH: Final = 10
"""Right and wrong labels that a comparison needs: from here on the rank sum is normal enough (Mann & Whitney 1947)."""

NO_DELAYS: Final = "no label times"
NOT_SPLIT: Final = "some labels were counted before right and wrong ones were told apart"
ONE_DELAY: Final = "all labels took about the same time"
NO_PREDICTIONS: Final = "no predictions"


def labels_by_delay(sketch: Sketch, which: Which = "all") -> FloatArray:
    """Labels in each bucket of `sketch.delay_buckets`, (d,); of a fraction y the part y is right, the rest wrong.

    Raises NotEnoughData where right and wrong are asked for and some bucket was counted without telling them apart.
    """
    n = sketch.delays.astype(np.float64)
    if which == "all":
        return n
    if sketch.delay_sums[DelayRow.UNSPLIT].any():
        raise NotEnoughData(NOT_SPLIT)
    right = sketch.delay_sums[DelayRow.Y] / UNIT
    return np.asarray(right if which == "right" else n - right)


def delay_quantile(sketch: Sketch, share: float, which: Which = "all") -> float:
    """Seconds within which this share (0..1) of the labels came, of all or of the right or wrong ones.

    Interpolated inside its bucket. Raises NotEnoughData without such labels.
    """
    n = labels_by_delay(sketch, which)
    reached = np.cumsum(n)
    if not len(n) or reached[-1] <= 0:
        raise NotEnoughData(NO_DELAYS if which == "all" else f"{NO_DELAYS} of {which} answers")
    wanted = share * reached[-1]
    at = int(np.flatnonzero((reached >= wanted) & (n > 0))[0])
    low, high = delay_bounds(int(sketch.delay_buckets[at]))
    return low + (high - low) * float((wanted - (reached[at] - n[at])) / n[at])


def median_delay(sketch: Sketch, which: Which = "all") -> float:
    """Median seconds from prediction to label. Raises NotEnoughData without such labels."""
    return delay_quantile(sketch, 0.5, which)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The share of the predictions that had a label when they were `age_seconds` old."""

    age_seconds: float
    share: float


def coverage_by_age(sketch: Sketch) -> tuple[Coverage, ...]:
    """The share of predictions (0..1) that were labelled by each age, at the end of every bucket that holds labels.

    A sketch knows no ages: the shares are those of full cohorts only if its predictions are all older than the last
    label took, as those of mature panes are, and too small otherwise. Raises NotEnoughData without predictions.
    """
    n_pred = sketch.total(Row.N_PRED)
    if n_pred <= 0:
        raise NotEnoughData(NO_PREDICTIONS)
    reached = np.cumsum(sketch.delays).tolist()
    buckets = sketch.delay_buckets[sketch.delays != 0].tolist()
    shares = [n for n, here in zip(reached, sketch.delays.tolist(), strict=True) if here]
    return tuple(Coverage(delay_bounds(one)[1], n / n_pred) for one, n in zip(buckets, shares, strict=True))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the delays of wrong answers' labels compare with those of right ones."""

    sooner: float
    """Chance, 0..1, that the label of a wrong answer took less time than that of a right one, ties half: 0.5 where
    delay and outcome are unrelated, 1 where every error is labelled before any right answer."""
    interval: Interval
    z: float
    """Standard normal where they are unrelated; positive: labels of errors come sooner."""
    p_value: float
    """Chance of a z so far from 0 on either side, where they are unrelated."""
    n_right: float
    n_wrong: float


def compare_delays(sketch: Sketch, level: float = 0.95) -> Comparison:
    """Mann and Whitney's rank-sum test (1947) over buckets of delay, with the variance for ties (Lehmann 1975, 1.4).

    The interval is normal, with DeLong's variance (1988) and one label more in each group, half on either side, so that
    no chance is certain. Labels count as independent: labels that arrive together in batches vary more. Labels that
    have not come yet are not seen, so ask it of mature panes. Raises NotEnoughData with fewer than MIN_EACH of either
    kind, where all delays share a bucket, and where right and wrong were not told apart.
    """
    right, wrong = labels_by_delay(sketch, "right"), labels_by_delay(sketch, "wrong")
    n_right, n_wrong = float(right.sum()), float(wrong.sum())
    fewest = min(n_right, n_wrong)
    if fewest < MIN_EACH:
        kind = "right" if n_right < n_wrong else "wrong"
        raise NotEnoughData(f"{MIN_EACH} labels of {kind} answers are needed, {math.ceil(MIN_EACH - fewest)} more")
    n, both = n_right + n_wrong, right + wrong
    ties = float((both**3 - both).sum()) / (n * (n - 1))
    variance = (n + 1 - ties) / (12 * n_right * n_wrong)
    if variance <= 1e-15:
        raise NotEnoughData(ONE_DELAY)
    later = (n_right - np.cumsum(right) + right / 2) / n_right
    earlier = (np.cumsum(wrong) - wrong / 2) / n_wrong
    sooner = float((wrong * later).sum()) / n_wrong
    z = (sooner - 0.5) / math.sqrt(variance)
    spread = math.sqrt(_mean_square(later, wrong, sooner) / n_wrong + _mean_square(earlier, right, sooner) / n_right)
    half = z_of(level) * spread
    interval = max(0.0, sooner - half), min(1.0, sooner + half)
    return Comparison(sooner, interval, z, 2 * NormalDist().cdf(-abs(z)), n_right, n_wrong)


def _mean_square(chance: FloatArray, weight: FloatArray, mean: float) -> float:
    """The variance of the chances of one group, with one member more, half at 0 and half at 1."""
    one_more = (mean**2 + (1 - mean) ** 2) / 2
    return (float((weight * (chance - mean) ** 2).sum()) + one_more) / (float(weight.sum()) + 1)
