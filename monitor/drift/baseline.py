"""Baseline: what was accepted as the calibration of a series, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Final, TypeAlias

import msgspec
import numpy as np

from monitor.calibration.bins import labelled
from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.odds import logit, sigmoid
from monitor.calibration.sketch import Row, Sketch
from monitor.drift.bands import BANDS, CUTS, PARTS, by_band, part_of
from monitor.drift.ratio import ALTERNATIVES, excess
from monitor.errors import NotEnoughData, Refused

VERSION: Final = 1
MIN_LABELS: Final = 100
"""Fewer labels know a band so badly that a shift of a third would hide in it."""
LIMITS: Final = (0.002, 0.998)
"""Expected outcomes stay within: a bet against a sure thing could lose everything on one label."""
CERTAIN: Final = 1e12
"""Labels of a baseline that is known, not fitted."""
PRIOR: Final = 0.25
"""Precision of the prior of slope and intercept around 1 and 0 (a deviation of 2): decides only without data."""
_ITERATIONS: Final = 50
_LONGEST_STEP: Final = 2.0

Three: TypeAlias = tuple[float, float, float]
Four: TypeAlias = tuple[float, float, float, float]


class Baseline(msgspec.Struct, frozen=True):
    """The expected outcome at each confidence: sigmoid(slope x logit(confidence) + intercept), moved in each part.

    `shift` is added in low, middle, high so that the mean residual there is 0. By band (all, low, middle, high):
    `labels` it was fitted on, `residual` their sum of expected minus outcome (0 but for the limits), `variance` of one
    label's residual. By alternative of the warn tier: `excess`, the sum of ratio - 1 over these labels, and
    `ratio_variance` of one of them.
    """

    slope: float
    intercept: float
    shift: Three
    labels: Four
    residual: Four
    variance: Four
    excess: tuple[float, ...]
    ratio_variance: tuple[float, ...]
    version: int = VERSION

    def expected(self, position: FloatArray, part: Int64Array) -> FloatArray:
        """The outcome to expect, (t,) in .002...998, of confidences (t,) in the parts (t,)."""
        return moved(self.slope * logit(position) + self.intercept, np.asarray(self.shift)[part])

    @property
    def standard_error(self) -> Four:
        """How well the mean residual of each band is known."""
        return _four(np.sqrt(np.array(self.variance) / np.maximum(self.labels, 1.0)))


class _Versioned(msgspec.Struct):
    version: int


def fit(sketch: Sketch, min_labels: int = MIN_LABELS) -> Baseline:
    """The baseline of the labels of a sketch: Platt's map (1999) with a weak prior, then moved in each part.

    One class only, or one confidence only, gives a map too: the prior keeps it finite, and a half right and a half
    wrong answer keep the variance above 0. Raises NotEnoughData below `min_labels`, with how many more it takes.
    """
    n_labels = sketch.total(Row.N)
    if n_labels < min_labels:
        raise NotEnoughData(f"a baseline needs {min_labels} mature labels: {min_labels - n_labels} more")
    view = labelled(sketch)
    part, n = part_of(view.cells), view.n.astype(np.float64)
    line = _line(logit(view.position), n, view.right)
    raw = sigmoid(line[0] * logit(view.position) + line[1])
    labels = np.bincount(part, n, PARTS).astype(np.float64)
    shift = np.bincount(part, view.right - n * raw, PARTS) / np.maximum(labels, 1)
    expected = np.clip(raw + shift[part], *LIMITS)
    sums = [
        labels,
        *(np.bincount(part, of, PARTS) for of in (n * expected - view.right, n * expected * (1 - expected))),
    ]
    of_band = by_band(np.stack(sums).astype(np.float64))
    sums_of_ratios, ratio_variance = excess(expected, n, view.right)
    return Baseline(
        float(line[0]),
        float(line[1]),
        _three(shift),
        _four(of_band[0]),
        _four(of_band[1]),
        _four((of_band[2] + 0.25) / (of_band[0] + 1)),
        tuple(sums_of_ratios.tolist()),
        tuple(ratio_variance.tolist()),
    )


def known(slope: float = 1.0, intercept: float = 0.0, variance: Four = (0.13, 0.23, 0.15, 0.04)) -> Baseline:
    """A baseline that is certain: by default, that confidence means what it says. It does not grow.

    `variance` of one label's residual by band sets the stakes: where it is wrong, drifts are seen later.
    """
    certain, none = (CERTAIN, CERTAIN, CERTAIN, CERTAIN), (0.0,) * len(ALTERNATIVES)
    return Baseline(slope, intercept, (0, 0, 0), certain, (0, 0, 0, 0), variance, none, (1.0,) * len(ALTERNATIVES))


def encoded(baseline: Baseline) -> bytes:
    """The baseline as JSON."""
    return msgspec.json.encode(baseline)


def decoded(stored: bytes | str) -> Baseline:
    """The baseline of its JSON, digit for digit. Raises Refused for another version or what is no baseline."""
    try:
        version = msgspec.json.decode(stored, type=_Versioned).version
        if version != VERSION:
            raise Refused(f"a baseline must be of version {VERSION}, got {version}: fit it anew")
        return msgspec.json.decode(stored, type=Baseline)
    except msgspec.MsgspecError as error:
        raise Refused(f"not a stored baseline: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Baselines:
    """The baselines of S series side by side; see `Baseline`.

    `line` (S, 2) slope and intercept; `shift` (S, 3); `labels`, `residual`, `variance` (S, 4); `excess`,
    `ratio_variance` (S, 12); `lowest` and `highest` (S, 3) bounds of what is expected anywhere in each part.
    """

    line: FloatArray
    shift: FloatArray
    labels: FloatArray
    residual: FloatArray
    variance: FloatArray
    excess: FloatArray
    ratio_variance: FloatArray
    lowest: FloatArray
    highest: FloatArray

    def __len__(self) -> int:
        return len(self.line)

    def expected(self, position: FloatArray, series: Int64Array, part: Int64Array) -> FloatArray:
        """The outcome to expect, (t,), of confidences (t,) of the series (t,) in the parts (t,)."""
        return moved(self.line[series, 0] * logit(position) + self.line[series, 1], self.shift[series, part])


def stacked(baselines: Sequence[Baseline]) -> Baselines:
    """Baselines side by side, at least one."""
    numbers = [
        (b.slope, b.intercept, *b.shift, *b.labels, *b.residual, *b.variance, *b.excess, *b.ratio_variance)
        for b in baselines
    ]
    rows = np.fromiter(chain.from_iterable(numbers), np.float64).reshape(len(numbers), -1)
    ends_of = np.cumsum([2, PARTS, len(BANDS), len(BANDS), len(BANDS), len(ALTERNATIVES)])
    line, shift, labels, residual, variance, excesses, ratio_variance = np.split(rows, ends_of, axis=1)
    edges = logit(np.array([0.0, *CUTS, 1.0]))
    at_edges = line[:, :1] * edges + line[:, 1:]
    ends = np.stack([moved(at_edges[:, :-1], shift), moved(at_edges[:, 1:], shift)])
    return Baselines(
        line,
        shift,
        labels,
        residual,
        variance,
        excesses,
        ratio_variance,
        ends.min(axis=0),
        ends.max(axis=0),
    )


def chosen(baselines: Baselines, series: Int64Array) -> Baselines:
    """The baselines of some of the series, in that order."""
    return replace(baselines, **{each.name: getattr(baselines, each.name)[series] for each in fields(baselines)})


def moved(log_odds: FloatArray, shift: FloatArray) -> FloatArray:
    """Chance of log odds, moved by the shift, within `LIMITS`."""
    return np.clip(sigmoid(log_odds) + shift, *LIMITS)


def _line(log_odds: FloatArray, n: FloatArray, right: FloatArray) -> FloatArray:
    """Slope and intercept by damped Newton steps."""
    line, prior = np.array([1.0, 0.0]), np.diag([PRIOR, PRIOR])
    design = np.stack([log_odds, np.ones(len(n))])
    for _ in range(_ITERATIONS):
        chance = sigmoid(line @ design)
        precision = (design * (n * chance * (1 - chance))) @ design.T + prior
        step = np.linalg.solve(precision, design @ (right - n * chance) - prior @ (line - [1.0, 0.0]))
        longest = float(np.abs(step).max())
        line = line + step * min(1.0, _LONGEST_STEP / max(longest, _LONGEST_STEP))
        if longest < 1e-10:
            break
    return line


def _three(values: FloatArray) -> Three:
    first, second, third = values.tolist()
    return first, second, third


def _four(values: FloatArray) -> Four:
    first, second, third, fourth = values.tolist()
    return first, second, third, fourth
